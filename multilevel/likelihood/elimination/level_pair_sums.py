"""Sums over levels of P_j' K_j P_j for sparse rows P_j, where only K changes.

The products of the entries of one level are formed once; then the sum is a sparse
matrix times the entries of K, and its adjoint, P_j K P_j' for every level, the
transpose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from multilevel.array_types import (
    FloatArray,
    FloatMatrix,
    FloatVector,
    IntVector,
    SmallIntVector,
)
from multilevel.likelihood.algebra.dense_inverse import DenseInverse
from multilevel.likelihood.elimination.sparse_block import SparseBlock, SparseRows

MAX_PAIRS = 12_000_000
"""More products of two entries than this are not stored: 16 bytes each."""

MAX_COLUMNS = 20_000
"""Nor when the dense block is so wide that a map of its cells is dear."""


@dataclass(frozen=True)
class LevelPairSums(SparseBlock):
    """Sparse rows with the products of pairs of their entries, lower triangle only.

    Parameters
    ----------
    cells : (n_cells,)
        ``row + m * column`` of every cell that is met, row >= column.
    products : sparse (C J, n_cells)
        For each of the C = S (S + 1) / 2 pairs of effects, all levels.
    double : (n_cells,)
        2 off the diagonal, 1 on it.
    """

    cells: IntVector
    products: sp.csr_array
    double: FloatVector

    def subtract_from(self, dense: FloatMatrix, K: FloatArray) -> None:
        """dense -= sum_j P_j'K_j P_j, in the lower triangle.

        Parameters
        ----------
        dense : (m, m)
            Fortran order, changed in place.
        K : (S, S, J)
        """
        rows, cols = np.triu_indices(len(self.values))
        flat = dense.T.reshape(-1)
        flat[self.cells] -= self.products.T @ K[rows, cols].ravel()

    def quadratics(self, K: DenseInverse) -> FloatArray:
        """P_j K P_j' for every level, (S, S, J)."""
        values = K.entries(self.cells) * self.double
        # Each pair of different effects was added both ways round.
        size, n_levels = len(self.values), self.pattern.n_levels
        sums = (self.products @ values).reshape(-1, n_levels)
        out = np.empty((size, size, n_levels))
        rows, cols = np.triu_indices(size)
        for row, col, block in zip(rows, cols, sums, strict=True):
            out[row, col] = out[col, row] = block if row == col else block / 2.0
        return out


def count_pairs(starts: IntVector) -> int:
    """Number of pairs of entries in the same level, each counted once."""
    sizes = np.diff(starts)
    return int((sizes * (sizes + 1) // 2).sum())


def _entry_pairs(
    pattern: SparseRows,
) -> tuple[SmallIntVector, SmallIntVector, IntVector]:
    """First and second entry of every pair within a level, and the pairs before each.

    Entries pair with those from their own place to the end of their level.
    """
    entries = np.arange(len(pattern.level), dtype=np.int32)
    partners = pattern.starts[pattern.level + 1].astype(np.int32) - entries
    ends = np.cumsum(partners)
    n_pairs = int(ends[-1]) if len(ends) else 0
    first = np.repeat(entries, partners)
    second = np.arange(n_pairs, dtype=np.int32)
    second -= np.repeat((ends - partners - entries).astype(np.int32), partners)
    return first, second, np.concatenate([[0], ends]).astype(np.intp)


def level_pair_sums(pattern: SparseRows, values: FloatArray) -> LevelPairSums:
    """Form all products of two entries of one level; values (S, nnz)."""
    column, n_columns = pattern.column.astype(np.int32), pattern.n_columns
    first, second, before = _entry_pairs(pattern)
    # Columns rise within a level, so the second entry is never above the diagonal.
    cell = column[second] + n_columns * column[first]
    met = np.zeros(n_columns * n_columns, dtype=bool)
    met[cell] = True
    cells = np.flatnonzero(met)
    position = np.cumsum(met, dtype=np.int32) - 1
    size, n_levels = len(values), pattern.n_levels
    parts = []
    for s, t in zip(*np.triu_indices(size), strict=True):
        product = values[s][first] * values[t][second]
        if s != t:
            product = product + values[t][first] * values[s][second]
        parts.append(product)
    # Entries are sorted by level, so the rows of the sparse matrix are ready made.
    ends = before[pattern.starts[1:]]
    starts_of = [ends + k * len(first) for k in range(len(parts))]
    products = sp.csr_array(
        (
            np.concatenate(parts) if len(parts) > 1 else parts[0],
            np.tile(position[cell], len(parts)),
            np.concatenate([[0], *starts_of]),
        ),
        shape=(len(parts) * n_levels, len(cells)),
    )
    double = np.where(cells // n_columns == cells % n_columns, 1.0, 2.0)
    return LevelPairSums(pattern, values, cells, products, double)
