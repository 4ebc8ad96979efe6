"""Standard deviations and correlations of a square root, and how they move."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from multilevel.covariance.standard_deviations import StandardDeviations


@pytest.fixture
def root():
    return np.random.default_rng(3).normal(size=(3, 4))


def test_they_are_those_of_the_covariance(root):
    found, covariance = StandardDeviations.of(root), root @ root.T
    sd = np.sqrt(np.diag(covariance))
    assert_allclose(found.sd, sd)
    assert_allclose(found.correlation, covariance / np.outer(sd, sd))


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_sizes_whose_squares_are_no_numbers(root, size):
    found = StandardDeviations.of(size * root)
    assert_allclose(found.sd, size * StandardDeviations.of(root).sd)
    assert_allclose(found.correlation, StandardDeviations.of(root).correlation)


def test_an_effect_without_variance_has_no_correlation(root):
    found = StandardDeviations.of(root * [[1.0], [0.0], [1.0]])
    assert found.sd[1] == 0.0
    assert np.isnan(found.correlation[1]).all()
    assert_allclose(
        found.correlation[0, 2], StandardDeviations.of(root).correlation[0, 2]
    )


def test_slopes_are_differences(root):
    moves = np.random.default_rng(4).normal(size=(2, 3, 4))
    found, step = StandardDeviations.of(root), 1e-6
    for a, move in enumerate(moves):
        after, before = (
            StandardDeviations.of(root + sign * step * move) for sign in (1, -1)
        )
        slope = (after.sd - before.sd) / (2 * step)
        assert_allclose(found.sd_slopes(moves)[a], slope, rtol=1e-7, atol=1e-8)
        turn = (after.correlation - before.correlation) / (2 * step)
        assert_allclose(found.correlation_slopes(moves)[a], turn, rtol=1e-6, atol=1e-8)
