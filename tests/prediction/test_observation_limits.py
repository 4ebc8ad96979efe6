"""Limits of new observations of generalized models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.genmod import families
from statsmodels.genmod.families import links

import multilevel as ml
from multilevel.likelihood.families.registry import family_of
from multilevel.prediction.observation_limits import observation_quantiles
from small_data import grouped_responses

VALUES = np.array([0.7])
ETA = np.array([-1.0, 0.4, 2.0])
FAMILIES = {
    "gaussian": "gaussian",
    "binomial": "binomial",
    "poisson": "poisson",
    "negativebinomial": "negativebinomial",
    "gamma": families.Gamma(link=links.Log()),
    "inversegaussian": families.InverseGaussian(link=links.Log()),
}


def scipy_quantile(name, mean, dispersion, weights, probability):
    return {
        "gaussian": lambda: stats.norm.ppf(
            probability, mean, np.sqrt(dispersion / weights)
        ),
        "binomial": lambda: stats.binom.ppf(probability, weights, mean) / weights,
        "poisson": lambda: stats.poisson.ppf(probability, mean),
        "negativebinomial": lambda: stats.nbinom.ppf(
            probability, dispersion, dispersion / (dispersion + mean)
        ),
        "gamma": lambda: stats.gamma.ppf(
            probability, weights / dispersion, scale=mean * dispersion / weights
        ),
        "inversegaussian": lambda: stats.invgauss.ppf(
            probability, mean * dispersion / weights, scale=weights / dispersion
        ),
    }[name]()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("probability", [0.025, 0.5, 0.9, 0.975])
def test_without_uncertainty_they_are_the_familys_quantiles(name, probability):
    family, weights = family_of(FAMILIES[name]), np.array([1.0, 5.0, 12.0])
    found = observation_quantiles(
        family, ETA, np.zeros(3), VALUES, weights, probability
    )
    mean = family.link.mean(ETA)
    wanted = scipy_quantile(name, mean, 0.7, weights, probability)
    assert_allclose(found, wanted, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", ["binomial", "poisson", "negativebinomial"])
def test_a_probability_that_is_reached_exactly_is_reached(name):
    """Rounding of the sum over the quadrature is no reason to go one further."""
    family, weights = family_of(FAMILIES[name]), np.array([2.0, 5.0, 12.0])
    mean, counts = family.link.mean(ETA), np.arange(2.0)
    distribution = {
        "binomial": lambda k: stats.binom.cdf(k, weights, mean),
        "poisson": lambda k: stats.poisson.cdf(k, mean),
        "negativebinomial": lambda k: stats.nbinom.cdf(k, 0.7, 0.7 / (0.7 + mean)),
    }[name]
    unit = weights if name == "binomial" else 1.0
    for k in counts:
        for row, reached in enumerate(distribution(k)):
            found = observation_quantiles(
                family, ETA, np.zeros(3), VALUES, weights, reached
            )
            assert_allclose((found * unit)[row], k)


@pytest.mark.parametrize("name", FAMILIES)
def test_uncertainty_is_mixed_in(name):
    family, rng = family_of(FAMILIES[name]), np.random.default_rng(5)
    eta = rng.normal(1.0, 0.8, 400_000)
    mean = family.link.mean(eta)
    draws = {
        "gaussian": lambda: rng.normal(mean, 0.7**0.5),
        "binomial": lambda: rng.binomial(20, mean) / 20 if name == "binomial" else 0,
        "poisson": lambda: rng.poisson(mean),
        "negativebinomial": lambda: rng.negative_binomial(0.7, 0.7 / (0.7 + mean)),
        "gamma": lambda: rng.gamma(1 / 0.7, mean * 0.7),
        "inversegaussian": lambda: rng.wald(mean, 1 / 0.7),
    }[name]()
    for probability in (0.05, 0.95):
        (found,) = observation_quantiles(
            family, np.ones(1), np.full(1, 0.8), VALUES, np.full(1, 20.0)
            if name == "binomial" else np.ones(1), probability,
        )  # fmt: skip
        below, upto = np.mean(draws < found - 1e-9), np.mean(draws <= found + 1e-9)
        # Monte Carlo error of a share is 0.0004.
        assert below - 0.002 <= probability <= upto + 0.002


def test_counts_are_covered_by_their_limits():
    data = grouped_responses()
    result = ml.mixedglm("count ~ x + (x | g)", data, family="poisson").fit()
    frame = result.get_prediction().summary_frame(alpha=0.1)
    inside = (data["count"] >= frame["obs_ci_lower"]) & (
        data["count"] <= frame["obs_ci_upper"]
    )
    assert 0.85 < inside.mean() <= 1.0
    assert (frame["obs_ci_lower"] % 1 == 0).all()


def test_limits_of_a_mean_at_the_end_of_its_link():
    data = grouped_responses()
    gamma = families.Gamma(link=links.InversePower())
    result = ml.mixedglm("positive ~ 1 + (1 | g)", data, family=gamma).fit()
    frame = result.get_prediction(data.assign(g="new"), new_levels="population")
    vague = replace(frame, se_linpred=10.0 * frame.se_linpred)
    limits = vague.conf_int()
    assert (limits[:, 1] == np.inf).all()
    assert (limits[:, 0] > 0).all()
    assert np.isfinite(frame.summary_frame()).all(axis=None)


def test_limits_of_a_squared_predictor_do_not_fold():
    data = grouped_responses()
    poisson = families.Poisson(link=links.Sqrt())
    result = ml.mixedglm("count ~ 1 + (1 | g)", data, family=poisson).fit()
    limits = result.get_prediction().conf_int(alpha=1e-14)
    mean = result.get_prediction().predicted_mean
    assert (limits[:, 0] <= mean).all()
    assert (limits[:, 1] >= mean).all()
    assert (limits[:, 0] == 0.0).any()
