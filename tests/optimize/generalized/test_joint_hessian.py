"""Second derivatives: the guess that they are taken by does not matter."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from generalized_fits import problem_of
from multilevel.optimize.generalized.fit import fit_glmm
from multilevel.optimize.generalized.joint_hessian import (
    LONG_STEP,
    STEP,
    TOLERATED,
    JointHessian,
    _differenced,
    differenced_hessian,
    joint_hessian,
    parameter_covariance,
)
from multilevel.optimize.generalized.objective import evaluate_at
from multilevel.optimize.generalized.report import unknown_columns


def _point(frame):
    problem = problem_of("count ~ x + z + (1 | g) + (1 | h)", frame, "poisson")
    fit = fit_glmm(problem)
    return problem, evaluate_at(problem, fit.working_params, tolerance=1e-19)


def test_the_guess_does_not_matter(frame):
    problem, point = _point(frame)
    size = len(point.x)
    expected = joint_hessian(problem, point, 100.0 * np.eye(size)).matrix

    @settings(max_examples=10, deadline=None)
    @given(powers=st.lists(st.floats(1.0, 5.0), min_size=size, max_size=size))
    def check(powers):
        found = joint_hessian(problem, point, np.diag(10.0 ** np.array(powers)))
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        assert_allclose(found.matrix / scale, expected / scale, atol=1e-4)

    check()


def test_what_rounding_spoils_is_extrapolated_from_longer_steps():
    """f = exp(a'x) + exp(b'x), small, with a gradient wrong in the sixth digit."""
    slopes, at = np.array([[3.0, -1.0], [0.5, 2.0]]), np.array([-1.1, -1.3])
    rng = np.random.default_rng(5)

    def gradient(x):
        exact = slopes.T @ np.exp(slopes @ x)
        return exact * (1.0 + 3e-6 * rng.uniform(-1.0, 1.0, 2))

    expected = (slopes.T * np.exp(slopes @ at)) @ slopes
    root = np.linalg.cholesky(expected)
    found = differenced_hessian(gradient, at, expected)
    short = _differenced(gradient, at, JointHessian(expected, root, np.inf), STEP)
    assert short.error > TOLERATED
    # Halved long steps alone are off by the leading error of their differences.
    half = _differenced(gradient, at, found, LONG_STEP / 2.0)
    missed = [np.abs(h.whitened - np.eye(2)).max() for h in (short, half, found)]
    assert missed[2] < 0.2 * min(missed[:2])
    assert found.error < short.error


def test_a_curvature_that_is_lost_is_named(frame):
    problem, point = _point(frame)
    hessian = joint_hessian(problem, point, 100.0 * np.eye(len(point.x)))
    white = hessian.whitened.copy()
    assert not parameter_covariance(problem, hessian).unknown.size
    # The working direction that is the user's column x alone.
    along = np.linalg.solve(problem.fixed_transform, [0.0, 1.0, 0.0])
    direction = np.append(along / np.linalg.norm(along), [0.0, 0.0])
    across = np.eye(len(white)) - np.outer(direction, direction)
    blind = JointHessian(across @ white @ across, hessian.root, hessian.error)
    covariance = parameter_covariance(problem, blind)
    assert covariance.unknown.shape == (len(point.x), 1)
    assert unknown_columns(problem, covariance.unknown) == ("x",)
