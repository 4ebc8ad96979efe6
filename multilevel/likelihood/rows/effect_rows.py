"""The random-effects side of the rows: from levels to rows and back.

Held by tests/likelihood/generalized/test_pirls.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector

Number = TypeVar("Number", bound=np.generic)


def counted_sums(
    codes: IntVector, values: FloatVector | None, n_levels: int
) -> FloatVector:
    """Sum of the values (n,) of each code, or their number if None, (n_levels,)."""
    sums = np.bincount(codes, weights=values, minlength=n_levels)
    return sums.astype(np.float64, copy=False)


@dataclass(frozen=True)
class LevelIndex:
    """To which of J groups each row belongs.

    Parameters
    ----------
    codes : (n,)
        0 .. J - 1, every level used.
    n_levels : int
    """

    codes: IntVector
    n_levels: int

    @cached_property
    def _starts(self) -> IntVector | None:
        """First row of each level if the rows are sorted by level."""
        steps = np.diff(self.codes)
        if not len(self.codes) or (steps < 0).any():
            return None
        return np.concatenate([[0], np.flatnonzero(steps) + 1])

    @cached_property
    def _counts(self) -> IntVector:
        return np.bincount(self.codes, minlength=self.n_levels)

    def sums(self, values: FloatVector | None) -> FloatVector:
        """Sum over the rows of each level, (J,); None counts them."""
        if values is None:
            return self._counts.astype(float)
        if self._starts is not None:
            # Sorted rows are summed in one sweep, several times faster than by codes.
            return np.asarray(np.add.reduceat(values, self._starts))
        return counted_sums(self.codes, values, self.n_levels)

    def largest(self, values: FloatVector) -> FloatVector:
        """Largest value in the rows of each level, (J,)."""
        if self._starts is not None:
            return np.asarray(np.maximum.reduceat(values, self._starts))
        largest = np.full(self.n_levels, -np.inf)
        np.maximum.at(largest, self.codes, values)
        return largest

    def spread(self, by_level: NDArray[Number]) -> NDArray[Number]:
        """The value of its level for every row, (n,)."""
        if self._starts is not None:
            return np.repeat(by_level, self._counts)
        return by_level[self.codes]


@dataclass(frozen=True)
class FactorRows:
    """Rows of one grouping factor.

    Parameters
    ----------
    index : LevelIndex
    columns : S columns (n,), None for a column of ones
    """

    index: LevelIndex
    columns: tuple[FloatVector | None, ...]

    @cached_property
    def squares(self) -> dict[tuple[int, int], FloatVector | None]:
        """Products of columns a <= b."""
        size = len(self.columns)
        return {
            (a, b): column_product(self.columns[a], self.columns[b])
            for a in range(size)
            for b in range(a, size)
        }

    def collect(self, values: FloatVector) -> FloatMatrix:
        """Z_k' values, (S, J)."""
        out = np.empty((len(self.columns), self.index.n_levels))
        for column, sums in zip(self.columns, out, strict=True):
            sums[:] = self.index.sums(values if column is None else values * column)
        return out

    def spread(self, effects: FloatMatrix) -> FloatVector:
        """Z_k effects, (n,), of effects (S, J)."""
        total: FloatVector | None = None
        for column, by_level in zip(self.columns, effects, strict=True):
            part = self.index.spread(by_level)
            if column is not None:
                part = part * column
            total = part if total is None else total + part
        return np.zeros(len(self.index.codes)) if total is None else total

    def weighted_blocks(self, weights: FloatVector) -> FloatArray:
        """Z_j'W Z_j of every level, (S, S, J)."""
        size = len(self.columns)
        blocks = np.empty((size, size, self.index.n_levels))
        for (a, b), product in self.squares.items():
            weighted = weights if product is None else weights * product
            blocks[a, b] = self.index.sums(weighted)
            if a != b:
                blocks[b, a] = blocks[a, b]
        return blocks

    def quadratic(self, blocks: FloatArray) -> FloatVector:
        """z_i' B_j z_i of every row for symmetric blocks (S, S, J), (n,)."""
        total: FloatVector | None = None
        for (a, b), product in self.squares.items():
            # Columns a <= b only: the other half of the
            # symmetric form is the same again.
            by_level = blocks[a, b] if a == b else 2.0 * blocks[a, b]
            part = self.index.spread(by_level)
            if product is not None:
                part = part * product
            total = part if total is None else total + part
        return np.zeros(len(self.index.codes)) if total is None else total


def column_product(
    first: FloatVector | None, second: FloatVector | None
) -> FloatVector | None:
    """Product of two columns, where None stands for ones."""
    if first is None:
        return second
    return first if second is None else first * second


@dataclass(frozen=True)
class EffectRows:
    """Rows of all grouping factors.

    Parameters
    ----------
    factors : one FactorRows for each grouping factor
    """

    factors: tuple[FactorRows, ...]

    @property
    def n_rows(self) -> int:
        """n."""
        return len(self.factors[0].index.codes)

    def collect(self, values: FloatVector) -> list[FloatMatrix]:
        """Z' values, (S, J) for each factor."""
        return [factor.collect(values) for factor in self.factors]

    def spread(self, effects: Sequence[FloatMatrix]) -> FloatVector:
        """Z effects, (n,)."""
        total = self.factors[0].spread(effects[0])
        for factor, own in zip(self.factors[1:], effects[1:], strict=True):
            total += factor.spread(own)
        return total
