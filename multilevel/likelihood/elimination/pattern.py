"""Where the products of the random effects are kept; found once.

A chain of nested factors is eliminated level by level, what crosses it is left to one
dense block of m columns (see `plan`).  The products of a chain factor with the dense
columns are kept for every cell if the cells are crowded, else for the cells that occur.

Held by tests/likelihood/elimination/test_eliminate.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from multilevel.array_types import IntVector
from multilevel.likelihood.elimination.plan import (
    EliminationPlan,
    LevelPairs,
    elimination_plan,
)

CROWDED = 0.15
"""Share of cells that occur from which all are stored, for values used once."""

ALWAYS_FULL = 20_000
"""Number of cells below which all are stored anyway: calls cost more than cells."""

MAX_CELLS = 30_000_000
"""More cells than this, 8 bytes each, are not stored to be used again."""

CELL_COST, PAIR_COST = 1.0 / 7.5e9, 2.5e-9
"""Measured seconds: a multiplication and an addition within a product of matrices; a
product of two entries of one level, formed beforehand."""


@dataclass(frozen=True)
class CellPattern:
    """The cells, level of a chain factor by dense column, that are stored.

    Parameters
    ----------
    keys : (nnz,) or None
        ``level * m + column`` of each, sorted; None if all J m cells are stored.
    n_levels, n_columns : int
        J and m.
    """

    keys: IntVector | None
    n_levels: int
    n_columns: int

    @property
    def n_entries(self) -> int:
        """Stored cells, nnz."""
        return self.n_levels * self.n_columns if self.keys is None else len(self.keys)

    # Made when asked for: full rows never do, and may have many cells.
    @cached_property
    def level(self) -> IntVector:
        """Level of each cell, (nnz,)."""
        return self._stored() // self.n_columns

    @cached_property
    def column(self) -> IntVector:
        """Dense column of each cell, (nnz,)."""
        return self._stored() % self.n_columns

    @cached_property
    def starts(self) -> IntVector:
        """First cell of each level, and last nnz, (J + 1,)."""
        counts = np.bincount(self.level, minlength=self.n_levels)
        return np.concatenate([[0], np.cumsum(counts)])

    def _stored(self) -> IntVector:
        return np.arange(self.n_entries) if self.keys is None else self.keys

    def places(self, keys: IntVector) -> IntVector:
        """Where the cells with some keys are stored."""
        return keys if self.keys is None else np.searchsorted(self.keys, keys)

    def places_of_parents(self, parents: IntVector, coarser: CellPattern) -> IntVector:
        """For each cell, that of the parent level in the same column, (nnz,)."""
        level, column = np.divmod(self._stored(), self.n_columns)
        return coarser.places(parents[level] * self.n_columns + column)

    @property
    def share(self) -> float:
        """Stored cells as a share of all."""
        return self.n_entries / max(1, self.n_levels * self.n_columns)

    @property
    def n_pairs(self) -> int:
        """Number of pairs of cells in the same level, each counted once."""
        return count_pairs(np.diff(self.starts))


@dataclass(frozen=True)
class EffectPattern:
    """The order of elimination, and where every product goes.

    Parameters
    ----------
    plan : EliminationPlan
    sizes, levels : S and J of each grouping factor
    reused : bool
        Whether the same values are eliminated many times, so that it pays to prepare
        them.
    cells : {c: CellPattern}
        For chain factors, if there are dense columns.
    entries : {(c, k): (n_pairs,)}
        For chain factor c and dense factor k, the cell of the first effect of k for
        every pair of levels; those of its other effects follow.
    corners : {(k, l): ((n_pairs,), (n_pairs,))}
        For two dense factors, dense row and column of the first effects of each pair.
    entry_parent : {(c, b): (nnz_c,)}
        For each cell of c, the cell of b with the same dense column.
    """

    plan: EliminationPlan
    sizes: tuple[int, ...]
    levels: tuple[int, ...]
    reused: bool
    cells: Mapping[int, CellPattern]
    entries: Mapping[tuple[int, int], IntVector]
    corners: Mapping[tuple[int, int], tuple[IntVector, IntVector]]
    entry_parent: Mapping[tuple[int, int], IntVector]

    @property
    def n_dense(self) -> int:
        """m, the number of dense columns."""
        return self.plan.offsets[-1]

    @cached_property
    def dense_slices(self) -> dict[int, slice]:
        """The dense columns of each factor of the dense block."""
        plan = self.plan
        bounds = zip(plan.rest, plan.offsets, plan.offsets[1:], strict=False)
        return {k: slice(start, end) for k, start, end in bounds}

    def first_columns(self, factor: int) -> IntVector:
        """Dense column of the first effect of each level of a dense factor, (J,)."""
        own = self.dense_slices[factor]
        return np.arange(own.start, own.stop, self.sizes[factor])


Pairs = Mapping[tuple[int, int], LevelPairs]


def effect_pattern(
    sizes: Sequence[int], levels: Sequence[int], pairs: Pairs, *, reused: bool
) -> EffectPattern:
    """Find the order of elimination and where every product goes.

    Parameters
    ----------
    sizes, levels : S and J of each grouping factor
    pairs : {(k, l): LevelPairs}, k < l
    reused : bool
        Whether the same values will be eliminated many times.
    """
    plan = elimination_plan(sizes, levels, pairs)
    finder = _CellFinder(
        plan=plan, sizes=tuple(sizes), levels=tuple(levels), pairs=pairs
    )
    cells = finder.cells(reused=reused)
    return EffectPattern(
        plan=plan,
        sizes=tuple(sizes),
        levels=tuple(levels),
        reused=reused,
        cells=cells,
        entries={
            (c, k): own.places(finder.first_keys(c, k))
            for c, own in cells.items()
            for k in plan.rest
        },
        corners=finder.corners(),
        entry_parent={
            (c, b): cells[c].places_of_parents(parent, cells[b])
            for (c, b), parent in plan.parents.items()
            if plan.rest
        },
    )


def levels_of_pairs(
    pairs: Pairs, first: int, second: int
) -> tuple[IntVector, IntVector]:
    """Levels of two factors, in either order, at the pairs that occur."""
    if (first, second) in pairs:
        return pairs[first, second].rows, pairs[first, second].cols
    return pairs[second, first].cols, pairs[second, first].rows


def count_pairs(counts: IntVector) -> int:
    """Pairs of things within levels that have so many, a thing with itself too."""
    return int((counts * (counts + 1) // 2).sum())


@dataclass(frozen=True, slots=True)
class _CellFinder:
    """Cells by their key, ``level * m + column``."""

    plan: EliminationPlan
    sizes: tuple[int, ...]
    levels: tuple[int, ...]
    pairs: Pairs

    @property
    def m(self) -> int:
        return self.plan.offsets[-1]

    def _offset(self, k: int) -> int:
        return self.plan.offsets[self.plan.rest.index(k)]

    def first_keys(self, c: int, k: int) -> IntVector:
        """Key of the first effect of k at every pair of levels, (n_pairs,)."""
        own, other = levels_of_pairs(self.pairs, c, k)
        return own * self.m + self._offset(k) + other * self.sizes[k]

    def cells(self, *, reused: bool) -> dict[int, CellPattern]:
        """The cells that are stored, for each chain factor."""
        if not self.plan.rest:
            return {}
        met = {c: self._met(c) for c in self.plan.chain}
        crowded = (
            self._is_crowded(met[self.plan.chain[0]])
            if reused
            else all(self._is_much(c, keys) for c, keys in met.items())
        )
        return {c: self._pattern(c, keys, crowded) for c, keys in met.items()}

    def _pattern(self, c: int, met: IntVector, crowded: bool) -> CellPattern:
        # The cells of a coarser factor hold those of its children: crowded is of all.
        full = crowded or len(met) == self.levels[c] * self.m
        keys = None if full else np.sort(met)
        return CellPattern(keys=keys, n_levels=self.levels[c], n_columns=self.m)

    def _met(self, c: int) -> IntVector:
        parts = [
            (self.first_keys(c, k)[:, None] + np.arange(self.sizes[k])).ravel()
            for k in self.plan.rest
        ]
        return np.concatenate(parts)

    def _is_much(self, c: int, met: IntVector) -> bool:
        n_cells = self.levels[c] * self.m
        return n_cells <= ALWAYS_FULL or len(met) >= CROWDED * n_cells

    def _is_crowded(self, met: IntVector) -> bool:
        """Whether matrix products beat sums over pairs at the finest factor."""
        finest = self.plan.chain[0]
        size = self.sizes[finest]
        n_cells = size * self.levels[finest] * self.m
        n_pairs = count_pairs(np.bincount(met // self.m)) * size * (size + 1) // 2
        cheaper = CELL_COST * n_cells * self.m <= PAIR_COST * n_pairs
        return cheaper and n_cells <= MAX_CELLS

    def corners(self) -> dict[tuple[int, int], tuple[IntVector, IntVector]]:
        """Dense row and column of the first effects of every pair of levels."""
        rest, found = self.plan.rest, {}
        for i, k in enumerate(rest):
            for other in rest[i + 1 :]:
                own, theirs = levels_of_pairs(self.pairs, k, other)
                found[k, other] = (
                    self._offset(k) + own * self.sizes[k],
                    self._offset(other) + theirs * self.sizes[other],
                )
        return found
