"""What counts as being on the edge, and what is named."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.optimize.common.singularity import (
    SINGULAR,
    boundary_parameters,
    is_singular,
    nearest_singular,
)


@pytest.fixture(scope="module")
def problem():
    data = ml.datasets.load("sleepstudy")
    return ml.mixedlm("Reaction ~ Days + (Days | Subject)", data).problem


def _factor(sd_intercept: float, sd_days: float, correlation: float) -> np.ndarray:
    below = sd_days * np.sqrt(1.0 - correlation**2)
    return np.array([[sd_intercept, 0.0], [sd_days * correlation, below]])


@pytest.mark.parametrize(
    ("factor", "unit", "named"),
    [
        (_factor(1.0, 0.2, 0.9999), 1.0, {}),
        (_factor(1.0, 0.2, 1.0 - 1e-9), 1.0, {"cor(Intercept, Days | Subject)": 1.0}),
        (_factor(1.0, 0.2, -1.0), 1.0, {"cor(Intercept, Days | Subject)": -1.0}),
        (_factor(0.0, 0.2, 0.5), 1.0, {"sd(Intercept | Subject)": 0.0}),
        (_factor(1.0, 0.0, 0.0), 1.0, {"sd(Days | Subject)": 0.0}),
        # Relative to what is told of one row, and for columns of unit size.
        (_factor(5.0 * SINGULAR, 1.0, 0.0), 1.0, {}),
        (_factor(5.0 * SINGULAR, 1.0, 0.0), 10.0, {"sd(Intercept | Subject)": 5e-4}),
        (_factor(1.0, 0.5 * SINGULAR, 0.0), 1.0, {}),
    ],
)
def test_deviations_of_zero_and_correlations_of_one_are_named(
    problem, factor, unit, named
) -> None:
    assert boundary_parameters(problem, [factor], unit=unit) == named


@pytest.mark.parametrize(("least", "singular"), [(2.0, False), (0.5, True)])
def test_the_least_direction_decides(problem, least, singular) -> None:
    theta = problem.terms.theta_of([_factor(1.0, least * SINGULAR, 0.0)])
    assert is_singular(problem, theta) == singular
    assert is_singular(problem, 10.0 * theta, unit=10.0) == singular
    assert is_singular(problem, theta, unit=100.0)


def test_small_directions_are_set_to_zero_and_no_others(problem) -> None:
    terms = problem.terms
    theta = terms.theta_of([_factor(1.0, 0.02, 0.95)])
    assert nearest_singular(problem, theta, below=1e-3) is None
    (edge,) = terms.term_factors(nearest_singular(problem, theta, below=1e-2))
    # The direction of the correlation is left, the one across it is gone.
    assert_allclose(np.linalg.det(edge), 0.0, atol=1e-12)
    assert_allclose(edge @ edge.T, np.outer(edge[:, 0], edge[:, 0]), atol=1e-12)
    (before,) = terms.term_factors(theta)
    assert_allclose(edge @ edge.T, before @ before.T, atol=1e-4)
    gone = nearest_singular(problem, terms.theta_of([np.zeros((2, 2))]), below=1e-2)
    assert gone is None
