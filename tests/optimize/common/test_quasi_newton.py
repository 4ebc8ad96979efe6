"""The descent by gradients, and what it does where it is told wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.testing import assert_allclose

from multilevel.array_types import FloatVector
from multilevel.optimize.common.quasi_newton import MAX_IDLE, minimize_bfgs


@dataclass(frozen=True)
class Point:
    """The function at one point."""

    value: float
    gradient: FloatVector


@dataclass
class Recorded:
    """An objective that keeps where it was asked, and refuses some of the times."""

    function: Callable[[FloatVector], Point]
    refused: range = range(0)
    asked: list[FloatVector] = field(default_factory=list)

    def __call__(self, x: FloatVector) -> Point | None:
        self.asked.append(x)
        return None if len(self.asked) in self.refused else self.function(x)


def rosenbrock(x: FloatVector) -> Point:
    a, b = 1.0 - x[0], x[1] - x[0] ** 2
    gradient = np.array([-2.0 * a - 400.0 * x[0] * b, 200.0 * b])
    return Point(a**2 + 100.0 * b**2, gradient)


def bowl(x: FloatVector) -> Point:
    """x'Hx / 2 with H = diag(1, 10)."""
    gradient = np.array([1.0, 10.0]) * x
    return Point(float(x @ gradient) / 2.0, gradient)


def test_a_curved_valley_is_followed_to_its_end() -> None:
    start = np.array([-1.2, 1.0])
    objective = Recorded(rosenbrock)
    found = minimize_bfgs(objective, start, rosenbrock(start), np.eye(2))
    assert found.converged
    assert_allclose(found.x, [1.0, 1.0], atol=1e-4)
    assert found.evaluations == len(objective.asked) <= 60
    assert found.point.value == rosenbrock(found.x).value


def test_the_inverse_hessian_is_learnt() -> None:
    start = np.array([3.0, 0.7])
    found = minimize_bfgs(bowl, start, bowl(start), np.diag([0.5, 0.2]))
    assert found.converged
    assert_allclose(found.inverse_hessian, np.diag([1.0, 0.1]), atol=0.02)


def test_a_direction_that_leads_nowhere_is_left_for_the_first_one() -> None:
    """After thirty points that cannot be evaluated, what was learnt is forgotten."""
    start = np.array([1.0, 1.0])
    objective = Recorded(bowl, refused=range(2, 32))
    first = 0.05 * np.eye(2)
    found = minimize_bfgs(objective, start, bowl(start), first)
    left, again = objective.asked[0], objective.asked[31]
    assert_allclose(again, left - first @ bowl(left).gradient, rtol=1e-12)
    assert found.converged
    assert_allclose(found.x, 0.0, atol=1e-4)


def test_the_descent_ends_where_not_even_the_first_direction_leads_on() -> None:
    start = np.array([1.0, 1.0])
    found = minimize_bfgs(lambda _: None, start, bowl(start), np.eye(2))
    assert not found.converged
    assert found.evaluations == 30
    assert_allclose(found.x, start)


def test_steps_that_bring_nothing_end_the_descent() -> None:
    """The gradient promises a fall of 5e-9 that the value never shows."""
    flat = Point(1.0, np.array([1e-4]))
    found = minimize_bfgs(lambda _: flat, np.zeros(1), flat, np.eye(1))
    assert found.converged
    assert found.evaluations == MAX_IDLE


@pytest.mark.parametrize(
    ("longest", "reach", "first"), [(0.5, 0.2, 0.5), (0.5, 1.0, 1.0), (8.0, 1.0, 3.0)]
)
def test_steps_are_cut_to_the_longest_but_for_their_reach(
    longest: float, reach: float, first: float
) -> None:
    objective = Recorded(lambda x: Point(float(x @ x) / 2.0, x))
    start = np.array([3.0])
    found = minimize_bfgs(
        objective, start, Point(4.5, start), np.eye(1), longest=longest, reach=reach
    )
    assert_allclose(start - objective.asked[0], first)
    assert found.converged
