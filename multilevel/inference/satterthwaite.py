"""Satterthwaite's denominator degrees of freedom.

The variance of an estimated contrast is a smooth function f of (theta, sigma); if its
estimate were a multiple of a chi-square, its degrees of freedom would be
2 f^2 / Var(f), and Var(f) follows from the covariance of the variance parameters by
the delta method.

Everything is computed in the working columns, where nothing depends on the units and
the origin of the user's columns; contrasts are carried there by a square root of the
covariance of the fixed effects.

References
----------
Fai & Cornelius (1996), J. Statist. Comput. Simul. 54, 363-378; Kuznetsova, Brockhoff
& Christensen (2017), J. Stat. Softw. 82(13), section 2.

Held by tests/inference/test_satterthwaite.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.inference.common_axes import common_axes
from multilevel.inference.estimable_hypotheses import independent_rows
from multilevel.likelihood.linear.prepared import LikelihoodPoint
from multilevel.likelihood.linear.theta_derivatives import covariance_directions
from multilevel.optimize.linear.estimates import fixed_root
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.optimize.linear.theta_hessian import theta_hessian

_FLAT = 1e-9
"""Curvature, relative to the largest, below which a direction has no variance."""


def variance_parameter_hessian(
    fitted: LinearFittedModel, point: LikelihoodPoint
) -> FloatMatrix:
    """Second derivatives of the deviance in (working theta, sigma), (m + 1, m + 1).

    The fixed effects are profiled out; restricted deviance for a REML fit. `point` is
    that of the estimates.
    """
    working, theta = fitted.problem.working, fitted.fit.working_theta
    profiled = point.profiled
    _, cross = point.working_products(
        covariance_directions(working.lams(theta), working.jacobians(theta))
    )
    slope = (cross @ profiled.residual) / profiled.sigma2  # -d(r^2)/dtheta / sigma^2
    m = len(theta)
    out = np.empty((m + 1, m + 1))
    # The Hessian in theta is that with sigma profiled out, which took slope slope'/nu
    # off: with d = log|M| + nu log(2 pi sigma^2) + r^2/sigma^2 and r^2 = nu sigma^2 the
    # other entries are 2 slope/sigma and 4 nu/sigma^2.
    in_theta = theta_hessian(fitted.problem, point, working, theta)
    out[:m, :m] = in_theta + np.outer(slope, slope) / profiled.nu
    out[:m, -1] = out[-1, :m] = 2.0 * slope / fitted.sigma
    out[-1, -1] = 4.0 * profiled.nu / fitted.scale
    return out


def variance_parameter_covariance(
    fitted: LinearFittedModel, point: LikelihoodPoint | None = None
) -> FloatMatrix:
    """Asymptotic covariance (m + 1, m + 1) of (working theta, sigma).

    Directions in which the deviance has no positive curvature, as at a singular fit,
    get no variance: the estimate cannot move along them. `point` is that of the
    estimates, if it is there already.
    """
    hessian = variance_parameter_hessian(fitted, point or fitted.point())
    # In units of each parameter's own curvature: sigma has the units of y, theta has
    # none.
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    keep = values > _FLAT * values[-1]
    root = vectors[:, keep] / np.sqrt(values[keep]) * scale[:, None]
    # Twice: the deviance is -2 times the log-likelihood, its Hessian twice the
    # information.
    return np.asarray(2.0 * root @ root.T)


@dataclass(frozen=True, slots=True)
class ContrastVariance:
    """What is needed for the degrees of freedom of any contrast.

    Parameters
    ----------
    root : (p, p)
        Square root of the covariance of the fixed effects, ``root root'``.
    slopes : (m + 1, p, p)
        Derivatives of that covariance in (working theta, sigma), from both sides by
        the root: ``root slopes[a] root'``.
    covariance : (m + 1, m + 1)
        Of (working theta, sigma).
    """

    root: FloatMatrix
    slopes: FloatArray
    covariance: FloatMatrix

    def gradient(self, L: FloatMatrix) -> tuple[FloatVector, FloatMatrix]:
        """Variances (rows,) of contrasts and their derivatives (rows, m + 1)."""
        rows = L @ self.root
        variance = np.einsum("rp,rp->r", rows, rows)
        return variance, np.einsum("rp,apq,rq->ra", rows, self.slopes, rows)

    def variance_df(
        self, variance: FloatVector, gradient: Callable[[], FloatMatrix]
    ) -> FloatVector:
        """Degrees of freedom (rows,) of any estimated variances.

        Parameters
        ----------
        variance : (rows,)
        gradient : callable
            Their derivatives (rows, m + 1) in (working theta, sigma).
        """
        return chi_square_df(variance, gradient(), self.covariance)

    def _standardized(self, slopes: FloatArray) -> FloatArray:
        """Slopes (m + 1, q, q) along uncorrelated variance parameters of variance 1."""
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        return np.asarray(np.einsum("ac,apq->cpq", root, slopes))

    def df(self, L: FloatMatrix) -> FloatVector:
        """Degrees of freedom (rows,) of each row of L (rows, p)."""
        return chi_square_df(*self.gradient(L), self.covariance)

    def f_df(self, L: FloatMatrix) -> float:
        """Denominator degrees of freedom of the F test of L beta = 0.

        The contrasts are rotated so that their estimates are uncorrelated. Of all
        such rotations it takes the one in which the derivatives of their covariance
        are as diagonal as can be, which is the same however the hypothesis is
        written: it finds contrasts that are estimated within different strata.

        Parameters
        ----------
        L : (rows, p)
            Rows that follow from others count once.
        """
        L = independent_rows(L, np.zeros(len(L)), np.linalg.norm(self.root, axis=1))[0]
        Q = np.linalg.qr((L @ self.root).T)[0]
        vectors = common_axes(self._standardized(Q.T @ self.slopes @ Q))
        own = np.einsum("pr,apq,qr->ra", vectors, Q.T @ self.slopes @ Q, vectors)
        df = chi_square_df(np.ones(len(own)), own, self.covariance)
        rank = len(df)
        if rank == 1 or np.isinf(df).all() or np.ptp(df) < 1e-8:
            return float(df.mean())
        # The F test has the df whose mean, df/(df - 2), is that of the squared t
        # statistics. With df <= 2 there is no mean; 2 is the limit, and no p-value
        # below it is claimed.
        if (df <= 2.0).any():
            return 2.0
        excess = float((2.0 / (df - 2.0)).sum())  # sum of df / (df - 2), less rank
        # Not sum - rank: with many df that difference has no digits left.
        return 2.0 * (excess + rank) / excess


def chi_square_df(
    variance: FloatVector, gradient: FloatMatrix, covariance: FloatMatrix
) -> FloatVector:
    """2 v^2 / Var(v) of estimated variances, (rows,).

    Parameters
    ----------
    variance : (rows,)
    gradient : (rows, m + 1)
        Derivatives in the variance parameters.
    covariance : (m + 1, m + 1)
        Of the variance parameters.
    """
    # Relative slopes: squares of variances in tiny units would underflow.
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = gradient / variance[:, None]
        spread = np.einsum("ra,ab,rb->r", relative, covariance, relative)
        df = 2.0 / spread
    # What has no variance is known: a row of zeros to predict.
    return np.where(variance == 0.0, np.inf, df)


def contrast_variance(fitted: LinearFittedModel) -> ContrastVariance:
    """Prepare the degrees of freedom of contrasts of one fit."""
    working, theta = fitted.problem.working, fitted.fit.working_theta
    point = fitted.point()
    directions = covariance_directions(working.lams(theta), working.jacobians(theta))
    inverse = point.profiled.RX_inverse
    p, m = len(fitted.beta), len(theta)
    slopes = np.zeros((m + 1, p, p))
    for E, dG in zip(point.whitened_columns(), directions, strict=True):
        # d(X'V0^-1 X)^-1 = (X'V0^-1 X)^-1 X'V0^-1 Z dG Z'V0^-1 X (X'V0^-1 X)^-1, with a
        # factor RX^-1 left out on both sides, which `root` puts back.
        fixed = np.einsum("saj,ab->sbj", E[:, :-1], inverse)
        sums = np.tensordot(fixed, fixed, axes=(2, 2))  # (S, p, S, p)
        slopes[:m] += np.einsum("apbq,mab->mpq", sums, dG)
    slopes[m] = 2.0 * np.eye(p) / fitted.sigma
    return ContrastVariance(
        root=fixed_root(fitted.problem, point),
        slopes=slopes,
        covariance=variance_parameter_covariance(fitted, point),
    )
