"""The products of several grouping factors, arranged for elimination.

Held by tests/likelihood/elimination/test_eliminate.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.elimination.effect_products import (
    Blocks,
    EffectProducts,
    effect_products,
)
from multilevel.likelihood.elimination.pattern import (
    EffectPattern,
    effect_pattern,
    levels_of_pairs,
)
from multilevel.likelihood.elimination.vectors import EffectVectors
from multilevel.likelihood.linear.second_pass_columns import SecondPassColumns
from multilevel.likelihood.products.cross_products import CrossProducts, SecondPass


@dataclass(frozen=True, slots=True)
class BlockProducts:
    """Products of the rows with several grouping factors, before any elimination.

    Parameters
    ----------
    effects : EffectProducts
        Z'WZ.
    ZtXy : EffectVectors
        Z'W [X y], (q, p + 1).
    XytXy : (p + 1, p + 1)
    n_rows : int
    second_pass : SecondPassColumns or None
        The same columns, less effects that explain nearly all of the response.
    """

    effects: EffectProducts
    ZtXy: EffectVectors
    XytXy: FloatMatrix
    n_rows: int
    second_pass: SecondPassColumns | None = None


def block_products(products: CrossProducts) -> BlockProducts:
    """Arrange cross-products of two or more grouping factors for elimination."""
    pattern = effect_pattern(
        [block.shape[0] for block in products.diagonal],
        [block.shape[2] for block in products.diagonal],
        products.pairs,
        reused=True,
    )
    return BlockProducts(
        effects=effect_products(
            pattern, products.diagonal, _between(products, pattern)
        ),
        ZtXy=EffectVectors.of(pattern, products.ZtXy),
        XytXy=products.XytXy,
        n_rows=products.n_rows,
        second_pass=_second_pass(pattern, products.second_pass),
    )


def _between(products: CrossProducts, pattern: EffectPattern) -> Blocks:
    """Products of every two factors, the first eliminated before the second."""
    oriented = {
        (k, other): _oriented(products, k, other)
        for k, other in (*pattern.entries, *pattern.corners)
    }
    for c, b in pattern.plan.parents:
        child, _ = levels_of_pairs(products.pairs, c, b)
        oriented[c, b] = _oriented(products, c, b)[:, :, np.argsort(child)]
    return oriented


def _oriented(products: CrossProducts, first: int, second: int) -> FloatArray:
    if (first, second) in products.pairs:
        return products.pairs[first, second].blocks
    return products.pairs[second, first].blocks.swapaxes(0, 1)


def _second_pass(
    pattern: EffectPattern, again: SecondPass | None
) -> SecondPassColumns | None:
    if again is None:
        return None
    return SecondPassColumns(
        EffectVectors.of(pattern, again.effects),
        EffectVectors.of(pattern, again.ZtXy),
        again.XytXy,
    )
