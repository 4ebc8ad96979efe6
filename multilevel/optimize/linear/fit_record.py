"""What a fit of a linear mixed model is: frozen values.

Held by tests/optimize/linear/test_fit_lmm.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.optimize.common.fit_record import OptimizationReport


@dataclass(frozen=True, slots=True)
class LMMFit:
    """Estimates of a linear mixed model.

    Parameters
    ----------
    criterion : {"REML", "ML"}
    theta : (m,)
        Unit-free covariance parameters, terms in formula order.
    working_theta : (m,)
        The same for the well-conditioned columns in which the optimizer works.
    beta : (p,)
        Fixed effects of the columns that are not aliased.
    cov_beta : (p, p)
    sigma : float
        Residual standard deviation.
    llf : float
        Maximized (restricted) log-likelihood.
    factors : one (k, k) for each term
        Relative covariance factors; Cov(b) = sigma^2 F F'.
    modes : one (J, k) for each term
        Conditional modes of the random effects.
    n_parameters : int
        p + m + 1.
    is_singular : bool
    report : OptimizationReport
    """

    criterion: str
    theta: FloatVector
    working_theta: FloatVector
    beta: FloatVector
    cov_beta: FloatMatrix
    sigma: float
    llf: float
    factors: tuple[FloatMatrix, ...]
    modes: tuple[FloatMatrix, ...]
    n_parameters: int
    is_singular: bool
    report: OptimizationReport
