"""Sums over levels of P_j' K_j P_j when nearly every level meets every column.

Then the rows are kept dense and matrix products do the work; see `level_pair_sums`
for the sparse counterpart, which has the same methods.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.algebra.dense_inverse import DenseInverse
from multilevel.likelihood.elimination.sparse_block import SparseBlock, SparseRows

MAX_CELLS = 30_000_000
"""More cells than this are not stored: 8 bytes each."""


@dataclass(frozen=True)
class CrowdedRows(SparseBlock):
    """Rows P_j (S, m) kept dense as well.

    Parameters
    ----------
    rows : (S, J, m)
    """

    rows: FloatArray

    def times(self, columns: FloatMatrix) -> FloatArray:
        """P_j V for every level, V (m, r) -> (S, r, J)."""
        return np.swapaxes(self.rows @ columns, 1, 2)

    def transposed_times(self, blocks: FloatArray) -> FloatMatrix:
        """Sum over levels of P_j'U_j, U (S, r, J) -> (m, r)."""
        flat = blocks.transpose(0, 2, 1).reshape(-1, blocks.shape[1])
        return np.asarray(self.rows.reshape(-1, self.rows.shape[2]).T @ flat)

    def subtract_from(self, dense: FloatMatrix, K: FloatArray) -> None:
        """dense -= sum_j P_j'K_j P_j, for dense (m, m) and K (S, S, J)."""
        m = len(dense)
        weighted = np.einsum("stj,tjm->sjm", K, self.rows)
        product = self.rows.reshape(-1, m).T @ weighted.reshape(-1, m)
        np.subtract(dense, product.T, out=dense)

    def quadratics(self, K: DenseInverse) -> FloatArray:
        """P_j K P_j' for every level, (S, S, J)."""
        m = self.rows.shape[2]
        product = (self.rows.reshape(-1, m) @ K.full).reshape(self.rows.shape)
        return np.asarray(np.einsum("sjm,tjm->stj", product, self.rows))


def crowded_rows(pattern: SparseRows, values: FloatArray) -> CrowdedRows:
    """Spread sparse rows with values (S, nnz)."""
    rows = np.zeros((len(values), pattern.n_levels, pattern.n_columns))
    rows[:, pattern.level, pattern.column] = values
    return CrowdedRows(pattern, values, rows)
