"""The random effects' rows with weights that change: Z'WZ and leverages.

Held by tests/likelihood/elimination/test_eliminate.py and
tests/likelihood/elimination/test_weighted_rows.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatVector
from multilevel.likelihood.elimination.effect_products import (
    EffectProducts,
    effect_products,
)
from multilevel.likelihood.elimination.eliminate import Elimination
from multilevel.likelihood.elimination.pattern import EffectPattern, effect_pattern
from multilevel.likelihood.elimination.selected_inverse import selected_inverse
from multilevel.likelihood.products.level_patterns import factor_patterns
from multilevel.likelihood.rows.effect_rows import (
    EffectRows,
    LevelIndex,
    column_product,
)


@dataclass(frozen=True, slots=True)
class PairRows:
    """Rows of two grouping factors.

    Parameters
    ----------
    index : LevelIndex
        Pair of levels of every row.
    products : {(s, t): (n,) or None}
        Products of their columns, None for ones.
    """

    index: LevelIndex
    products: Mapping[tuple[int, int], FloatVector | None]

    def weighted_blocks(self, weights: FloatVector) -> FloatArray:
        """Z_k'W Z_l of every pair of levels, (S, T, n_pairs)."""
        s, t = max(self.products)
        blocks = np.empty((s + 1, t + 1, self.index.n_levels))
        for (a, b), product in self.products.items():
            weighted = weights if product is None else weights * product
            blocks[a, b] = self.index.sums(weighted)
        return blocks

    def bilinear(self, blocks: FloatArray) -> FloatVector:
        """z_k' B z_l of every row, (n,), for blocks (S, T, n_pairs)."""
        total: FloatVector | None = None
        for (a, b), product in self.products.items():
            part = self.index.spread(blocks[a, b])
            if product is not None:
                part = part * product
            total = part if total is None else total + part
        return np.zeros(len(self.index.codes)) if total is None else total


@dataclass(frozen=True, slots=True)
class EffectLayout:
    """Rows of the random effects with the place of their products; found once.

    Parameters
    ----------
    rows : EffectRows
    pattern : EffectPattern
    pairs : {(k, l): PairRows}
        Every two factors in elimination order.
    """

    rows: EffectRows
    pattern: EffectPattern
    pairs: Mapping[tuple[int, int], PairRows]


def effect_layout(rows: EffectRows) -> EffectLayout:
    """Find the order of elimination and where every product goes."""
    sizes = [len(factor.columns) for factor in rows.factors]
    levels = [factor.index.n_levels for factor in rows.factors]
    codes = [factor.index.codes for factor in rows.factors]
    found = factor_patterns(codes, levels).pairs
    pattern = effect_pattern(sizes, levels, found, reused=False)
    pairs = {}
    for k, other in (*pattern.entries, *pattern.corners):
        pair = found[min(k, other), max(k, other)]
        index = LevelIndex(pair.pair_of_row, len(pair.rows))
        pairs[k, other] = PairRows(index, _column_products(rows, k, other))
    for c, b in pattern.plan.parents:
        pairs[c, b] = PairRows(rows.factors[c].index, _column_products(rows, c, b))
    return EffectLayout(rows=rows, pattern=pattern, pairs=pairs)


def _column_products(
    rows: EffectRows, first: int, second: int
) -> dict[tuple[int, int], FloatVector | None]:
    left, right = rows.factors[first].columns, rows.factors[second].columns
    return {
        (s, t): column_product(a, b)
        for s, a in enumerate(left)
        for t, b in enumerate(right)
    }


def weighted_products(layout: EffectLayout, weights: FloatVector) -> EffectProducts:
    """Z'WZ for row weights (n,) of any sign."""
    return effect_products(
        layout.pattern,
        [factor.weighted_blocks(weights) for factor in layout.rows.factors],
        {key: pair.weighted_blocks(weights) for key, pair in layout.pairs.items()},
    )


@dataclass(frozen=True, slots=True)
class RowInverse:
    """What the selected inverse says of rows and of levels.

    Parameters
    ----------
    leverages : (n,)
        s_i = z_i'K z_i.
    shrunken : one (S, S, J) for each factor
        Diagonal blocks of A - A K A.
    """

    leverages: FloatVector
    shrunken: list[FloatArray]


def row_inverse(layout: EffectLayout, elimination: Elimination) -> RowInverse:
    """Leverages of the rows, and A - A K A by level."""
    by_level, stored = selected_inverse(elimination)
    total = np.zeros(layout.rows.n_rows)
    for factor, blocks in zip(layout.rows.factors, by_level.blocks, strict=True):
        total += factor.quadratic(blocks)
    for (k, other), pair in layout.pairs.items():
        # z'K z has every two factors in both orders.
        total += 2.0 * pair.bilinear(stored.between(k, other))
    return RowInverse(leverages=total, shrunken=by_level.shrunken)
