"""The log-likelihood in all parameters at once, [beta, theta, sigma].

For maximum likelihood only: with e = y - X beta,

    -2 l = log|M| - sum log w + n log(2 pi sigma^2) + e'V0^-1 e / sigma^2

Held by tests/optimize/linear/test_joint_likelihood.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.errors import FitError
from multilevel.likelihood.linear.prepared import LikelihoodPoint
from multilevel.likelihood.linear.profiled import LOG_2PI, profiled_curvature
from multilevel.likelihood.linear.theta_derivatives import (
    covariance_directions,
    theta_derivatives,
    theta_gradient,
)
from multilevel.optimize.common.differences import difference_hessian
from multilevel.optimize.linear.problem import LinearProblem
from multilevel.optimize.linear.theta_hessian import theta_scales


@dataclass(frozen=True, slots=True)
class _JointPoint:
    point: LikelihoodPoint  # at the given beta and sigma, working units
    theta: FloatVector
    beta_map: FloatMatrix  # d(working beta)/d(beta), (p, p)
    sigma: float  # working units
    scale: float


def split_params(
    problem: LinearProblem, params: FloatVector
) -> tuple[FloatVector, FloatVector, float]:
    """params -> beta (p,), theta (m,), sigma.

    Raises
    ------
    FitError
        If the length is not p + m + 1.
    """
    params = np.asarray(params, dtype=float)
    p, m = problem.n_fixed, problem.terms.n_theta
    if params.shape != (p + m + 1,):
        raise FitError(
            f"params has shape {params.shape}; this model has {p} fixed effects, "
            f"{m} covariance parameters theta and sigma: {p + m + 1} in all"
        )
    return params[:p], params[p : p + m], float(params[-1])


def _joint_point(problem: LinearProblem, params: FloatVector) -> _JointPoint:
    beta, theta, sigma = split_params(problem, params)
    basis = problem.basis
    scale = basis.response_scale
    point = problem.point(problem.user.lams(theta), reml=False)
    working = point.profiled.at(basis.working_beta(beta), (sigma / scale) ** 2)
    # The way back to the user's columns as a matrix, inverted: d(working)/d(user).
    beta_map = np.linalg.inv(basis.user_rows(np.eye(len(beta)))) / scale
    return _JointPoint(
        point=replace(point, profiled=working),  # type: ignore[type-var]
        theta=theta,
        beta_map=np.asarray(beta_map, dtype=float),
        sigma=sigma / scale,
        scale=scale,
    )


def loglike(problem: LinearProblem, params: FloatVector) -> float:
    """Log-likelihood at [beta, theta, sigma]."""
    joint = _joint_point(problem, params)
    profiled = joint.point.profiled
    squares = profiled.residual @ profiled.whitened @ profiled.residual
    n_rows = problem.n_rows
    deviance = (
        profiled.log_det
        - problem.products.sum_log_weights
        + n_rows * (LOG_2PI + 2.0 * np.log(abs(joint.sigma) * joint.scale))
        + squares / profiled.sigma2
    )
    return float(-0.5 * deviance)


def score(problem: LinearProblem, params: FloatVector) -> FloatVector:
    """Gradient of the log-likelihood in [beta, theta, sigma]."""
    return _score(problem, _joint_point(problem, params))


def _score(problem: LinearProblem, joint: _JointPoint) -> FloatVector:
    profiled = joint.point.profiled
    products = profiled.whitened @ profiled.residual
    in_beta = joint.beta_map.T @ products[:-1] / profiled.sigma2
    in_theta = -0.5 * theta_gradient(joint.point, problem.user, joint.theta)
    squares = profiled.residual @ products
    in_sigma = (squares / profiled.sigma2 - problem.n_rows) / joint.sigma
    return np.concatenate([in_beta, in_theta, [in_sigma / joint.scale]])


def hessian(problem: LinearProblem, params: FloatVector) -> FloatMatrix:
    """Second derivatives of the log-likelihood in [beta, theta, sigma].

    Analytic; where there are too many random effects for that, the theta block is by
    extrapolated differences of the analytic score.
    """
    joint = _joint_point(problem, np.asarray(params, dtype=float))
    profiled = joint.point.profiled
    p, m = problem.n_fixed, problem.terms.n_theta
    user = problem.user
    directions = covariance_directions(
        user.lams(joint.theta), user.jacobians(joint.theta)
    )
    _, cross = joint.point.working_products(directions)
    products = profiled.whitened @ profiled.residual
    sigma, scale, sigma2 = joint.sigma, joint.scale, profiled.sigma2
    out = np.zeros((p + m + 1, p + m + 1))
    beta_map = joint.beta_map
    out[:p, :p] = -beta_map.T @ profiled.whitened[:-1, :-1] @ beta_map / sigma2
    out[:p, p:-1] = -(cross[:, :-1] @ beta_map).T / sigma2
    out[:p, -1] = -2.0 * beta_map.T @ products[:-1] / (sigma2 * sigma * scale)
    out[p:-1, -1] = -(cross @ profiled.residual) / (sigma2 * sigma * scale)
    squares = profiled.residual @ products
    out[-1, -1] = (problem.n_rows - 3.0 * squares / sigma2) / (sigma2 * scale**2)
    # Filled above the diagonal only; theta's own block comes last, by its own means.
    out = np.triu(out) + np.triu(out, 1).T
    out[p:-1, p:-1] = _theta_block(problem, joint)
    return out


def _theta_block(problem: LinearProblem, joint: _JointPoint) -> FloatMatrix:
    """Second derivatives in theta with beta and sigma held where they are, (m, m)."""
    user, theta, point = problem.user, joint.theta, joint.point
    if not problem.prepared.has_exact_hessian:
        held = point.profiled

        def gradient(at: FloatVector) -> FloatVector:
            moved = problem.point(user.lams(at), reml=False)
            profiled = moved.profiled.at(held.beta, held.sigma2)
            there = replace(moved, profiled=profiled)  # type: ignore[type-var]
            return theta_gradient(there, user, at)

        scales = theta_scales(point, user, theta)
        return -0.5 * difference_hessian(gradient, theta, scales)
    derivatives = theta_derivatives(point, user, theta)
    directions = covariance_directions(user.lams(theta), user.jacobians(theta))
    quadratic, cross = point.working_products(directions)
    scaled, correction = profiled_curvature(point.profiled, quadratic, cross)
    # The Hessian of the profiled deviance lacks what profiling took off.
    profiling = 2.0 * (quadratic / point.profiled.sigma2 - scaled) + correction
    return -0.5 * (derivatives.hessian + profiling)
