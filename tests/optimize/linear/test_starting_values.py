"""Starting values by moments: of the right size, and never on the edge."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.optimize.linear.starting_values import (
    relative_variances,
    starting_theta,
)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_moments_are_near_the_ratios_that_drew_the_data(ratio: float) -> None:
    rng = np.random.default_rng(1)
    g, h = np.indices((60, 50)).reshape(2, -1)
    y = ratio * rng.normal(size=60)[g] + 1.5 * rng.normal(size=50)[h]
    data = {"g": g, "h": h, "y": y + rng.normal(size=len(g))}
    problem = ml.mixedlm("y ~ 1 + (1 | g) + (1 | h)", data).problem
    found = np.concatenate(relative_variances(problem.products))
    assert_allclose(np.sqrt(found), [ratio, 1.5], rtol=0.25)
    assert_allclose(starting_theta(problem.products, problem.terms), np.sqrt(found))


def test_negative_moments_start_away_from_zero() -> None:
    """Zero is a stationary point whatever the data, so no descent may begin there."""
    g = np.repeat(np.arange(10), 4)
    y = np.tile([-1.0, 0.0, 0.5, 0.5], 10)  # the same mean in each group
    problem = ml.mixedlm("y ~ 1 + (1 | g)", {"y": y, "g": g}).problem
    assert_allclose(relative_variances(problem.products)[0], [0.2 / 4.0])
