"""What a fitted generalized model answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.base.model import LikelihoodModelResults
from statsmodels.genmod import families
from statsmodels.genmod.families import links

import multilevel as ml
from multilevel.errors import ConvergenceWarning, DataError, FitError
from small_data import grouped_responses


@pytest.fixture(scope="module")
def data():
    return grouped_responses()


@pytest.fixture(scope="module")
def counts(data):
    return ml.mixedglm("count ~ x + (x | g)", data, family="poisson").fit()


@pytest.fixture(scope="module")
def trials(data):
    formula = "cbind(yes, size - yes) ~ x + (1 | g) + (1 | h)"
    return ml.mixedglm(formula, data, family="binomial").fit()


def test_is_a_statsmodels_result(counts):
    assert isinstance(counts, ml.MixedGLMResults)
    assert isinstance(counts, LikelihoodModelResults)
    assert list(counts.params.index) == ["Intercept", "x"]
    assert_allclose(counts.tvalues, counts.params / counts.bse)
    assert_allclose(counts.pvalues, 2 * stats.norm.sf(np.abs(counts.tvalues)))
    assert_allclose(counts.fe_params, counts.params)
    assert_allclose(np.sqrt(np.diag(counts.cov_params())), counts.bse)


def test_standard_errors_come_from_the_joint_hessian(counts, data):
    results = [
        counts,
        ml.mixedglm(
            "overdispersed ~ x + (1 | g)", data, family="negativebinomial"
        ).fit(),
    ]
    for result in results:
        information = result.model.information(result.full_params)
        errors = np.sqrt(np.diag(np.linalg.inv(information)))
        p = len(result.params)
        assert_allclose(result.bse, errors[:p], rtol=1e-5)
    frame = results[1].variance_components.to_frame(se=True)
    assert_allclose(frame["se"], errors[p : p + 1], rtol=1e-4)


def test_limits_of_variance_components_stay_inside(counts):
    frame = counts.variance_components.to_frame(se=True)
    assert frame["group"].tolist() == ["g", "g", "g"]
    assert (frame["lower"] < frame["sdcor"]).all()
    assert (frame["sdcor"] < frame["upper"]).all()
    assert frame["lower"].iloc[:2].min() > 0
    assert frame["upper"].iloc[2] < 1
    assert "Residual" not in str(counts.variance_components)


def test_hypotheses_as_text(counts):
    single = counts.t_test("x = 0.3")
    z = (counts.params["x"] - 0.3) / counts.bse["x"]
    assert_allclose(single.tvalue, z)
    assert_allclose(single.pvalue, 2 * stats.norm.sf(abs(z)))
    joint = counts.wald_test("x = 0.3, Intercept = 0")
    assert joint.distribution == "chi2"
    assert counts.f_test("x = 0.3").fvalue == pytest.approx(z**2)


def test_other_degrees_of_freedom(counts):
    same = counts.with_ddf("normal")
    assert_allclose(same.conf_int(), counts.conf_int())
    wider = counts.with_ddf("residual")
    assert_allclose(wider.ddf, counts.nobs - 2)
    assert (wider.pvalues > counts.pvalues).all()
    with pytest.raises(
        FitError, match="for a generalized model; use 'residual' or 'normal'"
    ):
        counts.with_ddf("satterthwaite")


def test_fit_statistics(counts, data):
    assert counts.criterion == "Laplace"
    assert (counts.nobs, counts.df_model) == (len(data), 5)
    assert counts.df_resid == len(data) - 5
    assert counts.deviance == -2 * counts.llf
    assert counts.aic == counts.deviance + 10
    assert_allclose(counts.bic, counts.deviance + 5 * np.log(len(data)))
    assert counts.ngroups == {"g": 20}
    assert counts.scale == counts.dispersion == counts.sigma == 1.0
    again = ml.mixedglm("count ~ x + (1 | g)", data, family="poisson").fit(nagq=7)
    assert again.criterion == "AGQ(7)"


@pytest.mark.parametrize("nagq", [1, 4])
@pytest.mark.parametrize(
    ("response", "family"),
    [
        ("binary", "binomial"),
        ("count", "poisson"),
        ("overdispersed", "negativebinomial"),
    ],
)
def test_groups_add_up(data, response, family, nagq):
    result = ml.mixedglm(f"{response} ~ x + (1 | g)", data, family=family).fit(
        nagq=nagq
    )
    assert result.llf_groups.index.name == "g"
    assert_allclose(result.llf_groups.sum(), result.llf, rtol=1e-9)
    # A group by itself, at the same parameters, has the same contribution.
    own = data[data["g"].isin(["g03", "g11"])]
    part = ml.mixedglm(f"{response} ~ x + (1 | g)", own, family=family)
    alone = part.loglike(result.full_params, nagq=nagq)
    assert_allclose(result.llf_groups[["g03", "g11"]].sum(), alone, rtol=1e-8)


def test_nested_groups_add_up_and_crossed_ones_have_no_parts(trials):
    ticks = ml.datasets.load("grouseticks")
    formula = "TICKS ~ YEAR + cHEIGHT + (1 | LOCATION / BROOD)"
    nested = ml.mixedglm(formula, ticks, family="poisson").fit()
    assert len(nested.llf_groups) == 63
    assert_allclose(nested.llf_groups.sum(), nested.llf, rtol=1e-10)
    with pytest.raises(FitError, match="crossed"):
        _ = trials.llf_groups


def test_random_effects_by_level(counts, trials):
    modes = counts.random_effects["g"]
    assert list(modes) == ["Intercept", "x"]
    assert modes.index.name == "g"
    coefficients = counts.coefficients["g"]
    assert_allclose(coefficients["x"], counts.params["x"] + modes["x"])
    assert set(trials.random_effects) == {"g", "h"}


def test_covariances_of_random_effects_are_inverse_information(counts, data):
    """Of each group: (Z'WZ + Cov(b)^-1)^-1, W = mu for counts."""
    covariance = counts.cov_re["g"]
    assert list(covariance) == list(covariance.index) == ["Intercept", "x"]
    assert_allclose(covariance, counts.variance_components.cov("g"))
    Z = np.column_stack([np.ones(len(data)), data["x"]])
    mean = counts.fittedvalues.to_numpy()
    found = counts.random_effects_cov["g"]
    labels = counts.random_effects["g"].index
    for label, block in zip(labels, found, strict=True):
        own = (data["g"] == label).to_numpy()
        information = (Z[own].T * mean[own]) @ Z[own] + np.linalg.inv(covariance)
        assert_allclose(block, np.linalg.inv(information), rtol=1e-6)


def test_fitted_values_and_residuals(trials, data):
    share = data["yes"] / data["size"]
    assert_allclose(trials.resid, share - trials.fittedvalues)
    assert_allclose(trials.get_residuals("response"), trials.resid)
    mean = trials.fittedvalues
    spread = np.sqrt(mean * (1 - mean) / data["size"])
    assert_allclose(trials.resid_pearson, trials.resid / spread)
    link = trials.predict(kind="link")
    assert_allclose(trials.get_residuals("working") * mean * (1 - mean), trials.resid)
    assert_allclose(1 / (1 + np.exp(-link)), mean)
    marginal = trials.get_residuals("marginal")
    assert_allclose(marginal, share - trials.predict(kind="marginal"))
    with pytest.raises(DataError, match=r"'martingale' is not known; use one of"):
        trials.get_residuals("martingale")


@pytest.mark.parametrize(
    ("response", "family"),
    [
        ("cbind(yes, size - yes)", "binomial"),
        ("count", "poisson"),
        ("overdispersed", "negativebinomial"),
        ("normal", "gaussian"),
        ("positive", "gamma"),
    ],
)
def test_quantile_residuals_are_standard_normal(data, response, family):
    if family == "gamma":
        from statsmodels.genmod.families import Gamma, links

        family = Gamma(link=links.Log())
    formula = f"{response} ~ x + (x | g) + (1 | h)"
    result = ml.mixedglm(formula, data, family=family).fit()
    residuals = result.get_residuals("quantile")
    assert np.isfinite(residuals).all()
    # Estimated random effects take some of the variance away.
    assert stats.kstest(residuals / residuals.std(), "norm").pvalue > 0.001
    assert 0.75 < residuals.std() < 1.15
    assert_allclose(result.get_residuals("quantile"), residuals)
    # Between the two ends of a step of a discrete distribution they are drawn.
    other = result.get_residuals("quantile", seed=1)
    discrete = response not in ("normal", "positive")
    assert discrete == (np.abs(other - residuals).max() > 1e-12)


def test_scaled_residuals_of_a_dispersion(data):
    linear = ml.mixedlm("normal ~ x + (1 | g)", data).fit(reml=False)
    result = ml.mixedglm("normal ~ x + (1 | g)", data, family="gaussian").fit()
    for kind in ("response", "scaled", "quantile", "marginal"):
        assert_allclose(
            result.get_residuals(kind), linear.get_residuals(kind), atol=1e-4
        )


def test_predictions(trials, data):
    assert_allclose(trials.predict(), trials.fittedvalues)
    assert_allclose(trials.predict(data), trials.fittedvalues)
    some = trials.predict(data, random=["h"], kind="link")
    none = trials.predict(data, random="none", kind="link")
    effect = trials.random_effects["h"]["Intercept"].loc[data["h"]]
    assert_allclose(some - none, effect)
    odd = data.head(2).assign(g=["new", "g01"])
    with pytest.raises(DataError, match="not in the fit: 'new'"):
        trials.predict(odd)
    assert trials.predict(odd, new_levels="missing").isna().tolist() == [True, False]


def test_rows_with_missing_values_are_dropped_and_counted(data):
    gappy = data.assign(x=data["x"].where(data["size"] > 2))
    with pytest.warns(ml.errors.DroppedRowsWarning):
        model = ml.mixedglm("count ~ x + (1 | g)", gappy, family="poisson")
    result = model.fit()
    assert result.n_dropped == (data["size"] == 2).sum()
    assert len(result.fittedvalues) == result.nobs
    assert f"Observations     {result.nobs} (" in str(result.summary())


# -- the summary ----------------------------------------------------------------------


def test_summary_says_what_was_fitted(counts, trials):
    text = str(counts.summary())
    for piece in (
        "Family           Poisson, log link",
        "Laplace approximation",
        "Scaled Pearson residuals:",
        "P>|z|",
        "LR test vs. Poisson model: chibar2 =",
    ):
        assert piece in text
    assert "Trials           min 2" in str(trials.summary())
    assert "<table" in counts._repr_html_()
    assert r"\begin{tabular}" in counts.summary().as_latex()


def test_summary_of_quadrature_says_that_all_constants_are_in(data):
    result = ml.mixedglm("count ~ x + (1 | g)", data, family="poisson").fit(nagq=5)
    text = " ".join(str(result.summary()).split())
    assert "quadrature, 5 nodes; all constants included, as for Laplace" in text


@pytest.mark.parametrize(
    ("response", "family", "name"),
    [
        ("binary", "binomial", "odds ratios"),
        ("count", "poisson", "rate ratios"),
        ("overdispersed", "negativebinomial", "rate ratios"),
        ("positive", families.Gamma(link=links.Log()), "ratios of means"),
        ("binary", families.Binomial(link=links.CLogLog()), "hazard ratios"),
    ],
)
def test_exponentiated_estimates(data, response, family, name):
    result = ml.mixedglm(f"{response} ~ x + (1 | g)", data, family=family).fit()
    summary = result.summary(exponentiate=True)
    assert f"Fixed effects, {name}:" in str(summary)
    (row,) = [row for row in summary.sections[-1].rows if row[0] == "x"]
    assert float(row[1]) == pytest.approx(np.exp(result.params["x"]), rel=1e-2)
    assert float(row[5]) == pytest.approx(
        np.exp(result.conf_int().loc["x", "lower"]), rel=1e-2
    )


@pytest.mark.parametrize(
    ("response", "family", "link"),
    [
        ("binary", families.Binomial(link=links.Probit()), "probit"),
        ("binary", families.Binomial(link=links.LogLog()), "loglog"),
        ("normal", "gaussian", "identity"),
        ("positive", families.Gamma(), "inverse_power"),
        ("count", families.Poisson(link=links.Sqrt()), "sqrt"),
    ],
)
def test_what_is_no_ratio_is_not_shown_as_one(data, response, family, link):
    result = ml.mixedglm(f"{response} ~ 1 + (1 | g)", data, family=family).fit()
    with pytest.raises(DataError, match=f"no meaning for the {link} link"):
        result.summary(exponentiate=True)
    assert "Fixed effects:" in str(result.summary())


def test_dispersions_in_the_summary(data):
    nb = ml.mixedglm(
        "overdispersed ~ x + (1 | g)", data, family="negativebinomial"
    ).fit()
    assert f"Size             {nb.dispersion:.4g} (Var = mu + mu^2/size)" in str(nb)
    assert nb.scale == 1.0
    normal = ml.mixedglm("normal ~ x + (1 | g)", data, family="gaussian").fit()
    assert f"Dispersion       {normal.scale:.4g}" in str(normal)


def test_separation_is_named():
    frame = pd.DataFrame(
        {"g": np.repeat(np.arange(10), 6), "x": np.tile([0, 0, 0, 1, 1, 1], 10)}
    )
    rng = np.random.default_rng(0)
    frame["y"] = np.where(frame["x"] == 1, 1, rng.binomial(1, 0.4, 60))
    with pytest.warns(ConvergenceWarning, match="no finite estimate of x exists"):
        result = ml.mixedglm("y ~ x + (1 | g)", frame, family="binomial").fit()
    assert not result.converged
    assert "separation" in str(result.summary())


def test_aliased_columns_stay_in_the_tables(data):
    twice = data.assign(z=2 * data["x"])
    with pytest.warns(ml.errors.RankDeficiencyWarning, match="z"):
        result = ml.mixedglm("count ~ x + z + (1 | g)", twice, family="poisson").fit()
    assert np.isnan(result.params["z"])
    for exponentiate in (False, True):
        assert "z (dropped: aliased)" in str(result.summary(exponentiate=exponentiate))
    once = ml.mixedglm("count ~ x + (1 | g)", data, family="poisson").fit()
    expected = once.get_prediction(data).summary_frame()
    assert_allclose(result.get_prediction(twice).summary_frame(), expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::multilevel.errors.ConvergenceWarning")
def test_residuals_where_the_mean_is_at_its_edge(data):
    told = data.assign(y=(data["x"] > 0).astype(int))
    result = ml.mixedglm("y ~ x + (1 | g)", told, family="binomial").fit()
    for kind in ("pearson", "deviance", "working", "scaled", "quantile"):
        residuals = result.get_residuals(kind)
        assert np.isfinite(residuals).all()
        if kind != "quantile":
            assert (residuals * np.where(told["y"] == 1, 1.0, -1.0) >= 0.0).all()
