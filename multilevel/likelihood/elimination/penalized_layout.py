"""Where the weighted cross-products of the random effects are kept; found once.

A chain of nested factors is eliminated level by level, what crosses it is left to one
dense block of m columns (see `elimination_plan`). The products of a chain factor with
the dense columns are kept for every cell if the cells are crowded, else for the cells
that occur.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from multilevel.array_types import FloatMatrix, FloatVector, IntVector
from multilevel.likelihood.elimination.elimination_plan import (
    EliminationPlan,
    plan_elimination,
)
from multilevel.likelihood.products.level_patterns import PairPattern, factor_patterns
from multilevel.likelihood.rows.effect_rows import (
    EffectRows,
    LevelIndex,
    column_product,
    counted_sums,
)

CROWDED = 0.15
"""Share of cells that occur from which all are stored."""

ALWAYS_FULL = 20_000
"""Number of cells below which all are stored anyway: calls cost more than cells."""


@dataclass(frozen=True, slots=True)
class CrossPart:
    """The products of one chain factor with one factor of the dense block.

    Parameters
    ----------
    rest : int
        The factor of the dense block.
    index : LevelIndex
        Cell (if all are stored) or pair of levels of every row.
    entry : (n_cells,)
        Where the products with its first effect are stored; those with the others
        follow. Ready for `row_entry`.
    columns : {(s, t): (n,) or None}
        Products of the two factors' columns.
    """

    rest: int
    index: LevelIndex
    entry: IntVector
    columns: Mapping[tuple[int, int], FloatVector | None]


@dataclass(frozen=True, slots=True)
class CrossLayout:
    """Where a chain factor meets the dense columns.

    Parameters
    ----------
    n_levels, n_columns : int
        J and m.
    level, column : (nnz,) or None
        Sorted by level, then column; None if all J m cells are stored.
    starts : (J + 1,) or None
    parts : one CrossPart for each factor of the dense block
    """

    n_levels: int
    n_columns: int
    level: IntVector | None
    column: IntVector | None
    starts: IntVector | None
    parts: tuple[CrossPart, ...]

    @property
    def n_entries(self) -> int:
        """Number of stored entries for each effect of the chain factor."""
        if self.level is None:
            return self.n_levels * self.n_columns
        return len(self.level)

    def matrix(self, values: FloatVector) -> FloatMatrix | sp.csr_array:
        """The (J, m) matrix of given entries, dense or sparse."""
        if self.level is None or self.column is None or self.starts is None:
            return values.reshape(self.n_levels, self.n_columns)
        shape = (self.n_levels, self.n_columns)
        return sp.csr_array((values, self.column, self.starts), shape=shape)

    def by_entry(self, by_level: FloatVector) -> FloatVector:
        """A number for every level, repeated for its entries."""
        if self.level is None:
            return np.repeat(by_level, self.n_columns)
        return by_level[self.level]

    def sum_entries(self, values: FloatVector) -> FloatVector:
        """Sum of the entries of every level, (J,)."""
        if self.level is None:
            return np.asarray(values.reshape(self.n_levels, -1).sum(axis=1))
        return counted_sums(self.level, values, self.n_levels)

    def sampled(self, values: FloatVector, dense: FloatMatrix) -> FloatVector:
        """Entries of (these rows) @ dense where entries are stored, (nnz,)."""
        matrix = self.matrix(values)
        if self.level is None or self.column is None or self.starts is None:
            return np.asarray(matrix @ dense).reshape(-1)
        out = np.empty(len(values))
        step = max(1, 4_000_000 // max(1, self.n_columns))
        for first in range(0, self.n_levels, step):
            last = min(first + step, self.n_levels)
            entries = slice(self.starts[first], self.starts[last])
            product = np.asarray(matrix[first:last] @ dense)
            level = self.level[entries] - first
            out[entries] = product[level, self.column[entries]]
        return out

    def row_values(self, entries: FloatVector, part: CrossPart, t: int) -> FloatVector:
        """The entry of effect t of the dense factor for every row, (n,)."""
        return part.index.spread(entries[part.entry + t])


@dataclass(frozen=True, slots=True)
class RestPart:
    """The products of two factors of the dense block.

    Parameters
    ----------
    first, second : int
    index : LevelIndex
        Pair of levels of every row.
    rows, cols : (n_pairs,)
        Dense row and column of the first effects of each pair.
    columns : {(s, t): (n,) or None}
    """

    first: int
    second: int
    index: LevelIndex
    rows: IntVector
    cols: IntVector
    columns: Mapping[tuple[int, int], FloatVector | None]


@dataclass(frozen=True, slots=True)
class PenalizedLayout:
    """The random-effects side of the rows with the order of elimination.

    Parameters
    ----------
    rows : EffectRows
    plan : EliminationPlan
    sizes, levels : S and J of each factor
    upward : {(c, b): {(s, t): (n,) or None}}
        Products of columns, for chain factors c finer than b.
    cross : {c: CrossLayout}
    entry_parent : {(c, b): (nnz_c,)}
        For each entry of c, the entry of b with the same dense column.
    rest : products between the factors of the dense block
    """

    rows: EffectRows
    plan: EliminationPlan
    sizes: tuple[int, ...]
    levels: tuple[int, ...]
    upward: Mapping[tuple[int, int], Mapping[tuple[int, int], FloatVector | None]]
    cross: Mapping[int, CrossLayout]
    entry_parent: Mapping[tuple[int, int], IntVector]
    rest: tuple[RestPart, ...]

    @property
    def n_dense(self) -> int:
        """m, the number of dense columns."""
        return self.plan.offsets[-1]

    def dense_rows(self, factor: int) -> IntVector:
        """Dense column of the first effect of each level of a rest factor, (J,)."""
        offset = self.plan.offsets[self.plan.rest.index(factor)]
        return offset + np.arange(self.levels[factor]) * self.sizes[factor]


def _column_products(
    rows: EffectRows, first: int, second: int
) -> dict[tuple[int, int], FloatVector | None]:
    left, right = rows.factors[first].columns, rows.factors[second].columns
    return {
        (s, t): column_product(a, b)
        for s, a in enumerate(left)
        for t, b in enumerate(right)
    }


def penalized_layout(rows: EffectRows) -> PenalizedLayout:
    """Find the order of elimination and where every product goes."""
    sizes = tuple(len(factor.columns) for factor in rows.factors)
    levels = tuple(factor.index.n_levels for factor in rows.factors)
    codes = [factor.index.codes for factor in rows.factors]
    patterns = factor_patterns(codes, levels)
    plan = plan_elimination(sizes, levels, patterns.pairs)
    upward = {(c, b): _column_products(rows, c, b) for c, b in plan.parents}
    cross = _cross_layouts(rows, plan, sizes, levels, patterns.pairs)
    entry_parent = {
        (c, b): _entry_parents(cross[c], cross[b], parent)
        for (c, b), parent in plan.parents.items()
        if plan.rest
    }
    rest = _rest_parts(rows, plan, sizes, patterns.pairs)
    return PenalizedLayout(rows, plan, sizes, levels, upward, cross, entry_parent, rest)


Pairs = Mapping[tuple[int, int], PairPattern]


def _pair(pairs: Pairs, first: int, second: int) -> tuple[IntVector, ...]:
    """Levels of the two factors of every pair, and the pair of every row."""
    if (first, second) in pairs:
        pair = pairs[first, second]
        return pair.rows, pair.cols, pair.pair_of_row
    pair = pairs[second, first]
    return pair.cols, pair.rows, pair.pair_of_row


def _cross_layouts(
    rows: EffectRows,
    plan: EliminationPlan,
    sizes: tuple[int, ...],
    levels: tuple[int, ...],
    pairs: Pairs,
) -> dict[int, CrossLayout]:
    if not plan.rest:
        return {}
    m = plan.offsets[-1]
    full = True
    for c in plan.chain:
        occupied = sum(len(_pair(pairs, c, k)[0]) * sizes[k] for k in plan.rest)
        cells = levels[c] * m
        full &= cells <= ALWAYS_FULL or occupied >= CROWDED * cells
    build = _full_layout if full else _sparse_layout
    return {c: build(rows, plan, sizes, levels[c], pairs, c) for c in plan.chain}


def _full_layout(
    rows: EffectRows,
    plan: EliminationPlan,
    sizes: tuple[int, ...],
    n_levels: int,
    pairs: Pairs,
    c: int,
) -> CrossLayout:
    m = plan.offsets[-1]
    parts = []
    for k, offset in zip(plan.rest, plan.offsets[:-1], strict=True):
        level, other, of_row = _pair(pairs, c, k)
        entry = level * m + offset + other * sizes[k]
        parts.append(
            CrossPart(
                k, LevelIndex(of_row, len(level)), entry, _column_products(rows, c, k)
            )
        )
    return CrossLayout(n_levels, m, None, None, None, tuple(parts))


def _sparse_layout(
    rows: EffectRows,
    plan: EliminationPlan,
    sizes: tuple[int, ...],
    n_levels: int,
    pairs: Pairs,
    c: int,
) -> CrossLayout:
    level, column, owners = [], [], []
    for k, offset in zip(plan.rest, plan.offsets[:-1], strict=True):
        own, other, _ = _pair(pairs, c, k)
        level.append(np.repeat(own, sizes[k]))
        columns = offset + other[:, None] * sizes[k] + np.arange(sizes[k])[None, :]
        column.append(columns.ravel())
        owners.append(len(own) * sizes[k])
    all_levels = np.concatenate(level)
    order = np.argsort(all_levels, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    starts = np.concatenate(
        [[0], np.cumsum(np.bincount(all_levels, minlength=n_levels))]
    )
    ends = np.cumsum([0, *owners])
    parts = []
    for i, k in enumerate(plan.rest):
        own, _, of_row = _pair(pairs, c, k)
        entry = place[ends[i] : ends[i + 1] : sizes[k]]
        parts.append(
            CrossPart(
                k, LevelIndex(of_row, len(own)), entry, _column_products(rows, c, k)
            )
        )
    return CrossLayout(
        n_levels,
        plan.offsets[-1],
        all_levels[order],
        np.concatenate(column)[order],
        starts,
        tuple(parts),
    )


def _entry_parents(
    child: CrossLayout, parent: CrossLayout, parents: IntVector
) -> IntVector:
    m = child.n_columns
    if child.level is None or child.column is None:
        return (parents[:, None] * m + np.arange(m)).reshape(-1)
    assert parent.level is not None
    assert parent.column is not None
    # Entries are sorted by level and then by column.
    keys = parent.level * m + parent.column
    wanted = parents[child.level] * m + child.column
    return np.asarray(np.searchsorted(keys, wanted))


def _rest_parts(
    rows: EffectRows, plan: EliminationPlan, sizes: tuple[int, ...], pairs: Pairs
) -> tuple[RestPart, ...]:
    parts = []
    for i, k in enumerate(plan.rest):
        for j in range(i + 1, len(plan.rest)):
            other = plan.rest[j]
            own, theirs, of_row = _pair(pairs, k, other)
            parts.append(
                RestPart(
                    k,
                    other,
                    LevelIndex(of_row, len(own)),
                    plan.offsets[i] + own * sizes[k],
                    plan.offsets[j] + theirs * sizes[other],
                    _column_products(rows, k, other),
                )
            )
    return tuple(parts)
