"""Distribution functions against scipy.stats, deviances against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.genmod import families

from multilevel.likelihood.families.registry import FAMILIES

MEAN = np.array([0.2, 0.5, 0.9])
PHI, SIZE = 0.4, 2.5
VALUES = {"negativebinomial": np.array([SIZE])}


def scipy_distribution(name, mean, weight):
    if name == "gaussian":
        return stats.norm(mean, np.sqrt(PHI / weight))
    if name == "binomial":
        return stats.binom(weight.astype(int), mean)
    if name == "poisson":
        return stats.poisson(mean)
    if name == "negativebinomial":
        return stats.nbinom(SIZE, SIZE / (SIZE + mean))
    if name == "gamma":
        return stats.gamma(weight / PHI, scale=mean * PHI / weight)
    return stats.invgauss(mean * PHI / weight, scale=weight / PHI)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("y", [-1.0, 0.0, 0.3, 1.0, 2.0, 7.0])
def test_tails(name, y):
    weight = np.array([1.0, 3.0, 6.0])
    values = VALUES.get(name, np.array([PHI]))
    wanted = scipy_distribution(name, MEAN, weight)
    at = y * weight + 1e-9 if name == "binomial" else y
    found = FAMILIES[name].distribution.tails(np.full(3, y), MEAN, values, weight)
    assert_allclose(found.lower, wanted.cdf(at), rtol=1e-10, atol=1e-14)
    assert_allclose(found.upper, wanted.sf(at), rtol=1e-8, atol=1e-13)


@pytest.mark.parametrize("name", FAMILIES)
def test_variance_and_deviance(name):
    theirs = {
        "gaussian": families.Gaussian(),
        "binomial": families.Binomial(),
        "poisson": families.Poisson(),
        "negativebinomial": families.NegativeBinomial(alpha=1 / SIZE),
        "gamma": families.Gamma(),
        "inversegaussian": families.InverseGaussian(),
    }[name]
    y = np.array([1.0, 0.25, 1.0]) if name == "binomial" else np.array([3.0, 1.0, 2.0])
    ours = FAMILIES[name]
    values = VALUES.get(name, np.array([PHI]))
    assert_allclose(ours.variance(MEAN, values).value, theirs.variance(MEAN))
    found = np.sign(y - MEAN) * np.sqrt(
        ours.distribution.unit_deviance(y, MEAN, values)
    )
    assert_allclose(found, theirs.resid_dev(y, MEAN))


def test_nothing_overflows_far_out():
    wald = FAMILIES["inversegaussian"].distribution
    with np.errstate(over="raise", invalid="raise"):
        far = wald.tails(
            np.array([1e-8, 1e6]), np.array([1e3, 1e-3]), np.array([1e-4]), np.ones(2)
        )
    assert_allclose(far.lower, [0.0, 1.0], atol=1e-12)


@pytest.mark.parametrize("size", [1e8, 1e12, 1e17])
def test_a_negative_binomial_of_large_size_is_poisson(size):
    counts, mean = np.array([0.0, 2.0, 5.0, 9.0]), np.full(4, 5.0)
    found = FAMILIES["negativebinomial"].distribution.tails(
        counts, mean, np.array([size]), np.ones(4)
    )
    near = stats.poisson(5.0)
    assert_allclose(found.lower, near.cdf(counts), rtol=1e-12 + 100.0 / size)
    assert_allclose(found.upper, near.sf(counts), rtol=1e-12 + 100.0 / size)


def test_a_count_among_very_many_trials_is_not_rounded_up():
    trials = np.array([1e9, 1e12])
    counts = np.array([3.0, 2_500.0])
    found = FAMILIES["binomial"].distribution.tails(
        counts / trials, counts / trials, np.zeros(0), trials
    )
    assert_allclose(found.lower, stats.poisson(counts).cdf(counts), rtol=1e-5)
