"""Products of one chain factor with the dense columns, level by level.

Three arrangements have the same methods: `SparseRows` here, `PairedRows` where values
are used again and the products of two entries of a level are few enough to keep,
`FullRows` where nearly every level meets every column.

Held by tests/likelihood/elimination/test_level_arrangements.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.algebra.dense_inverse import DenseInverse
from multilevel.likelihood.elimination.pattern import CellPattern

CROWDED = 0.1
"""Share of the cells from which a dense product of sparse rows is faster."""

BATCH = 4_000_000
"""Cells of a dense product that are held at a time."""


@dataclass(frozen=True)
class SparseRows:
    """Rows P_j (S, m), one block a level, where cells are stored.

    Parameters
    ----------
    cells : CellPattern
    values : (S, nnz)
    """

    cells: CellPattern
    values: FloatMatrix

    def _matrix(self, values: FloatVector) -> sp.csr_array:
        shape = (self.cells.n_levels, self.cells.n_columns)
        return sp.csr_array((values, self.cells.column, self.cells.starts), shape=shape)

    @cached_property
    def _matrices(self) -> list[sp.csr_array]:
        """One (J, m) matrix for each effect."""
        return [self._matrix(row) for row in self.values]

    def times(self, columns: FloatMatrix) -> FloatArray:
        """P_j V for every level, V (m, r) -> (S, r, J)."""
        return np.stack([(matrix @ columns).T for matrix in self._matrices])

    def transposed_times(self, blocks: FloatArray) -> FloatMatrix:
        """Sum over levels of P_j'U_j, U (S, r, J) -> (m, r)."""
        total: FloatMatrix = np.zeros((self.cells.n_columns, blocks.shape[1]))
        for matrix, block in zip(self._matrices, blocks, strict=True):
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
        weighted = self.level_products(K, self.values)
        for left, row in zip(self._matrices, weighted, strict=True):
            right = self._matrix(row)
            if self.cells.share > CROWDED:
                dense -= left.toarray().T @ right.toarray()
            else:
                part = (left.T @ right).tocoo()
                dense[part.row, part.col] -= part.data

    def quadratics(self, K: DenseInverse) -> FloatArray:
        """P_j K P_j' for every level, (S, S, J)."""
        return self.level_sums(self.sampled(K))

    def sampled(self, K: DenseInverse) -> FloatMatrix:
        """Entries of P K where P is stored, (S, nnz)."""
        cells = self.cells
        out = np.empty_like(self.values)
        # A dense product of some levels at a time, of which the stored cells are kept:
        # K has entries everywhere, and picking them one by one is slower.
        step = max(1, BATCH // max(1, cells.n_columns))
        for first in range(0, cells.n_levels, step):
            last = min(first + step, cells.n_levels)
            part = slice(cells.starts[first], cells.starts[last])
            level, column = cells.level[part] - first, cells.column[part]
            for matrix, entries in zip(self._matrices, out, strict=True):
                entries[part] = (matrix[first:last] @ K.full)[level, column]
        return out

    def level_sums(self, entries: FloatMatrix) -> FloatArray:
        """P_j R_j' for every level, R given at the cells: (T, nnz) -> (S, T, J)."""
        level, n_levels = self.cells.level, self.cells.n_levels
        out = np.empty((len(self.values), len(entries), n_levels))
        for s, mine in enumerate(self.values):
            for t, theirs in enumerate(entries):
                out[s, t] = np.bincount(
                    level, weights=mine * theirs, minlength=n_levels
                )
        return out

    def level_products(self, blocks: FloatArray, entries: FloatMatrix) -> FloatMatrix:
        """B_j R_j at the cells: (a, S, J), (S, nnz) -> (a, nnz)."""
        out = np.zeros((len(blocks), entries.shape[1]))
        for row, own in zip(blocks, out, strict=True):
            for by_level, theirs in zip(row, entries, strict=True):
                own += by_level[self.cells.level] * theirs
        return out
