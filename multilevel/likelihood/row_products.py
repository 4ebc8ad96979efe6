"""Cross-products from rows, by counting sums over levels; nothing is sorted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.array_types import FloatArray, FloatVector, IntVector
from multilevel.likelihood.cross_products import CrossProducts, PairProducts
from multilevel.likelihood.level_patterns import FactorPatterns
from multilevel.likelihood.working_rows import WorkingColumn, WorkingRows


class _ProductSums:
    """Sums of products of two columns by level, each product formed once."""

    def __init__(self, weights: FloatVector | None, n_rows: int) -> None:
        self._weights = weights
        self._n_rows = n_rows
        self._products: dict[tuple[int, int], FloatVector | None] = {}

    def _product(self, a: WorkingColumn, b: WorkingColumn) -> FloatVector | None:
        """Weighted product of the parts that are not constant; None for all ones."""
        arrays = [c.values for c in (a, b) if c.values is not None]
        if self._weights is not None:
            arrays.append(self._weights)
        if not arrays:
            return None
        product = arrays[0]
        for other in arrays[1:]:
            product = product * other
        return product

    def by_level(
        self, a: WorkingColumn, b: WorkingColumn, codes: IntVector, n_levels: int
    ) -> FloatVector:
        """Sum over the rows of each level of w a b, (n_levels,)."""
        constant = 1.0
        for column in (a, b):
            if column.values is None:
                constant *= column.constant
        product = self._product(a, b)
        sums = np.bincount(codes, weights=product, minlength=n_levels)
        return np.asarray(sums * constant if constant != 1.0 else sums, dtype=float)


def _sources(a: WorkingColumn, b: WorkingColumn) -> tuple[int, int]:
    first = -1 if a.values is None else a.key
    second = -1 if b.values is None else b.key
    return (first, second) if first <= second else (second, first)


def _level_blocks(
    sums: _ProductSums,
    left: Sequence[WorkingColumn],
    right: Sequence[WorkingColumn],
    codes: IntVector,
    n_levels: int,
    known: dict[tuple[int, int], FloatVector],
) -> FloatArray:
    """Blocks (len(left), len(right), n_levels); `known` holds sums already made."""
    blocks = np.empty((len(left), len(right), n_levels))
    unit = WorkingColumn(-1, None, 1.0)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            key = _sources(a, b)
            if key not in known:
                bare = [unit if c.values is None else c for c in (a, b)]
                known[key] = sums.by_level(bare[0], bare[1], codes, n_levels)
            factor = 1.0
            for column in (a, b):
                if column.values is None:
                    factor *= column.constant
            np.multiply(known[key], factor, out=blocks[i, j])
    return blocks


def _fixed_as_columns(rows: WorkingRows) -> list[WorkingColumn]:
    columns = [WorkingColumn(j, rows.fixed[:, j]) for j in range(rows.fixed.shape[1])]
    if rows.fixed_constant:
        columns[0] = WorkingColumn(0, None, rows.fixed_constant)
    return columns


def stacked_columns(
    rows: WorkingRows, factor_of_term: Sequence[int], n_factors: int
) -> list[list[WorkingColumn]]:
    """Random columns by grouping factor, terms on one factor side by side."""
    stacked: list[list[WorkingColumn]] = [[] for _ in range(n_factors)]
    for columns, factor in zip(rows.random, factor_of_term, strict=True):
        stacked[factor].extend(columns)
    return stacked


def cross_products(
    rows: WorkingRows, patterns: FactorPatterns, factor_of_term: Sequence[int]
) -> CrossProducts:
    """All products of the working rows, in one pass over each pair of columns."""
    n_rows = len(rows.fixed)
    sums = _ProductSums(rows.weights, n_rows)
    fixed = _fixed_as_columns(rows)
    stacked = stacked_columns(rows, factor_of_term, len(patterns.codes))
    diagonal, rhs = [], []
    for columns, codes, n_levels in zip(
        stacked, patterns.codes, patterns.n_levels, strict=True
    ):
        known: dict[tuple[int, int], FloatVector] = {}
        diagonal.append(_level_blocks(sums, columns, columns, codes, n_levels, known))
        rhs.append(_level_blocks(sums, columns, fixed, codes, n_levels, known))
    pairs = {
        (k, m): PairProducts(
            pattern.rows,
            pattern.cols,
            _level_blocks(
                sums,
                stacked[k],
                stacked[m],
                pattern.pair_of_row,
                len(pattern.rows),
                {},
            ),
        )
        for (k, m), pattern in patterns.pairs.items()
    }
    weighted = (
        rows.fixed if rows.weights is None else rows.fixed * rows.weights[:, None]
    )
    gram = rows.fixed.T @ weighted
    log_weights = 0.0 if rows.weights is None else float(np.log(rows.weights).sum())
    return CrossProducts(
        n_rows,
        log_weights,
        tuple(diagonal),
        pairs,
        tuple(rhs),
        (gram + gram.T) / 2.0,
    )
