"""Cross-products from rows, by counting sums over levels; nothing is sorted.

Held by tests/likelihood/products/test_cross_products.py.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce

import numpy as np

from multilevel.array_types import FloatArray, FloatVector, IntVector
from multilevel.likelihood.products.cross_products import (
    CrossProducts,
    PairProducts,
    ResponseProducts,
)
from multilevel.likelihood.products.level_patterns import FactorPatterns
from multilevel.likelihood.rows.column_basis import CHUNK, row_slices
from multilevel.likelihood.rows.row_source import RowSource
from multilevel.likelihood.rows.working_rows import WorkingColumn, WorkingRows


def _level_sums(
    a: WorkingColumn,
    b: WorkingColumn,
    weights: FloatVector | None,
    codes: IntVector,
    n_levels: int,
) -> FloatVector:
    """Sums over the rows of each level of w a b, constants left out, (n_levels,)."""
    arrays = [column.values for column in (a, b) if column.values is not None]
    if weights is not None:
        arrays.append(weights)
    if not arrays:
        return np.bincount(codes, minlength=n_levels).astype(float)
    product = reduce(operator.mul, arrays)
    return np.asarray(np.bincount(codes, weights=product, minlength=n_levels), float)


def _sources(a: WorkingColumn, b: WorkingColumn) -> tuple[int, int]:
    first = -1 if a.values is None else a.key
    second = -1 if b.values is None else b.key
    # The product of two columns is one, in whatever order they come.
    return (first, second) if first <= second else (second, first)


def _level_blocks(
    left: Sequence[WorkingColumn],
    right: Sequence[WorkingColumn],
    weights: FloatVector | None,
    codes: IntVector,
    n_levels: int,
    known: dict[tuple[int, int], FloatVector],
) -> FloatArray:
    """Blocks (len(left), len(right), n_levels); `known` holds sums already made."""
    blocks = np.empty((len(left), len(right), n_levels))
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            key = _sources(a, b)
            # An intercept's products with X are sums that others
            # have made, up to constants.
            if key not in known:
                known[key] = _level_sums(a, b, weights, codes, n_levels)
            np.multiply(known[key], a.factor * b.factor, out=blocks[i, j])
    return blocks


def _as_columns(rows: WorkingRows) -> list[WorkingColumn]:
    columns = [WorkingColumn(j, rows.Xy[:, j]) for j in range(rows.Xy.shape[1])]
    if rows.constant:
        columns[0] = WorkingColumn(0, None, rows.constant)
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
    """All products of the working rows."""
    weights, Xy = rows.weights, _as_columns(rows)
    stacked = stacked_columns(rows, factor_of_term, len(patterns.codes))
    diagonal, ZtXy = [], []
    for columns, codes, n_levels in zip(
        stacked, patterns.codes, patterns.n_levels, strict=True
    ):
        known: dict[tuple[int, int], FloatVector] = {}
        own = _level_blocks(columns, columns, weights, codes, n_levels, known)
        diagonal.append(own)
        ZtXy.append(_level_blocks(columns, Xy, weights, codes, n_levels, known))
    pairs = {
        (k, m): PairProducts(
            pattern.rows,
            pattern.cols,
            _level_blocks(
                stacked[k],
                stacked[m],
                weights,
                pattern.pair_of_row,
                len(pattern.rows),
                {},
            ),
        )
        for (k, m), pattern in patterns.pairs.items()
    }
    weighted = rows.Xy if weights is None else rows.Xy * weights[:, None]
    XytXy = rows.Xy.T @ weighted
    return CrossProducts(
        n_rows=len(rows.Xy),
        sum_log_weights=0.0 if weights is None else float(np.log(weights).sum()),
        diagonal=tuple(diagonal),
        pairs=pairs,
        ZtXy=tuple(ZtXy),
        XytXy=(XytXy + XytXy.T) / 2.0,
    )


def source_products(
    source: RowSource, patterns: FactorPatterns, factor_of_term: Sequence[int]
) -> CrossProducts:
    """All products of a data set, a slice of its rows at a time."""
    slices = _slices(source, patterns)
    if len(slices) == 1:
        return cross_products(source.rows(), patterns, factor_of_term)
    parts = (
        cross_products(source.rows(part), patterns.part(part), factor_of_term)
        for part in slices
    )
    return reduce(operator.add, parts)


def response_products(
    sources: Sequence[RowSource],
    patterns: FactorPatterns,
    factor_of_term: Sequence[int],
) -> tuple[ResponseProducts, ...]:
    """What another response adds to products of columns that are known already.

    Parameters
    ----------
    sources : sources of the same columns, one for each response
    patterns : FactorPatterns
    factor_of_term : grouping factor of each term
    """
    totals: list[ResponseProducts | None] = [None] * len(sources)
    for part in _slices(sources[0], patterns):
        rows, levels = sources[0].rows(part), patterns.part(part)
        for j, source in enumerate(sources):
            y = source.working_response(part, rows.Xy[:, :-1])
            own, before = _of_response(y, rows, levels, factor_of_term), totals[j]
            totals[j] = own if before is None else before + own
    return tuple(total for total in totals if total is not None)


def _of_response(
    y: FloatVector,
    rows: WorkingRows,
    patterns: FactorPatterns,
    factor_of_term: Sequence[int],
) -> ResponseProducts:
    column, weights = WorkingColumn(rows.Xy.shape[1], y), rows.weights
    stacked = stacked_columns(rows, factor_of_term, len(patterns.codes))
    weighted = y if weights is None else y * weights
    return ResponseProducts(
        tuple(
            _level_blocks(columns, [column], weights, codes, n_levels, {})[:, 0]
            for columns, codes, n_levels in zip(
                stacked, patterns.codes, patterns.n_levels, strict=True
            )
        ),
        rows.Xy[:, :-1].T @ weighted,
        float(y @ weighted),
    )


def _slices(source: RowSource, patterns: FactorPatterns) -> list[slice]:
    # Each slice costs a pass over the levels, so it has more rows than there are.
    return row_slices(source.n_rows, max(CHUNK, 8 * patterns.largest))
