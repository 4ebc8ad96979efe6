"""Which levels of the grouping factors occur together, found from the codes.

Held by tests/likelihood/products/test_cross_products.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import IntVector


def parent_levels(
    child: IntVector, n_children: int, parent: IntVector
) -> IntVector | None:
    """Parent level (J_child,) of every child level; None if not nested.

    Parameters
    ----------
    child, parent : (n,)
        Level of each row in both factors.
    """
    parents = np.zeros(n_children, dtype=np.intp)
    # The last row of each level decides; if any other row disagrees, it is not nested.
    parents[child] = parent
    return parents if np.array_equal(parents[child], parent) else None


@dataclass(frozen=True, slots=True)
class PairPattern:
    """The pairs of levels of two factors that occur together.

    Parameters
    ----------
    rows, cols : (n_pairs,)
        Levels, sorted by row, then column.
    pair_of_row : (n,)
        Which pair each row of the data belongs to.
    """

    rows: IntVector
    cols: IntVector
    pair_of_row: IntVector


def pair_pattern(
    first: IntVector, n_first: int, second: IntVector, n_second: int
) -> PairPattern:
    """Pairs of levels of two factors; nested factors need no search."""
    parents = parent_levels(first, n_first, second) if n_first >= n_second else None
    if parents is not None:
        return PairPattern(np.arange(n_first), parents, first)
    cells = first * n_second + second
    # A table of all pairs is quicker than sorting, as long as it is
    # not much longer than the rows.
    if n_first * n_second <= max(4 * len(first), 4096):
        occupied = np.zeros(n_first * n_second, dtype=bool)
        occupied[cells] = True
        keys = np.flatnonzero(occupied)
        inverse = (np.cumsum(occupied) - 1)[cells]
    else:
        keys, inverse = np.unique(cells, return_inverse=True)
    return PairPattern(keys // n_second, keys % n_second, inverse)


@dataclass(frozen=True, slots=True)
class FactorPatterns:
    """Codes of all grouping factors and the pattern of every pair of factors."""

    codes: tuple[IntVector, ...]
    n_levels: tuple[int, ...]
    pairs: dict[tuple[int, int], PairPattern]

    def part(self, rows: slice) -> FactorPatterns:
        """The same levels and pairs for a slice of the rows."""
        pairs = {
            key: PairPattern(pair.rows, pair.cols, pair.pair_of_row[rows])
            for key, pair in self.pairs.items()
        }
        return FactorPatterns(tuple(c[rows] for c in self.codes), self.n_levels, pairs)

    @property
    def largest(self) -> int:
        """Number of levels, or of pairs, of the factor or two that have most."""
        pairs = (len(pair.rows) for pair in self.pairs.values())
        return max(*self.n_levels, *pairs, 0)


def factor_patterns(
    codes: Sequence[IntVector], n_levels: Sequence[int]
) -> FactorPatterns:
    """Find the pairs of levels of every two factors.

    Parameters
    ----------
    codes : one (n,) vector for each factor, 0 .. J - 1
    n_levels : J for each factor
    """
    count = len(codes)
    pairs = {
        (k, m): pair_pattern(codes[k], n_levels[k], codes[m], n_levels[m])
        for k in range(count)
        for m in range(k + 1, count)
    }
    return FactorPatterns(tuple(codes), tuple(n_levels), pairs)
