"""What the inner iterations ask of the likelihood of the rows.

Everything is a function of eta (..., n), the last axis being the rows, and of the
logarithm of the dispersion parameter where the family has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, Protocol

from multilevel.array_types import FloatArray, FloatVector, IntVector


@dataclass(frozen=True, slots=True)
class RowTerms:
    """The log-likelihood at eta and what a Newton step needs.

    Parameters
    ----------
    total : float
        Sum of log p(y | eta) over rows, less the normalizer; NaN or -inf outside the
        domain.
    score : (n,)
        l', derivatives of log p in eta.
    weight : (n,)
        w = -l'', the observed information.
    """

    total: float
    score: FloatVector
    weight: FloatVector


@dataclass(frozen=True, slots=True)
class DispersionTerms:
    """Derivatives in the logarithm of the dispersion parameter.

    Parameters
    ----------
    total : float
        Of the log-likelihood, normalizer included.
    score : (n,)
        Of l'.
    weight : (n,)
        Of w.
    """

    total: float
    score: FloatVector
    weight: FloatVector


class RowLikelihood(Protocol):
    """log p(y_i | eta_i) of every row, with the response and prior weights bound."""

    @property
    def has_dispersion(self) -> bool:
        """Whether a dispersion parameter is estimated."""

    def terms(self, eta: FloatVector, log_dispersion: float) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""

    def third(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """w' = -l''', (n,)."""

    def expected_weight(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """The expectation of w, never negative, (n,)."""

    def density(
        self, eta: FloatArray, log_dispersion: float
    ) -> tuple[FloatArray, FloatArray]:
        """log p less the normalizer, and l', by row: (..., n)."""

    def normalizer(self, log_dispersion: float) -> FloatVector:
        """What `density` leaves out of log p, (n,)."""

    def dispersion(self, eta: FloatVector, log_dispersion: float) -> DispersionTerms:
        """Derivatives in the logarithm of the dispersion parameter."""

    def dispersion_density(self, eta: FloatArray, log_dispersion: float) -> FloatArray:
        """Derivative of log p, normalizer included, by row: (..., n)."""

    def starting_mean(self) -> FloatVector:
        """The responses moved inside the range of the mean, (n,)."""

    @property
    def can_merge(self) -> bool:
        """Whether rows with one eta may be merged without loss."""

    def merge(self, group: IntVector, n_groups: int) -> RowLikelihood:
        """The likelihood of merged rows.

        Parameters
        ----------
        group : (n,)
            0 .. n_groups - 1; the rows of a group have the same eta.
        n_groups : int
        """

    def take(self, rows: IntVector | slice) -> RowLikelihood:
        """The same for some rows."""


class DistinctRows:
    """What row likelihoods share whose responses are not summed up by one number."""

    __slots__ = ()

    @property
    def can_merge(self) -> bool:
        """False."""
        return False

    def merge(self, group: IntVector, n_groups: int) -> NoReturn:
        """Refused."""
        raise NotImplementedError("rows of this family are not merged")
