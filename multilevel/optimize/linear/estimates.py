"""Estimates in the user's columns, read off the deviance at one theta.

Held by tests/likelihood/linear/test_huge_ratios.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.linear.prepared import LikelihoodPoint
from multilevel.optimize.linear.problem import LinearProblem


@dataclass(frozen=True, slots=True)
class Estimates:
    """Fixed effects, residual standard deviation and conditional modes.

    Parameters
    ----------
    deviance : float
        -2 times the maximized (restricted) log-likelihood at the given theta.
    beta : (p,)
    cov_beta : (p, p)
    sigma : float
    modes : one (J, k) for each term
    """

    deviance: float
    beta: FloatVector
    cov_beta: FloatMatrix
    sigma: float
    modes: tuple[FloatMatrix, ...]


def fixed_root(problem: LinearProblem, point: LikelihoodPoint) -> FloatMatrix:
    """Square root (p, p) of the covariance of the fixed effects, not squared first.

    Products of contrasts with it lose no digits to the origin of the columns, as
    those with the covariance matrix would.
    """
    scale = problem.basis.response_scale * np.sqrt(point.profiled.sigma2)
    return np.asarray(problem.basis.user_rows(point.profiled.RX_inverse) * scale)


def fixed_covariance(problem: LinearProblem, point: LikelihoodPoint) -> FloatMatrix:
    """Covariance matrix of the fixed effects, (p, p)."""
    root = fixed_root(problem, point)
    return np.asarray(root @ root.T)


def estimates_at(problem: LinearProblem, point: LikelihoodPoint) -> Estimates:
    """Read the estimates off one evaluation."""
    profiled, basis = point.profiled, problem.basis
    return Estimates(
        deviance=profiled.deviance + problem.deviance_shift(reml=profiled.reml),
        beta=basis.user_beta(profiled.beta),
        cov_beta=fixed_covariance(problem, point),
        sigma=float(np.sqrt(profiled.sigma2) * basis.response_scale),
        modes=problem.working_terms.user_modes(
            [basis.response_scale * modes for modes in point.modes()]
        ),
    )


def evaluate(problem: LinearProblem, theta: FloatVector, *, reml: bool) -> Estimates:
    """Estimates with theta (m,) of the user's columns held fixed."""
    lams = problem.user.lams(np.asarray(theta, dtype=float))
    return estimates_at(problem, problem.point(lams, reml=reml))
