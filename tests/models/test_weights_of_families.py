"""What weights mean in each family: prior weights, trials, or case weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, stats
from statsmodels.genmod import families
from statsmodels.genmod.families import links

import multilevel as ml
from multilevel.errors import ComparisonError
from multilevel.likelihood.families.registry import family_of
from multilevel.likelihood.families.traits import bind_rows
from small_data import grouped_responses

GAMMA = families.Gamma(link=links.Log())
INVERSE_GAUSSIAN = families.InverseGaussian(link=links.Log())
CONTINUOUS = {
    "gaussian": ("normal", "gaussian"),
    "gamma": ("positive", GAMMA),
    "inversegaussian": ("wald", INVERSE_GAUSSIAN),
}
COUNTS = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def data():
    return grouped_responses().assign(w=lambda frame: 0.3 + frame["x"] ** 2)


@pytest.fixture(scope="module")
def cbpp():
    rows = np.arange(56)
    frame = ml.datasets.load("cbpp")
    return frame.assign(whole=1 + rows % 4, part=0.5 + 0.25 * (rows % 5))


def fitted(data, name, weights):
    response, family = CONTINUOUS[name]
    formula = f"{response} ~ x + (1 | g)"
    return ml.mixedglm(formula, data, family=family, weights=weights).fit()


# -- prior weights ------------------------------------------------------------------


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("weight", [0.2, 1.0, 3.7])
def test_the_density_of_a_weighted_row_integrates_to_one(name, weight):
    family, eta, log_phi = (
        family_of(CONTINUOUS[name][1]),
        np.array([0.4]),
        np.array([-0.5]),
    )

    def density(y):
        row = bind_rows(family, np.array([y]), np.array([weight]))
        log_p = row.density(eta, log_phi)[0] + row.normalizer(log_phi)
        return float(np.exp(log_p[0]))

    if name == "gaussian":
        total = integrate.quad(density, -30.0, 30.0, points=[0.4])[0]
    else:
        total = integrate.quad(lambda z: density(np.exp(z)) * np.exp(z), -60.0, 6.0)[0]
    assert_allclose(total, 1.0, rtol=1e-7)


@pytest.mark.parametrize("name", CONTINUOUS)
@settings(max_examples=3, deadline=None)
@given(exponent=st.floats(-8.0, 8.0))
def test_the_unit_of_prior_weights_changes_the_dispersion_only(name, exponent):
    data = grouped_responses()
    w, unit = 0.3 + data["x"] ** 2, 10.0**exponent
    one, other = (fitted(data, name, weights) for weights in (w, w * unit))
    assert_allclose(other.llf, one.llf, atol=1e-6)
    assert_allclose(other.params, one.params, rtol=1e-4, atol=1e-5)
    assert_allclose(other.bse, one.bse, rtol=1e-3)
    assert_allclose(other.dispersion / unit, one.dispersion, rtol=1e-3)
    limits = [result.get_prediction().summary_frame() for result in (one, other)]
    assert_allclose(limits[1], limits[0], rtol=1e-3, atol=1e-4)
    residuals = [result.get_residuals("quantile") for result in (one, other)]
    assert_allclose(residuals[1], residuals[0], rtol=1e-3, atol=1e-3)


def test_a_weighted_gaussian_model_is_the_linear_one(data):
    generalized = fitted(data, "gaussian", "w")
    linear = ml.mixedlm("normal ~ x + (1 | g)", data, weights="w").fit(reml=False)
    assert_allclose(generalized.llf, linear.llf, atol=1e-8)
    assert_allclose(generalized.params, linear.params, atol=1e-6)
    assert_allclose(generalized.sigma, linear.sigma, rtol=1e-5)


def test_the_summary_says_what_weights_mean(data):
    text = str(fitted(data, "gamma", "w").summary())
    assert "Prior weights    min 0.3" in text
    assert "(Var = dispersion mu^2 / weight)" in text
    single = ml.mixedglm("binary ~ x + (1 | g)", data, family="binomial", weights="w")
    text = str(single.fit().summary())
    assert "Case weights     min 0.3" in text
    assert "Trials" not in text


# -- case weights and trials --------------------------------------------------------

# glmmTMB 1.1.5; lme4 1.1-31 agrees to 5e-4, but for fractional weights of 0/1, which it
# rounds.
RATE = "incidence ~ period + offset(log(size)) + (1 | herd)"
ANY = "I(incidence > 1) ~ period + (1 | herd)"
PEERS = [
    (COUNTS, "binomial", "whole", -193.11547539),
    (COUNTS, "binomial", "part", -89.18290689),
    (RATE, "poisson", "whole", -194.15063453),
    (RATE, "poisson", "part", -87.681794468),
    (ANY, "binomial", "whole", -63.184659736),
    (ANY, "binomial", "part", -28.668956118),
    ("incidence / size ~ period + (1 | herd)", "binomial", "size", -92.026281865),
]


@pytest.mark.parametrize(("formula", "family", "weights", "llf"), PEERS)
def test_log_likelihoods_are_the_peers(cbpp, formula, family, weights, llf):
    result = ml.mixedglm(formula, cbpp, family=family, weights=weights).fit()
    assert_allclose(result.llf, llf, atol=1e-6)


@pytest.mark.parametrize("n_nodes", [1, 7])
@pytest.mark.parametrize(
    ("response", "family"),
    [
        ("cbind(yes, size - yes)", families.Binomial(link=links.CLogLog())),
        ("binary", "binomial"),
        ("count", "poisson"),
        ("count", families.Poisson(link=links.Sqrt())),
        ("overdispersed", "negativebinomial"),
    ],
)
def test_case_weights_repeat_rows_under_quadrature_too(data, response, family, n_nodes):
    times = np.random.default_rng(0).integers(1, 4, len(data))
    repeated = data.loc[data.index.repeat(times)]
    formula = f"{response} ~ x + (1 | g)"
    model = ml.mixedglm(formula, data, family=family, weights=times)
    weighted = model.fit(nagq=n_nodes)
    wanted = ml.mixedglm(formula, repeated, family=family).fit(nagq=n_nodes)
    assert_allclose(weighted.llf, wanted.llf, atol=1e-8)
    assert_allclose(weighted.params, wanted.params, atol=1e-6)
    assert_allclose(weighted.bse, wanted.bse, rtol=1e-6)


@pytest.mark.parametrize("link", [links.Logit(), links.Probit()])
def test_case_weights_of_counts_repeat_the_row(cbpp, link):
    family = families.Binomial(link=link)
    repeated = cbpp.loc[cbpp.index.repeat(cbpp["whole"])]
    weighted = ml.mixedglm(COUNTS, cbpp, family=family, weights="whole").fit()
    wanted = ml.mixedglm(COUNTS, repeated, family=family).fit()
    assert_allclose(weighted.llf, wanted.llf, atol=1e-8)
    assert_allclose(weighted.params, wanted.params, atol=1e-6)
    assert_allclose(weighted.aic, wanted.aic, atol=1e-7)
    assert_allclose(weighted.bse, wanted.bse, rtol=1e-4)
    assert_allclose(weighted.pooled.llf, wanted.pooled.llf, rtol=1e-8)
    text = str(weighted.summary())
    assert "Case weights" in text
    assert "Trials " in text


def test_equal_rows_with_unequal_case_weights_are_merged_rightly():
    rng = np.random.default_rng(4)
    cells = np.repeat(np.arange(12), 20)
    frame = pd.DataFrame({"g": cells % 6, "x": cells // 6, "n": 3})
    chance = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7])[cells % 6]
    frame["k"] = rng.binomial(3, chance)
    frame["w"] = rng.choice([1, 2, 3], len(frame))
    repeated = frame.loc[frame.index.repeat(frame["w"])]
    formula = "cbind(k, n - k) ~ x + (1 | g)"
    weighted = ml.mixedglm(formula, frame, family="binomial", weights="w").fit()
    wanted = ml.mixedglm(formula, repeated, family="binomial").fit()
    assert_allclose(weighted.llf, wanted.llf, atol=1e-7)


def test_residuals_and_limits_of_an_observation_do_not_know_case_weights(cbpp):
    fit = ml.mixedglm(COUNTS, cbpp, family="binomial", weights="part").fit()
    mean = np.asarray(fit.fittedvalues)
    size, yes = cbpp["size"].to_numpy(), cbpp["incidence"].to_numpy()
    lower = stats.binom.cdf(yes - 1, size, mean)
    upper = stats.binom.cdf(yes, size, mean)
    found = stats.norm.cdf(fit.get_residuals("quantile"))
    assert (found >= lower - 1e-9).all()
    assert (found <= upper + 1e-9).all()
    own = fit.get_prediction().summary_frame()
    again = fit.get_prediction(cbpp, weights="size").summary_frame()
    assert_allclose(again, own, rtol=1e-8, atol=1e-12)


def test_models_of_other_trials_are_not_compared(cbpp):
    doubled = "cbind(2 * incidence, 2 * (size - incidence)) ~ 1 + (1 | herd)"
    small = ml.mixedglm(doubled, cbpp, family="binomial").fit()
    twice = np.full(56, 2.0)
    full = ml.mixedglm(COUNTS, cbpp, family="binomial", weights=twice).fit()
    with pytest.raises(ComparisonError, match="different weights"):
        full.compare_lr_test(small)


def test_a_saved_fit_keeps_trials_and_case_weights(cbpp, tmp_path):
    fit = ml.mixedglm(COUNTS, cbpp, family="binomial", weights="part").fit()
    fit.save(tmp_path / "fit.zip")
    again = ml.load(tmp_path / "fit.zip")
    assert_allclose(again.get_residuals("quantile"), fit.get_residuals("quantile"))
    assert_allclose(again.pooled.llf, fit.pooled.llf)


# -- simulation ---------------------------------------------------------------------


def simulated(name, rng):
    codes = np.repeat(np.arange(60), 12)
    x, w = rng.normal(size=720), rng.choice([0.25, 1.0, 6.0], 720)
    eta = 0.3 + 0.4 * x + rng.normal(scale=0.5, size=60)[codes]
    mean, phi = np.exp(eta), 0.4 / w
    draws = {
        "gaussian": lambda: rng.normal(eta, np.sqrt(phi)),
        "gamma": lambda: rng.gamma(1 / phi, mean * phi),
        "inversegaussian": lambda: rng.wald(mean, 1 / phi),
    }
    columns = {CONTINUOUS[name][0]: draws[name](), "again": draws[name]()}
    return pd.DataFrame({"g": codes, "x": x, "w": w, **columns})


@pytest.mark.parametrize("name", CONTINUOUS)
def test_quantile_residuals_are_uniform_and_limits_cover(name):
    drawn = simulated(name, np.random.default_rng(11))
    result = fitted(drawn, name, "w")
    assert_allclose(result.dispersion, 0.4, rtol=0.15)
    uniform = stats.norm.cdf(result.get_residuals("quantile"))
    y = drawn["again"]
    frame = result.get_prediction().summary_frame(alpha=0.1)
    inside = (frame["obs_ci_lower"] <= y) & (y <= frame["obs_ci_upper"])
    # Of each weight: a wrong power of it would show here and not in all together.
    for weight in (0.25, 1.0, 6.0):
        rows = (drawn["w"] == weight).to_numpy()
        assert stats.kstest(uniform[rows], "uniform").pvalue > 0.01
        assert abs(inside[rows].mean() - 0.9) < 0.05
