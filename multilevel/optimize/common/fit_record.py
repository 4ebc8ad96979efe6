"""What a fit is: frozen values, nothing that a later fit could change.

Held by tests/optimize/linear/test_fit_lmm.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from multilevel.array_types import FloatMatrix, FloatVector


@dataclass(frozen=True, slots=True)
class OptimizationReport:
    """How the optimum was found.

    Parameters
    ----------
    converged : bool
    evaluations : int
        Of the deviance with its derivatives.
    gradient_norm : float
        Largest absolute derivative of the deviance in theta, of the working columns.
    expected_gain : float
        By how much the deviance could still fall, by its quadratic model.
    boundary : dict
        Parameters on the edge of the parameter space, by name, with their values.
    message : str
        The outcome in one line.
    seconds : float
        Wall time of the optimization.
    """

    converged: bool
    evaluations: int
    gradient_norm: float
    expected_gain: float
    boundary: dict[str, float]
    message: str
    seconds: float


class FitRecord(Protocol):
    """What the records of linear and generalized fits have in common."""

    @property
    def criterion(self) -> str:
        """What was maximized."""

    @property
    def theta(self) -> FloatVector:
        """Covariance parameters (m,), terms in formula order."""

    @property
    def working_theta(self) -> FloatVector:
        """The same for the columns in which the optimizer works."""

    @property
    def beta(self) -> FloatVector:
        """Fixed effects (p,) of the columns that are not aliased."""

    @property
    def cov_beta(self) -> FloatMatrix:
        """Their covariance matrix (p, p)."""

    @property
    def sigma(self) -> float:
        """Unit of `factors`."""

    @property
    def factors(self) -> tuple[FloatMatrix, ...]:
        """One (k, k) for each term; Cov(b) = sigma^2 F F'."""

    @property
    def modes(self) -> tuple[FloatMatrix, ...]:
        """Conditional modes, one (J, k) for each term."""

    @property
    def llf(self) -> float:
        """Maximized log-likelihood, restricted or approximate."""

    @property
    def n_parameters(self) -> int:
        """Variance parameters included."""

    @property
    def is_singular(self) -> bool:
        """Whether an estimated covariance matrix is singular."""

    @property
    def report(self) -> OptimizationReport:
        """How the optimum was found."""
