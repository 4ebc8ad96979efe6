"""Complete pooling of generalized models against statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from statsmodels.discrete.discrete_model import (
    NegativeBinomial,
    NegativeBinomialResults,
)
from statsmodels.genmod import families
from statsmodels.genmod.families import links

import multilevel as ml
from multilevel.errors import ComparisonError
from multilevel.optimize.generalized.pooled_maximum import pooled_maximum
from small_data import grouped_responses

CASES = {
    "logit": ("binary ~ x", "binomial", None),
    "trials": ("cbind(yes, size - yes) ~ x", "binomial", None),
    "weights": ("binary ~ x", "binomial", "size"),
    "probit": ("binary ~ x", families.Binomial(link=links.Probit()), None),
    "poisson": ("count ~ x", "poisson", None),
    "offset": ("count ~ x + offset(log(size))", "poisson", None),
    "weighted": ("count ~ x", "poisson", "size"),
    "known alpha": ("overdispersed ~ x", families.NegativeBinomial(alpha=0.5), None),
    "negativebinomial": ("overdispersed ~ x", "negativebinomial", None),
    "weighted nb": ("overdispersed ~ x", "negativebinomial", "size"),
    "no slopes": ("count ~ 1", "poisson", None),
    "weighted poisson": ("count ~ x", "poisson", "size"),
    "weighted counts": ("cbind(yes, size - yes) ~ x", "binomial", "x2"),
}


@pytest.fixture(scope="module")
def data():
    return grouped_responses().assign(x2=lambda frame: 0.5 + frame["x"] ** 2)


@pytest.mark.parametrize("case", CASES)
def test_same_maximum_as_statsmodels(data, case):
    formula, family, weights = CASES[case]
    result = ml.mixedglm(
        f"{formula} + (1 | g)", data, family=family, weights=weights
    ).fit()
    maximum, pooled = pooled_maximum(result.model.problem), result.pooled
    assert_allclose(maximum.llf, pooled.llf, rtol=1e-8)
    eta = maximum.eta
    if "offset" in formula:
        eta = eta - np.log(data["size"])
    p = len(result.params)
    names = list(pooled.params.index[:p])
    assert names == list(result.params.index)
    assert_allclose(result.model.exog @ np.asarray(pooled.params)[:p], eta, atol=1e-5)
    statistic = 2 * (result.llf - pooled.llf)
    assert_allclose(result.compare_pooled().statistic, statistic, atol=1e-5)


def test_estimated_dispersion_is_statsmodels_alpha(data):
    result = ml.mixedglm(
        "overdispersed ~ x + (1 | g)", data, family="negativebinomial"
    ).fit()
    assert isinstance(result.pooled._results, NegativeBinomialResults)
    (size,) = np.exp(pooled_maximum(result.model.problem).shapes)
    alpha = 1.0 / size
    assert_allclose(result.pooled.params["alpha"], alpha, rtol=1e-5)


@pytest.mark.parametrize("weights", [None, "x2"])
@pytest.mark.parametrize("family", ["gamma", "inversegaussian", "gaussian"])
def test_dispersions_are_maximized_too(data, family, weights):
    response = {"gamma": "positive", "inversegaussian": "wald", "gaussian": "normal"}
    kind = {
        "gamma": families.Gamma,
        "inversegaussian": families.InverseGaussian,
        "gaussian": families.Gaussian,
    }[family]
    link = links.Identity() if family == "gaussian" else links.Log()
    model = ml.mixedglm(
        f"{response[family]} ~ x + (1 | g)", data, family=kind(link=link),
        weights=weights,
    )  # fmt: skip
    maximum = pooled_maximum(model.problem)
    pooled = model.fit().pooled
    # statsmodels evaluates the likelihood at any scale; the maximum is ours.
    scales = np.exp(maximum.shapes) * np.array([0.99, 1.0, 1.01])
    values = [pooled.model.loglike(pooled.params, scale=scale) for scale in scales]
    assert values[1] > max(values[0], values[2])
    assert_allclose(maximum.llf, values[1], rtol=1e-8)


def test_a_negative_binomial_of_almost_poisson_counts(data):
    result = ml.mixedglm("count ~ x + (1 | g)", data, family="poisson").fit()
    assert result.compare_pooled().statistic > 0
    assert result.pooled.params.index.tolist() == ["Intercept", "x"]


def test_nothing_to_pool_without_fixed_effects(data):
    result = ml.mixedglm("count ~ 0 + (1 | g)", data, family="poisson").fit()
    with pytest.raises(ComparisonError, match="no fixed effects"):
        _ = result.pooled
    assert result.compare_pooled().df == 1


def test_nested_models_must_share_family_and_approximation(data):
    small = ml.mixedglm("count ~ x + (1 | g)", data, family="poisson")
    large = ml.mixedglm("count ~ x + (x | g)", data, family="poisson").fit()
    test = large.compare_lr_test(small.fit())
    assert (test.df, test.null) == (2, "0.5 chi2(1) + 0.5 chi2(2)")
    with pytest.raises(ComparisonError, match="same nagq="):
        large.compare_lr_test(small.fit(nagq=5))
    other = ml.mixedglm("count ~ x + (1 | g)", data, family="negativebinomial").fit()
    with pytest.raises(ComparisonError, match="different families"):
        large.compare_lr_test(other)
    linear = ml.mixedlm("count ~ x + (1 | g)", data).fit(reml=False)
    with pytest.raises(ComparisonError, match="different families: linear"):
        large.compare_lr_test(linear)


def test_fixed_effects_are_tested_by_chi_square(data):
    small = ml.mixedglm("count ~ 1 + (1 | g)", data, family="poisson").fit()
    large = ml.mixedglm("count ~ x + (1 | g)", data, family="poisson").fit()
    test = large.compare_lr_test(small)
    assert test.null == "chi2(1)"
    assert test.pvalue == test.pvalue_chi2


def test_two_variances_at_once(data):
    small = ml.mixedglm("count ~ x + (1 | g)", data, family="poisson").fit()
    large = ml.mixedglm("count ~ x + (x || g) + (1 | h)", data, family="poisson").fit()
    test = large.compare_lr_test(small)
    assert test.df == 2
    assert "chi2(0)" in test.null
    assert "chi2(2)" in test.null
    assert test.pvalue < test.pvalue_chi2


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 18, 34])
def test_counts_without_overdispersion_have_a_pooled_model(seed):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(12), 10)
    x = rng.normal(size=120)
    means = np.exp(0.5 + 0.3 * x + (0.3 * rng.normal(size=12)[g] if seed % 2 else 0.0))
    counts = pd.DataFrame({"g": g, "x": x, "y": rng.poisson(means)})
    result = ml.mixedglm("y ~ x + (1 | g)", counts, family="negativebinomial").fit()
    pooled = result.pooled
    maximum = pooled_maximum(result.model.problem)
    assert_allclose(pooled.params["alpha"], np.exp(-maximum.shapes[0]))
    assert_allclose(pooled.llf, maximum.llf, rtol=1e-12)
    assert np.isfinite(pooled.bse[:2]).all()
    assert "alpha" in str(pooled.summary())
    poisson = ml.mixedglm("y ~ x + (1 | g)", counts, family="poisson").fit().pooled
    assert pooled.llf >= poisson.llf - 1e-6
    if maximum.shapes[0] > np.log(1e6):
        assert_allclose(pooled.params[:2], poisson.params, atol=1e-5)
        assert_allclose(pooled.bse[:2], poisson.bse, rtol=1e-4)


def test_standard_errors_are_those_of_statsmodels(data):
    pooled = (
        ml.mixedglm("overdispersed ~ x + (1 | g)", data, family="negativebinomial")
        .fit()
        .pooled
    )
    expected = NegativeBinomial(pooled.model.endog, pooled.model.exog).fit(
        method="bfgs", maxiter=500, gtol=1e-9, disp=0
    )
    assert_allclose(pooled.params, expected.params, rtol=1e-5)
    assert_allclose(pooled.bse, expected.bse, rtol=1e-5)
    assert_allclose(pooled.llf, expected.llf, rtol=1e-10)
