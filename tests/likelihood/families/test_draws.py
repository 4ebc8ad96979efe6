"""Random responses have the distribution that the rest of the family's record says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from two_shapes import GENERALIZED_GAMMA

from multilevel.likelihood.families.counts import MOST_DRAWN, draw_counts
from multilevel.likelihood.families.registry import FAMILIES

ALL = {**FAMILIES, "two shapes": GENERALIZED_GAMMA.traits}
N_DRAWS = 40_000


def drawn(traits, weight, *, mean=0.4, seed=1):
    rng = np.random.default_rng(seed)
    values = np.array([0.7, 1.3][: len(traits.shapes)])
    means, weights = np.full(N_DRAWS, mean), np.full(N_DRAWS, weight)
    return traits.distribution.draw(rng, means, values, weights), values


@pytest.mark.parametrize("weight", [1.0, 3.0])
@pytest.mark.parametrize("name", ALL)
def test_draws_have_the_distribution_function(name, weight):
    """Kolmogorov's distance, with the jumps of a discrete one filled at random."""
    traits = ALL[name]
    y, values = drawn(traits, weight)
    step = 1.0 / weight if traits.has_trials else 1.0
    discrete = traits.distribution.is_discrete
    tails, mean = traits.distribution.tails, np.full_like(y, 0.4)
    upper = tails(y, mean, values, np.full_like(y, weight)).lower
    below = y - step if discrete else y
    lower = tails(below, mean, values, np.full_like(y, weight)).lower
    share = np.random.default_rng(2).random(N_DRAWS)
    uniform = np.sort(lower + share * (upper - lower))
    distance = np.abs(uniform - (np.arange(N_DRAWS) + 0.5) / N_DRAWS).max()
    assert distance * np.sqrt(N_DRAWS) < 1.63  # its 99 % point


@pytest.mark.parametrize("weight", [1.0, 3.0])
@pytest.mark.parametrize("name", FAMILIES)
def test_draws_have_the_variance_function(name, weight):
    traits = FAMILIES[name]
    y, values = drawn(traits, weight, seed=3)
    scale = values[0] if any(shape.is_scale for shape in traits.shapes) else 1.0
    variance = scale * float(traits.variance(np.array([0.4]), values).value[0])
    variance /= weight if traits.weights != "cases" else 1.0
    assert_allclose(y.mean(), 0.4, atol=4.0 * np.sqrt(variance / N_DRAWS))
    error = np.std((y - 0.4) ** 2) / np.sqrt(N_DRAWS)
    assert_allclose(np.mean((y - 0.4) ** 2), variance, atol=4.0 * error)


@pytest.mark.parametrize("name", ALL)
def test_draws_are_responses_that_the_family_can_have(name):
    traits = ALL[name]
    y, _ = drawn(traits, 1e-3 if traits.weights == "precision" else 1.0, mean=0.01)
    assert traits.support.contains(y).all()


def test_counts_beyond_integers():
    mean = np.array([0.0, 5.0, 1e3 * MOST_DRAWN])
    y = draw_counts(np.random.default_rng(1), mean)
    assert y[0] == 0.0
    assert_allclose(y[2], mean[2], rtol=1e-8)
