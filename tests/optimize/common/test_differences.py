"""Central differences: exact where they should be, no more calls than needed."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from multilevel.array_types import FloatVector
from multilevel.optimize.common.differences import (
    central_differences,
    difference_hessian,
)


def test_differences_of_a_quadratic_function_are_its_slopes_times_the_steps() -> None:
    curvature = np.array([[2.0, 0.5], [0.5, 3.0]])
    x, steps = np.array([0.3, -1.0]), np.array([[0.1, 0.0], [0.2, -0.4], [0.0, 2.0]])
    found = central_differences(lambda at: np.asarray(at @ curvature @ at), x, steps)
    assert_allclose(found, steps @ (2.0 * curvature @ x), rtol=1e-13)


def test_two_halvings_are_enough_for_a_cubic_gradient() -> None:
    """Its differences are off by h^2 alone: one extrapolation removes it."""
    asked: list[float] = []

    def gradient(at: FloatVector) -> FloatVector:
        asked.append(float(at[0]))
        return at**3

    found = difference_hessian(gradient, np.array([0.7]), np.array([1.0]))
    assert_allclose(found, [[3 * 0.7**2]], rtol=1e-13)
    assert_allclose(np.abs(np.array(asked) - 0.7), np.repeat([0.2, 0.1, 0.05], 2))
