"""Sums over levels of P_j' K_j P_j for sparse rows P_j, where only K changes.

The products of the entries of one level are formed once; then the sum is a sparse
matrix times the entries of K, and its adjoint, P_j K P_j' for every level, the
transpose.

Held by tests/likelihood/elimination/test_level_arrangements.py.
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
from multilevel.likelihood.elimination.pattern import CellPattern
from multilevel.likelihood.elimination.sparse_rows import SparseRows

MAX_PAIRS = 12_000_000
"""More products of two entries than this are not stored: 16 bytes each."""

MAX_COLUMNS = 20_000
"""Nor when the dense block is so wide that a map of its cells is dear."""


@dataclass(frozen=True)
class PairedRows(SparseRows):
    """Sparse rows with the products of pairs of their entries, lower triangle only.

    Parameters
    ----------
    met : (n_met,)
        ``row + m * column`` of every place of the dense block that is met, row >=
        column.
    products : sparse (C J, n_met)
        For each of the C = S (S + 1) / 2 pairs of effects, all levels.
    double : (n_met,)
        2 off the diagonal, 1 on it.
    """

    met: IntVector
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
        flat[self.met] -= self.products.T @ K[rows, cols].ravel()

    def quadratics(self, K: DenseInverse) -> FloatArray:
        """P_j K P_j' for every level, (S, S, J)."""
        values = K.entries(self.met) * self.double
        # Each pair of different effects was added both ways round.
        size, n_levels = len(self.values), self.cells.n_levels
        sums = (self.products @ values).reshape(-1, n_levels)
        out = np.empty((size, size, n_levels))
        rows, cols = np.triu_indices(size)
        for row, col, block in zip(rows, cols, sums, strict=True):
            out[row, col] = out[col, row] = block if row == col else block / 2.0
        return out


def _entry_pairs(
    cells: CellPattern,
) -> tuple[SmallIntVector, SmallIntVector, IntVector]:
    """First and second entry of every pair within a level, and the pairs before each.

    Entries pair with those from their own place to the end of their level.
    """
    # Half the memory of 64 bits, which is what these loops wait for.
    entries = np.arange(len(cells.level), dtype=np.int32)
    partners = cells.starts[cells.level + 1].astype(np.int32) - entries
    ends = np.cumsum(partners)
    n_pairs = int(ends[-1]) if len(ends) else 0
    first = np.repeat(entries, partners)
    second = np.arange(n_pairs, dtype=np.int32)
    second -= np.repeat((ends - partners - entries).astype(np.int32), partners)
    return first, second, np.concatenate([[0], ends]).astype(np.intp)


def _pair_products(
    values: FloatMatrix, first: SmallIntVector, second: SmallIntVector
) -> list[FloatVector]:
    """Products of the two entries of every pair, for each pair of effects s <= t."""
    parts = []
    for s, t in zip(*np.triu_indices(len(values)), strict=True):
        product = values[s][first] * values[t][second]
        if s != t:
            product = product + values[t][first] * values[s][second]
        parts.append(product)
    return parts


def paired_rows(cells: CellPattern, values: FloatMatrix) -> PairedRows:
    """Form all products of two entries of one level; values (S, nnz)."""
    column, n_columns = cells.column.astype(np.int32), cells.n_columns
    first, second, before = _entry_pairs(cells)
    # Columns rise within a level, so the second entry is never above the diagonal.
    place = column[second] + n_columns * column[first]
    is_met = np.zeros(n_columns * n_columns, dtype=bool)
    is_met[place] = True
    met = np.flatnonzero(is_met)
    position = np.cumsum(is_met, dtype=np.int32) - 1
    parts = _pair_products(values, first, second)
    # Entries are sorted by level, so the rows of the sparse matrix are ready made.
    ends = before[cells.starts[1:]]
    starts_of = [ends + k * len(first) for k in range(len(parts))]
    products = sp.csr_array(
        (
            np.concatenate(parts) if len(parts) > 1 else parts[0],
            np.tile(position[place], len(parts)),
            np.concatenate([[0], *starts_of]),
        ),
        shape=(len(parts) * cells.n_levels, len(met)),
    )
    double = np.where(met // n_columns == met % n_columns, 1.0, 2.0)
    return PairedRows(cells, values, met, products, double)
