"""Estimates of generalized models in the user's columns.

Held by tests/optimize/generalized/test_glmm_limits.py and
tests/optimize/generalized/test_fit_glmm.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.errors import FitError
from multilevel.optimize.common.differences import central_differences
from multilevel.optimize.generalized.objective import split_parameters
from multilevel.optimize.generalized.problem import GeneralizedProblem


def refuse_impossible_shapes(
    problem: GeneralizedProblem, params: FloatVector, name: str
) -> None:
    """Raise FitError if a shape parameter in params (d,) is not positive."""
    values = params[problem.n_fixed + problem.terms.n_theta :]
    for shape, value in zip(problem.family.shapes, values, strict=True):
        if not value > 0.0:
            raise FitError(f"{name} has {shape.name} {value:g}; it must be positive")


def user_params(problem: GeneralizedProblem, x: FloatVector) -> FloatVector:
    """[beta, theta, shape values] of the user's columns."""
    beta, theta, shapes = split_parameters(problem, x)
    theta = problem.working_terms.user_theta(theta)
    return np.concatenate([problem.fixed_transform @ beta, theta, np.exp(shapes)])


def working_params(problem: GeneralizedProblem, params: FloatVector) -> FloatVector:
    """[beta, theta, shapes] of the working columns."""
    p, m = problem.n_fixed, problem.terms.n_theta
    parts = [
        np.linalg.solve(problem.fixed_transform, params[:p]),
        problem.working_terms.working_theta(params[p : p + m]),
        np.log(params[p + m :]),
    ]
    return np.concatenate(parts)


def theta_jacobian(
    carry: Callable[[FloatVector], FloatVector],
    theta: FloatVector,
    units: FloatVector | None = None,
) -> FloatMatrix:
    """Derivatives of a change of columns in theta, (m, m), by central differences.

    `units` (m,) are those of theta's entries; one for each if they are not given.
    """
    m = len(theta)
    units = np.ones(m) if units is None else units
    # The change of columns is smooth and of order one in these units, so that a fixed
    # step loses half of the digits at most; standard errors need fewer.
    steps = 1e-6 * units * (np.abs(theta / units).max(initial=0.0) or 1.0)
    differences = central_differences(carry, theta, np.diag(steps))
    return np.reshape(differences, (m, m)).T / steps


def user_covariance(
    problem: GeneralizedProblem, x: FloatVector, covariance: FloatMatrix
) -> FloatMatrix:
    """Covariance of [beta, theta, shape values] from that of the working x, (d, d)."""
    p, m = problem.n_fixed, problem.terms.n_theta
    _, theta, shapes = split_parameters(problem, x)
    change = np.zeros((len(x), len(x)))
    change[:p, :p] = problem.fixed_transform
    change[p : p + m, p : p + m] = theta_jacobian(
        problem.working_terms.user_theta, theta
    )
    change[p + m :, p + m :] = np.diag(np.exp(shapes))
    return np.asarray(change @ covariance @ change.T)
