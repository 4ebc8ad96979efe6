"""The entries of the covariances G that the structures of the terms leave free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.covariance.stacked_terms import StackedTerms


@dataclass(frozen=True)
class CovarianceEntries:
    """Positions of the free entries, M in all, lower triangles factor by factor.

    Parameters
    ----------
    terms : StackedTerms
    """

    terms: StackedTerms

    @cached_property
    def scalable(self) -> tuple[tuple[slice, ...], ...]:
        """For each factor, the blocks of effects that may be recombined."""
        blocks: list[list[slice]] = [[] for _ in self.terms.block_sizes]
        for structure, factor, block in zip(
            self.terms.structures,
            self.terms.factor_of_term,
            self.terms.blocks,
            strict=True,
        ):
            if structure.freedom == "scale":
                singles = range(block.start, block.stop)
                blocks[factor] += [slice(i, i + 1) for i in singles]
            else:
                blocks[factor].append(block)
        return tuple(tuple(own) for own in blocks)

    def unit_roots(
        self, precisions: Sequence[FloatMatrix]
    ) -> tuple[list[FloatMatrix], list[FloatMatrix]]:
        """R with R'D R near the identity for each factor's D (S, S), and R^-1.

        R recombines only effects that the structures let be recombined.
        """
        inverses = []
        for precision, blocks in zip(precisions, self.scalable, strict=True):
            inverse = np.zeros_like(precision)
            for block in blocks:
                inverse[block, block] = _upper_root(precision[block, block])
            inverses.append(inverse)
        roots: list[FloatMatrix] = [
            np.linalg.inv(inv).astype(float) for inv in inverses
        ]
        return roots, inverses

    @cached_property
    def positions(self) -> tuple[tuple[IntVector, IntVector], ...]:
        """Rows and columns of the entries in each factor's G."""
        out = []
        for blocks in self.scalable:
            pairs = [
                (i, j)
                for block in blocks
                for i in range(block.start, block.stop)
                for j in range(block.start, i + 1)
            ]
            rows, cols = zip(*pairs, strict=True)
            out.append((np.array(rows, dtype=np.intp), np.array(cols, dtype=np.intp)))
        return tuple(out)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """The slice of each factor's entries among all M of them."""
        ends = np.cumsum([0] + [len(rows) for rows, _ in self.positions]).tolist()
        return tuple(slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True))

    @cached_property
    def directions(self) -> list[FloatArray]:
        """Symmetric unit changes of G, (M, S, S) for each factor."""
        out = []
        for (rows, cols), own, size in zip(
            self.positions, self.slices, self.terms.block_sizes, strict=True
        ):
            block = np.zeros((self.slices[-1].stop, size, size))
            number = np.arange(own.start, own.stop)
            block[number, rows, cols] = 1.0
            block[number, cols, rows] = 1.0
            out.append(block)
        return out

    @cached_property
    def _multiplicity(self) -> FloatVector:
        """2 where an entry stands for two of G, 1 on its diagonal."""
        parts = [np.where(rows == cols, 1.0, 2.0) for rows, cols in self.positions]
        return np.concatenate(parts)

    def of(self, matrices: Sequence[FloatArray]) -> FloatVector:
        """Entries (M,), or (m, M), of symmetric matrices (S, S), or (m, S, S)."""
        parts = [
            matrix[..., rows, cols]
            for matrix, (rows, cols) in zip(matrices, self.positions, strict=True)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)

    def slopes(self, gammas: Sequence[FloatMatrix]) -> FloatVector:
        """Derivatives (M,) in the entries from those in G; both triangles move."""
        return self._multiplicity * self.of(gammas)

    def gammas(self, slopes: FloatVector) -> list[FloatMatrix]:
        """Inverse of `slopes`, zero elsewhere."""
        single = slopes / self._multiplicity
        out = []
        for (rows, cols), own, size in zip(
            self.positions, self.slices, self.terms.block_sizes, strict=True
        ):
            gamma = np.zeros((size, size))
            gamma[rows, cols] = single[own]
            gamma[cols, rows] = single[own]
            out.append(gamma)
        return out


def _upper_root(precision: FloatMatrix) -> FloatMatrix:
    """Upper U with U'U = D, with D kept off singularity."""
    if len(precision) == 1:
        return np.asarray(np.sqrt(np.maximum(precision, 1e-300)))
    D = (precision + precision.T) / 2.0
    D[np.diag_indices(len(D))] *= 1.0 + 1e-10
    try:
        return np.asarray(np.linalg.cholesky(D).T)
    except np.linalg.LinAlgError:
        return np.diag(np.sqrt(np.maximum(np.diag(D), 1e-300)))
