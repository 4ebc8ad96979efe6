"""Products of one chain factor with the dense columns when all cells are stored.

Then matrix products do the work; see `paired_rows` for the sparse counterpart.

Held by tests/likelihood/elimination/test_level_arrangements.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.algebra.dense_inverse import DenseInverse
from multilevel.likelihood.elimination.sparse_rows import SparseRows


@dataclass(frozen=True)
class FullRows(SparseRows):
    """Rows P_j (S, m) with a value in every cell."""

    def _by_level(self, entries: FloatMatrix) -> FloatArray:
        """(a, nnz) as (a, J, m)."""
        return entries.reshape(-1, self.cells.n_levels, self.cells.n_columns)

    def _flat(self) -> FloatMatrix:
        """All rows, (S J, m)."""
        return self.values.reshape(-1, self.cells.n_columns)

    def times(self, columns: FloatMatrix) -> FloatArray:
        """P_j V for every level, V (m, r) -> (S, r, J)."""
        return np.swapaxes(self._by_level(self.values) @ columns, 1, 2)

    def transposed_times(self, blocks: FloatArray) -> FloatMatrix:
        """Sum over levels of P_j'U_j, U (S, r, J) -> (m, r)."""
        flat = blocks.transpose(0, 2, 1).reshape(-1, blocks.shape[1])
        return np.asarray(self._flat().T @ flat)

    def subtract_from(self, dense: FloatMatrix, K: FloatArray) -> None:
        """dense -= sum_j P_j'K_j P_j, for dense (m, m) and K (S, S, J)."""
        weighted = self.level_products(K, self.values)
        product = self._flat().T @ weighted.reshape(self._flat().shape)
        np.subtract(dense, product.T, out=dense)

    def sampled(self, K: DenseInverse) -> FloatMatrix:
        """Entries of P K, (S, nnz)."""
        return np.asarray(self._flat() @ K.full).reshape(self.values.shape)

    def level_sums(self, entries: FloatMatrix) -> FloatArray:
        """P_j R_j' for every level, R given at the cells: (T, nnz) -> (S, T, J)."""
        left, right = self._by_level(self.values), self._by_level(entries)
        return np.asarray(np.einsum("sjm,tjm->stj", left, right))

    def level_products(self, blocks: FloatArray, entries: FloatMatrix) -> FloatMatrix:
        """B_j R_j at the cells: (a, S, J), (S, nnz) -> (a, nnz)."""
        products = np.einsum("asj,sjm->ajm", blocks, self._by_level(entries))
        return np.asarray(products).reshape(len(blocks), -1)
