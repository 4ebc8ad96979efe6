"""What the inner iterations ask of the likelihood of the rows.

Everything is a function of eta (..., n), the last axis being the rows, and of `shapes`
(s,), the logarithms of the shape parameters that are estimated, such as a dispersion or
a size; many families have none.

Held by tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector


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
class ShapeTerms:
    """Derivatives in each of the shapes.

    Parameters
    ----------
    total : (s,)
        Of the log-likelihood, normalizer included.
    score : (s, n)
        Of l'.
    weight : (s, n)
        Of w.
    """

    total: FloatVector
    score: FloatMatrix
    weight: FloatMatrix


class RowLikelihood(Protocol):
    """log p(y_i | eta_i) of every row, with the response and prior weights bound."""

    @property
    def n_shapes(self) -> int:
        """s, the number of shape parameters that are estimated."""

    def terms(self, eta: FloatVector, shapes: FloatVector) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""

    def third(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """w' = -l''', (n,)."""

    def expected_weight(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """The expectation of w, never negative, (n,)."""

    def density(
        self, eta: FloatArray, shapes: FloatVector
    ) -> tuple[FloatArray, FloatArray]:
        """log p less the normalizer, and l', by row: (..., n)."""

    def normalizer(self, shapes: FloatVector) -> FloatVector:
        """What `density` leaves out of log p, (n,)."""

    def shape_terms(self, eta: FloatVector, shapes: FloatVector) -> ShapeTerms:
        """Derivatives in the shapes."""

    def shape_density(self, eta: FloatArray, shapes: FloatVector) -> FloatArray:
        """Derivatives of log p, normalizer included, by row: (s, ..., n)."""

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


class WithoutShapes:
    """What row likelihoods share that have no shape parameter."""

    __slots__ = ()

    @property
    def n_shapes(self) -> int:
        """Zero."""
        return 0

    def shape_terms(self, eta: FloatVector, shapes: FloatVector) -> ShapeTerms:
        """None."""
        none = np.zeros((0, len(eta)))
        return ShapeTerms(np.zeros(0), none, none)

    def shape_density(self, eta: FloatArray, shapes: FloatVector) -> FloatArray:
        """None."""
        return np.zeros((0, *eta.shape))
