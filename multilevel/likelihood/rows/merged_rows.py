"""Rows that cannot be told apart, merged into one with the sum of their weights.

Held by tests/likelihood/rows/test_merged_rows.py and
tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatVector, IntVector

SAMPLE = 4_000
"""Rows looked at first: most data do not repeat, and to find out should cost little."""


@dataclass(frozen=True, slots=True)
class RowGroups:
    """Rows that agree in every column.

    Parameters
    ----------
    first : (n_merged,)
        The first row of each group, ascending: the rows stay sorted.
    group : (n,)
        The group of every row.
    """

    first: IntVector
    group: IntVector


def equal_rows(
    columns: Sequence[FloatVector | IntVector], n_rows: int
) -> RowGroups | None:
    """Groups of equal rows, if there are half as many groups as rows or fewer.

    Parameters
    ----------
    columns : the (n,) columns to compare, that of the most values first
        The rows should be sorted by it, so that a piece of them repeats as the whole.
    n_rows : int
    """
    if n_rows < 2 or not columns:
        return None
    if n_rows > 4 * SAMPLE:
        piece = slice(n_rows // 3, n_rows // 3 + SAMPLE)
        groups = _groups([column[piece] for column in columns], SAMPLE)
        if len(groups.first) > 0.7 * SAMPLE:
            return None
    groups = _groups(columns, n_rows)
    return groups if 2 * len(groups.first) <= n_rows else None


def _groups(columns: Sequence[FloatVector | IntVector], n_rows: int) -> RowGroups:
    key = np.zeros(n_rows)
    for j, column in enumerate(columns, start=1):
        # One number for all columns, as one sort is cheaper than a sort for each.
        # Hardly commensurable weights, so that whole numbers seldom collide.
        key += column * np.sqrt(1.0 + 7.0 * j)
    order = np.argsort(key, kind="stable")
    # Rows with one key by coincidence are kept apart by comparing the columns.
    differs = np.zeros(n_rows, dtype=bool)
    differs[0] = True
    for column in columns:
        ordered = column[order]
        differs[1:] |= ordered[1:] != ordered[:-1]
    found = np.empty(n_rows, dtype=np.intp)
    found[order] = np.cumsum(differs) - 1
    # The argsort is stable, so each of these is the first row of its group.
    first = order[differs]
    in_order = np.argsort(first)
    place = np.empty_like(in_order)
    place[in_order] = np.arange(len(first))
    return RowGroups(first[in_order], place[found])
