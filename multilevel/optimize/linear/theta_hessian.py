"""Second derivatives of the deviance in theta, exact or by careful differences.

Held by tests/optimize/linear/test_theta_hessian.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.linear.prepared import LikelihoodPoint
from multilevel.likelihood.linear.theta_derivatives import (
    ThetaMap,
    covariance_directions,
    theta_derivatives,
    theta_gradient,
)
from multilevel.optimize.common.differences import difference_hessian
from multilevel.optimize.linear.problem import LinearProblem

_WIDEST = 10.0
"""Largest move, in units of the largest entry of a factor and of the residuals."""


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
