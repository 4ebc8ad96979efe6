"""Second derivatives of the deviance in theta, exact or by careful differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.linear.prepared import LikelihoodPoint
from multilevel.likelihood.linear.theta_derivatives import (
    ThetaMap,
    covariance_directions,
    theta_derivatives,
    theta_gradient,
)
from multilevel.optimize.linear.problem import LinearProblem

_FIRST_STEP = 0.2
"""Of the differences, in units of a parameter's own scale."""

_HALVINGS = 8

_WIDEST = 10.0
"""Largest move, in units of the largest entry of a factor and of the residuals."""

_ENOUGH = 1e-9
"""Relative error estimate at which steps are not halved further."""


def theta_hessian(
    problem: LinearProblem,
    point: LikelihoodPoint,
    theta_map: ThetaMap,
    theta: FloatVector,
) -> FloatMatrix:
    """Hessian (m, m) of the profiled deviance.

    Exact where there is an exact one; else differences of the exact gradient, see
    `difference_hessian`.

    Parameters
    ----------
    problem : LinearProblem
    point : LikelihoodPoint
        At theta.
    theta_map : ThetaMap
        From theta to the factors of the working columns.
    theta : (m,)
    """
    if problem.prepared.has_exact_hessian:
        return theta_derivatives(point, theta_map, theta).hessian
    reml = point.profiled.reml

    def gradient(at: FloatVector) -> FloatVector:
        moved = problem.point(theta_map.lams(at), reml=reml)
        return theta_gradient(moved, theta_map, at)

    return difference_hessian(gradient, theta, theta_scales(point, theta_map, theta))


def theta_scales(
    point: LikelihoodPoint, theta_map: ThetaMap, theta: FloatVector
) -> FloatVector:
    """How far each parameter moves for the deviance to rise by about one, (m,).

    By the size of the terms that make up the information about it, which has no sign:
    far from the optimum the curvature may be negative.
    """
    lams, jacobians = theta_map.lams(theta), theta_map.jacobians(theta)
    directions = covariance_directions(lams, jacobians)
    information = np.abs(np.diag(point.hessian(directions)))
    length = np.zeros(len(theta))
    for gamma, jacobian in zip(point.gradients(), jacobians, strict=True):
        across = np.einsum("aij,ik,akj->a", jacobian, gamma, jacobian)
        information = information + 2.0 * np.abs(across)
        length = np.maximum(length, np.abs(jacobian).max(axis=(1, 2), initial=0.0))
    # Of a parameter that the deviance does not depend on, as far as the factors of the
    # unit-free columns are wide.
    widest = max((float(np.abs(lam).max(initial=0.0)) for lam in lams), default=0.0)
    most = _WIDEST * (1.0 + widest) / np.maximum(length, 1e-300)
    with np.errstate(divide="ignore"):
        return np.minimum(1.0 / np.sqrt(information), most)


def difference_hessian(
    gradient: Callable[[FloatVector], FloatVector],
    theta: FloatVector,
    scales: FloatVector,
) -> FloatMatrix:
    """Hessian (m, m) by central differences of a gradient, extrapolated.

    Each column is extrapolated to a step of zero (Ridders), with the steps halved for
    as long as the estimate of its error falls.

    Parameters
    ----------
    gradient : callable
        (m,) -> (m,).
    theta : (m,)
    scales : (m,)
        Step sizes over which the function changes noticeably.

    References
    ----------
    Ridders (1982), Advances in Engineering Software 4, 75-76.
    """
    out = np.empty((len(theta), len(theta)))
    for a, scale in enumerate(scales):
        direction = np.zeros(len(theta))
        direction[a] = scale

        def difference(h: float, along: FloatVector = direction) -> FloatVector:
            ahead, behind = gradient(theta + h * along), gradient(theta - h * along)
            # In units of the scales, so that errors of all entries compare.
            return (ahead - behind) * scales / (2.0 * h)

        out[a] = _ridders(difference)
    out /= np.outer(scales, scales)
    return (out + out.T) / 2.0


def _ridders(difference: Callable[[float], FloatVector]) -> FloatVector:
    """Limit of central differences as the step goes to zero."""
    step = _FIRST_STEP
    row: list[FloatArray] = [_or_nan(difference, step)]
    best, error = row[0], np.inf
    for _ in range(_HALVINGS):
        step /= 2.0
        new: list[FloatArray] = [_or_nan(difference, step)]
        for k, old in enumerate(row):
            power = 4.0 ** (k + 1)
            # The error of a central difference is a series in h^2: each column of the
            # table takes one more term of it off.
            new.append((power * new[k] - old) / (power - 1.0))
            change = max(np.abs(new[-1] - new[-2]).max(), np.abs(new[-1] - old).max())
            if change < error or not np.isfinite(best).all():
                best, error = new[-1], float(np.nan_to_num(change, nan=np.inf))
        size = max(float(np.abs(best).max(initial=0.0)), 1e-300)
        # From here rounding grows as the step shrinks, and no further column helps.
        worse = np.abs(new[-1] - row[-1]).max() > 2.0 * error
        if error <= _ENOUGH * size or (worse and np.isfinite(error)):
            break
        row = new
    return best


def _or_nan(difference: Callable[[float], FloatVector], step: float) -> FloatVector:
    """A difference; NaN where the deviance cannot be evaluated so far away."""
    try:
        return difference(step)
    except np.linalg.LinAlgError:
        return np.full(1, np.nan)
