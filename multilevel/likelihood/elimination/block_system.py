"""The products of several grouping factors, arranged for elimination.

Chain factors keep blocks by level; products of a chain factor with the dense rest
are sparse rows: for each stored entry its level, its dense column and S values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, IntVector
from multilevel.likelihood.elimination.crowded_rows import (
    MAX_CELLS,
    crowded_rows,
)
from multilevel.likelihood.elimination.elimination_plan import (
    EliminationPlan,
    elimination_plan,
)
from multilevel.likelihood.elimination.level_pair_sums import (
    MAX_COLUMNS,
    MAX_PAIRS,
    count_pairs,
    level_pair_sums,
)
from multilevel.likelihood.elimination.sparse_block import SparseBlock, SparseRows
from multilevel.likelihood.products.cross_products import (
    CrossProducts,
    PairProducts,
    SecondPass,
)


@dataclass(frozen=True, slots=True)
class BlockSystem:
    """Products in elimination order, before any elimination.

    Parameters
    ----------
    plan : EliminationPlan
    diagonal : {c: (S, S, J)} for chain factors
    upward : {(c, b): (S_c, S_b, J_c)} for chain factors c finer than b
    rest : {c: SparseBlock} for chain factors
        Products with the dense rest.
    dense : (m, m)
    ZtXy : {c: (S_c, p + 1, J_c)} for chain factors
    ZtXy_rest : (m, p + 1)
    XytXy : (p + 1, p + 1)
    entry_parent : {(c, b): (nnz_c,)}
        For each sparse entry of c, the entry of b with the same dense column.
    """

    plan: EliminationPlan
    n_rows: int
    sizes: tuple[int, ...]
    levels: tuple[int, ...]
    diagonal: Mapping[int, FloatArray]
    upward: Mapping[tuple[int, int], FloatArray]
    rest: Mapping[int, SparseBlock]
    dense: FloatMatrix
    ZtXy: Mapping[int, FloatArray]
    ZtXy_rest: FloatMatrix
    XytXy: FloatMatrix
    entry_parent: Mapping[tuple[int, int], IntVector]
    second_pass: SecondPass | None = None


def _oriented(products: CrossProducts, first: int, second: int) -> PairProducts:
    if (first, second) in products.pairs:
        return products.pairs[first, second]
    pair = products.pairs[second, first]
    order = np.lexsort((pair.rows, pair.cols))
    blocks = np.swapaxes(pair.blocks, 0, 1)[:, :, order]
    return PairProducts(pair.cols[order], pair.rows[order], blocks)


def _sparse_rows(
    products: CrossProducts, plan: EliminationPlan, factor: int
) -> tuple[SparseRows, FloatArray]:
    """All products of one chain factor with the rest, merged into sparse rows."""
    n_levels = products.diagonal[factor].shape[2]
    level, column, values = [], [], []
    for other, offset in zip(plan.rest, plan.offsets[:-1], strict=True):
        pair = _oriented(products, factor, other)
        size = pair.blocks.shape[1]
        level.append(np.repeat(pair.rows, size))
        column.append(
            (offset + pair.cols[:, None] * size + np.arange(size)[None, :]).ravel()
        )
        values.append(pair.blocks.transpose(0, 2, 1).reshape(pair.blocks.shape[0], -1))
    rows = np.concatenate(level)
    order = slice(None) if len(level) == 1 else np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=n_levels)
    starts = np.concatenate([[0], np.cumsum(counts)])
    pattern = SparseRows(
        rows[order], np.concatenate(column)[order], starts, plan.offsets[-1]
    )
    return pattern, np.concatenate(values, axis=1)[:, order]


def _dense_products(products: CrossProducts, plan: EliminationPlan) -> FloatMatrix:
    m = plan.offsets[-1]
    dense = np.zeros((m, m), order="F")
    for i, k in enumerate(plan.rest):
        size, _, n_levels = products.diagonal[k].shape
        start = plan.offsets[i] + np.arange(n_levels) * size
        for a in range(size):
            for b in range(size):
                dense[start + a, start + b] = products.diagonal[k][a, b]
        for j in range(i + 1, len(plan.rest)):
            pair = _oriented(products, k, plan.rest[j])
            rows = plan.offsets[i] + pair.rows * size
            other = pair.blocks.shape[1]
            cols = plan.offsets[j] + pair.cols * other
            for a in range(size):
                for b in range(other):
                    dense[rows + a, cols + b] = pair.blocks[a, b]
                    dense[cols + b, rows + a] = pair.blocks[a, b]
    return dense


def _entry_parents(
    rest: Mapping[int, SparseBlock], plan: EliminationPlan
) -> dict[tuple[int, int], IntVector]:
    found = {}
    m = plan.offsets[-1]
    for (c, b), parent in plan.parents.items():
        coarse, fine = rest[b].pattern, rest[c].pattern
        keys = coarse.level * m + coarse.column
        order = np.argsort(keys)
        wanted = parent[fine.level] * m + fine.column
        found[c, b] = order[np.searchsorted(keys[order], wanted)]
    return found


def block_system(products: CrossProducts) -> BlockSystem:
    """Arrange cross-products of two or more grouping factors for elimination."""
    plan = elimination_plan(products)
    rest: dict[int, SparseBlock] = {}
    if plan.rest:
        for c in plan.chain:
            pattern, values = _sparse_rows(products, plan, c)
            arrange = _finest_rows if c == plan.chain[0] else SparseBlock
            rest[c] = arrange(pattern, values)
    upward = {}
    for c, b in plan.parents:
        blocks = _oriented(products, c, b).blocks
        upward[c, b] = blocks
    m, size = plan.offsets[-1], len(products.XytXy)
    ZtXy_rest = np.zeros((m, size))
    for k, start, end in zip(plan.rest, plan.offsets, plan.offsets[1:], strict=False):
        ZtXy_rest[start:end] = products.ZtXy[k].transpose(2, 0, 1).reshape(-1, size)
    return BlockSystem(
        plan,
        products.n_rows,
        tuple(block.shape[0] for block in products.diagonal),
        tuple(block.shape[2] for block in products.diagonal),
        {c: products.diagonal[c] for c in plan.chain},
        upward,
        rest,
        _dense_products(products, plan),
        {c: products.ZtXy[c] for c in plan.chain},
        ZtXy_rest,
        products.XytXy,
        _entry_parents(rest, plan) if plan.rest else {},
        products.second_pass,
    )


def _finest_rows(pattern: SparseRows, values: FloatArray) -> SparseBlock:
    """The arrangement that makes sums over the finest factor's levels cheapest.

    Only the finest factor's products are the same at every evaluation, so only there
    it pays to prepare them.
    """
    size, n_levels, m = len(values), pattern.n_levels, pattern.n_columns
    n_products = count_pairs(pattern.starts) * size * (size + 1) // 2
    n_cells = size * n_levels * m
    # Measured: 1.5e10 flops a second in matrix products, 2.5 ns a stored product.
    crowded_cost = 2.0 * n_cells * m / 1.5e10
    pairs_cost = 2.5e-9 * n_products
    if crowded_cost <= pairs_cost and n_cells <= MAX_CELLS:
        return crowded_rows(pattern, values)
    if n_products <= MAX_PAIRS and m <= MAX_COLUMNS:
        return level_pair_sums(pattern, values)
    return SparseBlock(pattern, values)
