"""Sums over levels of w_j a_j a_j' for sparse rows a_j, where only w changes.

The products a_jr a_jc of the entries of one level are formed once; then the sum is a
sparse matrix times w, and its adjoint (a_j' K a_j for every level) the transpose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from multilevel.array_types import FloatMatrix, FloatVector, IntVector
from multilevel.likelihood.dense_inverse import DenseInverse

MAX_PAIRS = 12_000_000
"""More pairs of entries than this are not stored: 16 bytes each."""


@dataclass(frozen=True)
class LevelPairSums:
    """The products of pairs of entries, lower triangle only.

    Parameters
    ----------
    cells : (n_cells,)
        ``row + m * column`` of every cell that is met, row >= column.
    products : sparse (n_cells, J)
    double : (n_cells,)
        2 off the diagonal, 1 on it.
    """

    cells: IntVector
    products: sp.csr_array
    double: FloatVector
    n_columns: int

    def subtract_from(self, dense: FloatMatrix, weights: FloatVector) -> None:
        """dense -= sum_j w_j a_j a_j', lower triangle (of the Fortran order) only."""
        flat = dense.reshape(-1, order="A")
        flat[self.cells] -= self.products @ weights

    def quadratic(self, K: DenseInverse, weights: FloatVector) -> float:
        """Sum over levels of w_j a_j'K a_j."""
        values = K.entries(self.cells) * self.double
        return float(values @ (self.products @ weights))


def count_pairs(starts: IntVector) -> int:
    """Number of pairs of entries in the same level, each counted once."""
    sizes = np.diff(starts)
    return int((sizes * (sizes + 1) // 2).sum())


def level_pair_sums(
    level: IntVector,
    column: IntVector,
    starts: IntVector,
    values: FloatVector,
    n_columns: int,
) -> LevelPairSums:
    """Form all products of two entries of one level.

    Parameters
    ----------
    level, column : (nnz,)
        Sorted by level.
    starts : (J + 1,)
    values : (nnz,)
    n_columns : int
        m.
    """
    # Entry e pairs with the entries e, e + 1, ... up to the end of its level.
    entries = np.arange(len(level))
    partners = starts[level + 1] - entries
    first = np.repeat(entries, partners)
    offset = np.repeat(np.cumsum(partners) - partners, partners)
    second = first + (np.arange(len(first)) - offset)
    a, b = column[first], column[second]
    cell = np.maximum(a, b) + n_columns * np.minimum(a, b)
    met = np.zeros(n_columns * n_columns, dtype=bool)
    met[cell] = True
    cells = np.flatnonzero(met)
    position = np.cumsum(met, dtype=np.int32)
    position -= 1
    shape = (len(cells), len(starts) - 1)
    coo = sp.coo_array(
        (values[first] * values[second], (position[cell], level[first])), shape=shape
    )
    double = np.where(cells // n_columns == cells % n_columns, 1.0, 2.0)
    return LevelPairSums(cells, coo.tocsr(), double, n_columns)
