"""The deviance with fixed effects and residual variance profiled out.

Held by tests/likelihood/linear/test_dense_likelihood.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.algebra.triangular import upper_inverse

LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True)
class ProfiledDeviance:
    """Deviance at one theta, with the quantities that its derivatives need.

    Parameters
    ----------
    deviance : float
        log|M| + nu (1 + log(2 pi r^2 / nu)), with log|X'V0^-1 X| added for REML.
    beta : (p,)
        Working fixed effects.
    sigma2 : float
        r^2 / nu, in squared units of the working response.
    RX_inverse : (p, p)
        Upper triangular; its product with its transpose is (X'V0^-1 X)^-1.
    residual : (p + 1,)
        [-beta, 1]: times the columns of [X y] it gives the residual.
    nu : int
        n for ML, n - p for REML.
    reml : bool
    whitened : (p + 1, p + 1)
        [X y]'V0^-1 [X y].
    log_det : float
        log|M|.
    """

    deviance: float
    beta: FloatVector
    sigma2: float
    RX_inverse: FloatMatrix
    residual: FloatVector
    nu: int
    reml: bool
    whitened: FloatMatrix
    log_det: float

    def at(self, beta: FloatVector, sigma2: float) -> ProfiledDeviance:
        """The same products with other fixed effects and residual variance, by ML."""
        return replace(
            self,
            beta=beta,
            sigma2=sigma2,
            residual=np.append(-beta, 1.0),
            reml=False,
        )

    def outer(self) -> FloatMatrix:
        """Derivative of the deviance in [X y]'V0^-1 [X y], (p + 1, p + 1)."""
        outer = np.outer(self.residual, self.residual) / self.sigma2
        if self.reml:
            outer[:-1, :-1] += self.RX_inverse @ self.RX_inverse.T
        return np.asarray(outer)


def profile_deviance(
    whitened: FloatMatrix, log_det: float, n_rows: int, *, reml: bool
) -> ProfiledDeviance:
    """Profile beta and sigma out of the deviance.

    Parameters
    ----------
    whitened : (p + 1, p + 1)
        [X y]'V0^-1 [X y].
    log_det : float
        log|M|.
    n_rows : int
    reml : bool

    References
    ----------
    Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 3.4.
    """
    n_fixed = len(whitened) - 1
    nu = n_rows - n_fixed if reml else n_rows
    RX: FloatMatrix = np.zeros((0, 0))
    if n_fixed:
        RX = np.asarray(np.linalg.cholesky(whitened[:-1, :-1]).T, dtype=float)
    # Small and triangular, and wanted as a matrix: for the covariance of beta and
    # for all that is projected off X.
    RX_inverse = upper_inverse(RX)
    cbeta = RX_inverse.T @ whitened[:-1, -1]
    beta = RX_inverse @ cbeta
    # The floor is far below rounding error; it keeps a perfect fit finite.
    pwrss = max(whitened[-1, -1] - cbeta @ cbeta, 1e-300)
    deviance = log_det + nu * (1.0 + LOG_2PI + np.log(pwrss / nu))
    if reml:
        deviance += 2.0 * np.log(np.diag(RX)).sum()
    residual = np.append(-beta, 1.0)
    return ProfiledDeviance(
        deviance=float(deviance),
        beta=beta,
        sigma2=float(pwrss / nu),
        RX_inverse=RX_inverse,
        residual=residual,
        nu=nu,
        reml=reml,
        whitened=whitened,
        log_det=log_det,
    )


def profiled_curvature(
    profiled: ProfiledDeviance, quadratic: FloatMatrix, cross: FloatMatrix
) -> tuple[FloatMatrix, FloatMatrix]:
    """f_a'P0 f_b / sigma^2, and what profiling sigma out takes off, both (m, m).

    Parameters
    ----------
    quadratic : (m, m)
        f_a'V0^-1 f_b of the working variates f_a.
    cross : (m, p + 1)
        f_a'V0^-1 [X y].
    """
    # The part of the working variates that X takes up, in orthonormal coordinates.
    along = cross[:, :-1] @ profiled.RX_inverse
    # f_a'V0^-1 (y - X beta), which is minus the slope of r^2 along dG_a.
    length = cross @ profiled.residual
    scaled = (quadratic - along @ along.T) / profiled.sigma2
    return scaled, np.outer(length, length) / (profiled.nu * profiled.sigma2**2)
