"""A design with other numbers of groups and of rows in them, by copies of its own.

Groups and rows are copied whole: as often as goes evenly, and for what is left some are
drawn without replacement. So a study of as many groups as there are, or of a multiple,
has the covariates of the data exactly, and of no number are some groups favoured.

Held by tests/simulation/test_extended_design.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.random import Generator

from multilevel.array_types import IntVector
from multilevel.design.design_record import ModelDesign
from multilevel.design.grouping import GroupingFactor
from multilevel.design.missing import DroppedRows
from multilevel.design.rank import independent_columns
from multilevel.design.some_rows import with_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """How large a study is to be.

    Parameters
    ----------
    groups : mapping of factor to int
        Numbers of levels, in this order.
    sized : str
        The factor that `size` is about.
    size : int or None
        Rows in each of its levels; as many as there are if None.
    """

    groups: Mapping[str, int]
    sized: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class _Rows:
    """Which rows of the data are used, and the level of each by factor."""

    rows: IntVector
    codes: tuple[IntVector, ...]

    def take(self, chosen: IntVector) -> _Rows:
        """Some of them, again and again."""
        return _Rows(self.rows[chosen], tuple(codes[chosen] for codes in self.codes))


def extended_design(
    design: ModelDesign, extension: Extension, rng: Generator
) -> tuple[ModelDesign, IntVector]:
    """The design of a study of another size.

    Parameters
    ----------
    design : ModelDesign
    extension : Extension
    rng : Generator
        For the groups and rows that are not copied as often as all others.

    Returns
    -------
    design : ModelDesign
        Copies of a group are groups of their own. Levels of a factor that is nested in
        the extended one are copied with it; a factor that is crossed keeps its levels.
    rows : (n,) integers
        The row of the data that each row is a copy of.
    """
    found = _Rows(np.arange(design.nobs), tuple(f.codes for f in design.factors))
    for name, count in extension.groups.items():
        found = _with_groups(design, found, design.factor_names.index(name), count, rng)
    if extension.size is not None:
        position = design.factor_names.index(extension.sized)
        found = _with_sizes(found, position, extension.size, rng)
    return _design_of(design, found), found.rows


def copies(n_there: int, n_wanted: int, rng: Generator) -> IntVector:
    """Positions (n_wanted,), each as often as goes evenly, the rest at random.

    Examples
    --------
    >>> copies(2, 4, np.random.default_rng(1)).tolist()
    [0, 1, 0, 1]
    """
    whole, left = divmod(n_wanted, n_there)
    some = np.sort(rng.permutation(n_there)[:left]) if left else np.zeros(0, int)
    return np.concatenate([np.tile(np.arange(n_there), whole), some])


def _rows_by_level(codes: IntVector) -> list[IntVector]:
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes))[:-1])


def _with_groups(
    design: ModelDesign, found: _Rows, position: int, count: int, rng: Generator
) -> _Rows:
    by_level = _rows_by_level(found.codes[position])
    sources = copies(len(by_level), count, rng)
    chosen = np.concatenate([by_level[source] for source in sources])
    sizes = [len(by_level[source]) for source in sources]
    own = np.repeat(np.arange(count), sizes)
    factor = design.factors[position]
    taken = found.take(chosen)
    codes = [
        _distinct(own, old) if other.is_constant_within(factor.codes) else old
        for other, old in zip(design.factors, taken.codes, strict=True)
    ]
    codes[position] = own
    return _Rows(taken.rows, tuple(codes))


def _distinct(own: IntVector, codes: IntVector) -> IntVector:
    """Codes of the pairs of a copied group and an old level."""
    pairs = own * (codes.max() + 1) + codes
    return np.asarray(np.unique(pairs, return_inverse=True)[1]).ravel()


def _with_sizes(found: _Rows, position: int, size: int, rng: Generator) -> _Rows:
    by_level = _rows_by_level(found.codes[position])
    chosen = [rows[copies(len(rows), size, rng)] for rows in by_level]
    return found.take(np.concatenate(chosen))


def _design_of(design: ModelDesign, found: _Rows) -> ModelDesign:
    """The rows as a design of its own, without the way back to data."""
    n = len(found.rows)
    factors = tuple(
        _factor_of(factor, codes, n)
        for factor, codes in zip(design.factors, found.codes, strict=True)
    )
    part = with_rows(design, found.rows, factors)
    return replace(
        part,
        formula=None,
        kept=independent_columns(part.exog),
        trials=None,
        index=pd.RangeIndex(n),
        dropped=DroppedRows(0, {}, n),
        rows=None,
    )


def _factor_of(factor: GroupingFactor, codes: IntVector, n: int) -> GroupingFactor:
    if factor.n_levels == len(factor.codes):
        # A level for each row: copies of rows are rows of their own.
        return GroupingFactor(factor.name, np.arange(n), pd.RangeIndex(n))
    levels, own = np.unique(codes, return_inverse=True)
    return GroupingFactor(factor.name, own.ravel(), pd.RangeIndex(len(levels)))
