"""Products of one chain factor with the dense rest, level by level.

Three arrangements have the same methods: `SparseBlock` here, `LevelPairSums` where
the products of two entries of a level are few enough to keep, `CrowdedRows` where
nearly every level meets every column.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.likelihood.algebra.dense_inverse import DenseInverse


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Where a chain factor meets the dense rest.

    Parameters
    ----------
    level, column : (nnz,)
        Sorted by level.
    starts : (J + 1,)
        First entry of each level.
    n_columns : int
        m, the number of dense columns.
    """

    level: IntVector
    column: IntVector
    starts: IntVector
    n_columns: int

    @property
    def n_levels(self) -> int:
        """J."""
        return len(self.starts) - 1

    def is_crowded(self) -> bool:
        """Whether so much is stored that dense products are faster."""
        return len(self.level) > 0.1 * self.n_levels * self.n_columns

    def matrix(self, values: FloatVector) -> sp.csr_array:
        """Sparse (J, m) matrix with the given values (nnz,)."""
        shape = (self.n_levels, self.n_columns)
        return sp.csr_array((values, self.column, self.starts), shape=shape)


@dataclass(frozen=True)
class SparseBlock:
    """Sparse rows P_j (S, m), one block a level.

    Parameters
    ----------
    pattern : SparseRows
    values : (S, nnz)
    """

    pattern: SparseRows
    values: FloatArray

    @cached_property
    def matrices(self) -> list[sp.csr_array]:
        """One (J, m) matrix for each effect."""
        return [self.pattern.matrix(row) for row in self.values]

    def times(self, columns: FloatMatrix) -> FloatArray:
        """P_j V for every level, V (m, r) -> (S, r, J)."""
        return np.stack([(matrix @ columns).T for matrix in self.matrices])

    def transposed_times(self, blocks: FloatArray) -> FloatMatrix:
        """Sum over levels of P_j'U_j, U (S, r, J) -> (m, r)."""
        total: FloatMatrix = np.zeros((self.pattern.n_columns, blocks.shape[1]))
        for matrix, block in zip(self.matrices, blocks, strict=True):
            total += matrix.T @ block.T
        return total

    def subtract_from(self, dense: FloatMatrix, K: FloatArray) -> None:
        """dense -= sum_j P_j'K_j P_j, at least in the lower triangle.

        Parameters
        ----------
        dense : (m, m)
            Fortran order, changed in place.
        K : (S, S, J)
        """
        level, values = self.pattern.level, self.values
        for s, left in enumerate(self.matrices):
            weighted = np.einsum("te,te->e", K[s][:, level], values)
            right = self.pattern.matrix(weighted)
            if self.pattern.is_crowded():
                dense -= left.toarray().T @ right.toarray()
            else:
                part = (left.T @ right).tocoo()
                dense[part.row, part.col] -= part.data

    def quadratics(self, K: DenseInverse) -> FloatArray:
        """P_j K P_j' for every level, (S, S, J)."""
        return self.level_sums(np.stack([self.sampled(s, K) for s in self.effects]))

    @property
    def effects(self) -> range:
        """0 .. S - 1."""
        return range(len(self.values))

    def sampled(self, effect: int, K: DenseInverse) -> FloatVector:
        """Entries (nnz,) of P K at the places where P is stored, for one effect."""
        pattern, matrix = self.pattern, self.matrices[effect]
        out = np.empty(len(pattern.level))
        step = max(1, 4_000_000 // max(1, pattern.n_columns))
        for first in range(0, pattern.n_levels, step):
            last = min(first + step, pattern.n_levels)
            entries = slice(pattern.starts[first], pattern.starts[last])
            product = matrix[first:last] @ K.full
            level = pattern.level[entries] - first
            out[entries] = product[level, pattern.column[entries]]
        return out

    def level_sums(self, entries: FloatArray) -> FloatArray:
        """P_j R_j' for every level, R given at the entries: (T, nnz) -> (S, T, J)."""
        pattern = self.pattern
        out = np.empty((len(self.values), len(entries), pattern.n_levels))
        for s, mine in enumerate(self.values):
            for t, theirs in enumerate(entries):
                out[s, t] = np.bincount(
                    pattern.level, weights=mine * theirs, minlength=pattern.n_levels
                )
        return out
