"""Grouping factors: which level each row belongs to.

Held by tests/design/test_bad_data.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatVector, IntVector
from multilevel.design.labels import Labels, cross_labels, shown_levels
from multilevel.errors import DataError


@dataclass(frozen=True, slots=True)
class GroupingFactor:
    """A grouping factor on the rows of a model.

    Attributes
    ----------
    name : str
        As in the formula; ``"a:b"`` for an interaction.
    codes : (n,) integers
        0 to J - 1; every level is used.
    levels : Index (J,)
        Labels: a single factor keeps its own, an interaction has texts ``"a:b"``.
    """

    name: str
    codes: IntVector
    levels: pd.Index[Any]

    @property
    def n_levels(self) -> int:
        """Number of levels J."""
        return len(self.levels)

    @property
    def sizes(self) -> IntVector:
        """Number of rows of each level, (J,)."""
        return np.bincount(self.codes, minlength=self.n_levels)

    def is_constant_within(self, values: FloatVector | IntVector) -> bool:
        """Whether all rows of a level have one value, of given values (n,)."""
        value = np.empty(self.n_levels, dtype=values.dtype)
        value[self.codes] = values
        return bool((value[self.codes] == values).all())


@dataclass(frozen=True, slots=True)
class GroupEncoding:
    """What finds the level of a new row.

    Attributes
    ----------
    expressions : tuple of str
        The crossed expressions, one for a single factor.
    part_levels : tuple of Index
        Levels of each.
    cells : (J, parts) integers
        For each level of the factor the level of each expression.
    """

    expressions: tuple[str, ...]
    part_levels: tuple[pd.Index[Any], ...]
    cells: IntVector

    def codes_of(self, parts: Sequence[IntVector]) -> IntVector:
        """Level of each row, -1 for a combination that the fit has not seen.

        Parameters
        ----------
        parts : sequence of (n,) integers
            Level of each expression, -1 if unseen.
        """
        if len(parts) == 1:
            # A single factor's levels are its expression's levels.
            return parts[0]
        # By cells, not by labels: "a:b" with "c" and "a" with "b:c" print alike.
        known = pd.MultiIndex.from_arrays(list(self.cells.T))
        asked = pd.MultiIndex.from_arrays(list(parts))
        return np.asarray(known.get_indexer(asked), dtype=np.intp)


def build_factor(
    name: str, expressions: Sequence[str], parts: Sequence[Labels]
) -> tuple[GroupingFactor, GroupEncoding]:
    """Combine labels into one factor.

    Parameters
    ----------
    name : str
        Of the factor.
    expressions : sequence of str
        Where the parts come from.
    parts : sequence of Labels
        One, or several that are crossed; no row may be missing.

    Returns
    -------
    factor : GroupingFactor
    encoding : GroupEncoding
    """
    used = [part.without_unused_levels() for part in parts]
    combined = reduce(cross_labels, used)
    factor = GroupingFactor(name, combined.codes, combined.levels)
    first_row = np.empty(factor.n_levels, dtype=np.intp)
    if len(used) == 1:
        cells = np.arange(factor.n_levels)[:, np.newaxis]
    else:
        first_row[factor.codes] = np.arange(len(factor.codes))
        cells = np.column_stack([part.codes[first_row] for part in used])
    levels = tuple(part.levels for part in used)
    return factor, GroupEncoding(tuple(expressions), levels, cells)


def refuse_unusable_factor(
    factor: GroupingFactor,
    effects: Sequence[str],
    *,
    residual_estimated: bool,
) -> None:
    """Refuse a random term that no data could inform.

    Parameters
    ----------
    factor : GroupingFactor
        Its grouping factor.
    effects : sequence of str
        Names of its k effects.
    residual_estimated : bool
        Whether a residual variance has to be told apart from the term.

    Raises
    ------
    DataError
        For a single level, and if there are not fewer random effects than rows.
    """
    n_rows, n_levels = len(factor.codes), factor.n_levels
    written = ["1" if effect == "Intercept" else effect for effect in effects]
    written = written if "1" in written else ["0", *written]
    term = f"({' + '.join(written)} | {factor.name})"
    if n_levels == 1:
        raise DataError(
            f"the grouping factor {factor.name!r} has only one level, "
            f"{shown_levels(factor.levels)}, in all {n_rows} rows; a variance between "
            f"groups needs several. Leave {term} out, or group by another column"
        )
    if not residual_estimated or n_levels * len(effects) < n_rows:
        return
    if n_levels == n_rows:
        raise DataError(
            f"the grouping factor {factor.name!r} has {n_levels} levels in {n_rows} "
            f"rows: each row is a group of its own, so {term} and the residual cannot "
            "be told apart. Group by a column whose values repeat"
        )
    raise DataError(
        f"the random term {term} has {len(effects)} effects for each of {n_levels} "
        f"levels: {n_levels * len(effects)} random effects for {n_rows} rows, which "
        "cannot be told apart from the residual. Use fewer effects, for example "
        f"(1 | {factor.name}), or a factor with fewer levels"
    )
