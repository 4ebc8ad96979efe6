"""Satterthwaite's denominator degrees of freedom.

The variance of an estimated contrast is a smooth function f of (theta, sigma); if its
estimate were a multiple of a chi-square, its degrees of freedom would be
2 f^2 / Var(f), and Var(f) follows from the covariance of the variance parameters by
the delta method.

References
----------
Fai & Cornelius (1996), J. Statist. Comput. Simul. 54, 363-378; Kuznetsova, Brockhoff
& Christensen (2017), J. Stat. Softw. 82(13), section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.evaluation import has_exact_hessian
from multilevel.likelihood.theta_derivatives import (
    covariance_directions,
    theta_derivatives,
    theta_gradient,
)
from multilevel.optimize.fit_record import LMMFit
from multilevel.optimize.joint_likelihood import theta_steps
from multilevel.optimize.linear_problem import LinearProblem


def variance_parameter_hessian(problem: LinearProblem, fit: LMMFit) -> FloatMatrix:
    """Second derivatives of the deviance in (theta, sigma), (m + 1, m + 1).

    The fixed effects are profiled out; restricted deviance for a REML fit.
    """
    reml = fit.criterion == "REML"
    user, theta = problem.user, fit.theta
    lams = user.factors(theta)
    point = problem.point(lams, reml=reml)
    profiled = point.profiled
    _, cross = point.working_products(
        covariance_directions(lams, user.jacobians(theta))
    )
    slope = (cross @ profiled.residual) / profiled.sigma2  # -d(r^2)/dtheta / sigma^2
    m = len(theta)
    out = np.empty((m + 1, m + 1))
    if has_exact_hessian(problem.prepared):
        in_theta = theta_derivatives(point, user, theta).hessian
    else:
        in_theta = _difference_hessian(problem, theta, reml=reml)
    out[:m, :m] = in_theta + np.outer(slope, slope) / profiled.nu
    out[:m, -1] = out[-1, :m] = 2.0 * slope / fit.sigma
    out[-1, -1] = 4.0 * profiled.nu / fit.sigma**2
    return out


def _difference_hessian(
    problem: LinearProblem, theta: FloatVector, *, reml: bool
) -> FloatMatrix:
    user, steps = problem.user, theta_steps(problem, theta)
    out = np.empty((len(theta), len(theta)))
    for a, step in enumerate(steps):
        shift = np.zeros(len(theta))
        shift[a] = step
        gradients = [
            theta_gradient(problem.point(user.factors(at), reml=reml), user, at)
            for at in (theta + shift, theta - shift)
        ]
        out[a] = (gradients[0] - gradients[1]) / (2.0 * step)
    return (out + out.T) / 2.0


def variance_parameter_covariance(problem: LinearProblem, fit: LMMFit) -> FloatMatrix:
    """Asymptotic covariance (m + 1, m + 1) of (theta, sigma).

    Directions in which the deviance has no positive curvature, as at a singular fit,
    get no variance: the estimate cannot move along them.
    """
    hessian = variance_parameter_hessian(problem, fit)
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    keep = values > 1e-9 * values[-1]
    root = vectors[:, keep] / np.sqrt(values[keep]) * scale[:, None]
    return np.asarray(2.0 * root @ root.T)


@dataclass(frozen=True, slots=True)
class ContrastVariance:
    """What is needed for the degrees of freedom of any contrast.

    Parameters
    ----------
    cov_beta : (p, p)
    slopes : (m + 1, p, p)
        Derivatives of `cov_beta` in (theta, sigma).
    covariance : (m + 1, m + 1)
        Of (theta, sigma).
    """

    cov_beta: FloatMatrix
    slopes: FloatMatrix
    covariance: FloatMatrix

    def df(self, L: FloatMatrix) -> FloatVector:
        """Degrees of freedom (rows,) of each row of L (rows, p)."""
        variance = np.einsum("ri,ij,rj->r", L, self.cov_beta, L)
        slope = np.einsum("ri,aij,rj->ra", L, self.slopes, L)
        spread = np.einsum("ra,ab,rb->r", slope, self.covariance, slope)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(2.0 * variance**2 / spread)

    def f_df(self, L: FloatMatrix) -> float:
        """Denominator degrees of freedom of the F test of L beta = 0."""
        values, vectors = np.linalg.eigh(L @ self.cov_beta @ L.T)
        keep = values > 1e-10 * values[-1]
        df = self.df(vectors[:, keep].T @ L)
        rank = len(df)
        if rank == 1 or np.ptp(df) < 1e-8:
            return float(df.mean())
        if (df <= 2.0).any():
            return 2.0
        total = float((df / (df - 2.0)).sum())
        return 2.0 * total / (total - rank)


def contrast_variance(problem: LinearProblem, fit: LMMFit) -> ContrastVariance:
    """Prepare the degrees of freedom of contrasts of one fit."""
    reml = fit.criterion == "REML"
    user, theta = problem.user, fit.theta
    lams = user.factors(theta)
    point = problem.point(lams, reml=reml)
    directions = covariance_directions(lams, user.jacobians(theta))
    inverse = point.profiled.RX_inverse
    p, m = problem.n_fixed, len(theta)
    slopes = np.zeros((m + 1, p, p))
    for E, dG in zip(point.whitened_fixed(), directions, strict=True):
        fixed = np.einsum("saj,ab->sbj", E[:, :-1], inverse)
        sums = np.tensordot(fixed, fixed, axes=(2, 2))  # (S, p, S, p)
        slopes[:m] += np.einsum("apbq,mab->mpq", sums, dG)
    root = problem.basis.user_rows(inverse) * fit.sigma
    slopes = root @ slopes @ root.T
    slopes[m] = 2.0 * fit.cov_beta / fit.sigma
    return ContrastVariance(
        fit.cov_beta, slopes, variance_parameter_covariance(problem, fit)
    )


def satterthwaite_df(
    problem: LinearProblem, fit: LMMFit, L: FloatMatrix
) -> FloatVector:
    """Degrees of freedom (rows,) of contrasts L (rows, p)."""
    return contrast_variance(problem, fit).df(np.atleast_2d(L))
