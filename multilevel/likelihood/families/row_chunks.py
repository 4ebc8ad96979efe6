"""Rows worked on piece by piece, so that what is in between stays in cache.

Held by tests/likelihood/generalized/test_laplace.py and
tests/optimize/generalized/test_glmm_limits.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatVector, IntVector
from multilevel.likelihood.families.row_likelihood import (
    RowLikelihood,
    RowTerms,
    ShapeTerms,
)

PIECE = 8_192
"""Rows of a piece: its arrays fit into the cache, and the allocator keeps them."""


@dataclass(frozen=True, slots=True)
class RowChunks:
    """A likelihood whose vectors are computed piece by piece.

    Parameters
    ----------
    whole : RowLikelihood
    pieces : the same likelihood for consecutive rows
    """

    whole: RowLikelihood
    pieces: tuple[tuple[slice, RowLikelihood], ...]

    @property
    def n_shapes(self) -> int:
        """How many shape parameters are estimated."""
        return self.whole.n_shapes

    @property
    def can_merge(self) -> bool:
        """Whether rows with one eta may be merged without loss."""
        return self.whole.can_merge

    def terms(self, eta: FloatVector, shapes: FloatVector) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""
        total, score, weight = 0.0, np.empty_like(eta), np.empty_like(eta)
        for rows, piece in self.pieces:
            terms = piece.terms(eta[rows], shapes)
            total += terms.total
            score[rows], weight[rows] = terms.score, terms.weight
        return RowTerms(total, score, weight)

    def third(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """w'."""
        out = np.empty_like(eta)
        for rows, piece in self.pieces:
            out[rows] = piece.third(eta[rows], shapes)
        return out

    def expected_weight(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """The expectation of w."""
        out = np.empty_like(eta)
        for rows, piece in self.pieces:
            out[rows] = piece.expected_weight(eta[rows], shapes)
        return out

    def density(
        self, eta: FloatArray, shapes: FloatVector
    ) -> tuple[FloatArray, FloatArray]:
        """log p less the normalizer, and l', by row."""
        # The quadrature has cut the rows into pieces already, times its nodes.
        return self.whole.density(eta, shapes)

    def normalizer(self, shapes: FloatVector) -> FloatVector:
        """What `density` leaves out of log p."""
        return self.whole.normalizer(shapes)

    def shape_terms(self, eta: FloatVector, shapes: FloatVector) -> ShapeTerms:
        """Derivatives in the shapes."""
        total = np.zeros(self.n_shapes)
        score, weight = np.empty((2, self.n_shapes, len(eta)))
        for rows, piece in self.pieces:
            terms = piece.shape_terms(eta[rows], shapes)
            total += terms.total
            score[:, rows], weight[:, rows] = terms.score, terms.weight
        return ShapeTerms(total, score, weight)

    def shape_density(self, eta: FloatArray, shapes: FloatVector) -> FloatArray:
        """Derivatives of log p, normalizer included, by row."""
        return self.whole.shape_density(eta, shapes)

    def starting_mean(self) -> FloatVector:
        """The responses moved inside the range of the mean."""
        return self.whole.starting_mean()

    def merge(self, group: IntVector, n_groups: int) -> RowLikelihood:
        """The likelihood of merged rows."""
        return self.whole.merge(group, n_groups)

    def take(self, rows: IntVector | slice) -> RowLikelihood:
        """The same for some rows."""
        return self.whole.take(rows)


def in_chunks(likelihood: RowLikelihood, n_rows: int) -> RowLikelihood:
    """The likelihood, by pieces if there are many rows."""
    if n_rows <= 2 * PIECE:
        return likelihood
    return RowChunks(likelihood, tuple(_pieces(likelihood, n_rows)))


def _pieces(
    likelihood: RowLikelihood, n_rows: int
) -> Iterator[tuple[slice, RowLikelihood]]:
    for first in range(0, n_rows, PIECE):
        rows = slice(first, min(first + PIECE, n_rows))
        yield rows, likelihood.take(rows)
