"""Null distribution of the test against the pooled generalized model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.genmod import families
from statsmodels.genmod.families import links

import multilevel as ml
from multilevel.inference.pooled_glm_null import row_moments
from multilevel.likelihood.families.registry import family_of
from multilevel.likelihood.families.traits import bind_rows

ETA = np.array([-0.8, 0.3, 1.1])
PHI, SIZE = 0.6, 2.0


def outcomes(name, mean):
    """Values of y and their probabilities, exact or by fine quadrature; one row."""
    counts = np.arange(400.0)
    if name == "binomial":
        return np.array([0.0, 1.0]), np.array([1 - mean, mean])
    if name == "poisson":
        return counts, stats.poisson.pmf(counts, mean)
    if name == "negativebinomial":
        return counts, stats.nbinom.pmf(counts, SIZE, SIZE / (SIZE + mean))
    shares = (np.arange(200_000) + 0.5) / 200_000
    law = stats.norm(mean, np.sqrt(PHI))
    if name == "gamma":
        law = stats.gamma(1 / PHI, scale=mean * PHI)
    return law.ppf(shares), np.full(200_000, 1 / 200_000)


FAMILIES = {
    "logit": families.Binomial(),
    "probit": families.Binomial(link=links.Probit()),
    "cloglog": families.Binomial(link=links.CLogLog()),
    "poisson": families.Poisson(),
    "sqrt": families.Poisson(link=links.Sqrt()),
    "negativebinomial": "negativebinomial",
    "gamma": families.Gamma(link=links.Log()),
    "gaussian": families.Gaussian(),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_moments_are_those_of_the_derivatives(name):
    family = family_of(FAMILIES[name])
    value = SIZE if family.name == "negativebinomial" else PHI
    shapes = np.full(len(family.shapes), np.log(value))
    eta = ETA + 1.5 if name == "sqrt" else ETA
    found = row_moments(family, eta, None, shapes)
    for i, at in enumerate(eta):
        y, p = outcomes(family.name, float(family.link.mean(np.array([at]))[0]))
        rows = bind_rows(family, y, None)
        terms = rows.terms(np.full(len(y), at), shapes)
        score, q = terms.score, terms.score**2 - terms.weight
        rtol = 2e-3 if len(y) > 1000 else 1e-8
        assert_allclose(p @ q, 0.0, atol=2e-3 if len(y) > 1000 else 1e-10)
        assert_allclose(p @ score**2, found.weight[i], rtol=rtol)
        assert_allclose(p @ (score * q), found.third[i], rtol=5 * rtol, atol=5e-3)
        assert_allclose(p @ q**2, found.fourth[i], rtol=10 * rtol)
        slopes = rows.shape_density(np.full(len(y), at), shapes)
        assert_allclose((q * slopes) @ p, found.shapes[:, i], rtol=5 * rtol)


def pooled_data(rng, n_groups=60):
    codes = np.repeat(np.arange(n_groups), 8)
    x = rng.normal(size=len(codes))
    chance = 1 / (1 + np.exp(-0.3 - 0.5 * x))
    return pd.DataFrame({"g": codes, "x": x, "y": rng.binomial(1, chance)})


def test_one_variance_is_half_and_half():
    data = pooled_data(np.random.default_rng(0)).assign(y=lambda d: d["g"] % 2)
    data.loc[::3, "y"] = 1
    result = ml.mixedglm("y ~ x + (1 | g)", data, family="binomial").fit()
    assert result.compare_pooled().null == "0.5 chi2(0) + 0.5 chi2(1)"
    assert result.compare_pooled().df == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
def test_p_values_of_slopes_are_uniform_under_the_null():
    rng = np.random.default_rng(3)
    tests = [
        ml.mixedglm("y ~ x + (x | g)", pooled_data(rng), family="binomial")
        .fit()
        .compare_pooled()
        for _ in range(200)
    ]
    assert {test.df for test in tests} == {3}
    share = np.mean([test.pvalue < 0.1 for test in tests])
    # Three binomial standard errors; asymptotic mixtures are a little conservative.
    assert 0.03 < share < 0.17
    # The naive test is far too conservative.
    assert np.mean([test.pvalue_chi2 < 0.1 for test in tests]) < share
