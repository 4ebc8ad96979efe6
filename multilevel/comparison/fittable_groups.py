"""Which groups can have a regression of their own, on which columns, and why not.

Held by tests/comparison/test_unpooled.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import BoolVector, FloatMatrix, IntVector
from multilevel.likelihood.rows.effect_rows import LevelIndex
from multilevel.likelihood.rows.level_regressions import level_basis


@dataclass(frozen=True, slots=True)
class FittableGroups:
    """What is left to fit.

    Parameters
    ----------
    columns : (q,) integers
        Positions of the columns that some group can estimate.
    dropped : dict
        Position of another column -> why no group can estimate it.
    fitted : (J,) booleans
        Groups with enough rows of enough rank.
    excluded : dict
        Another group -> why.
    """

    columns: IntVector
    dropped: dict[int, str]
    fitted: BoolVector
    excluded: dict[int, str]


def fittable_groups(
    exog: FloatMatrix,
    names: Sequence[str],
    index: LevelIndex,
    *,
    factor: str,
    has_scale: bool,
) -> FittableGroups:
    """Columns that vary within groups, and groups that have enough of them.

    Parameters
    ----------
    exog : (n, p)
        Rows sorted by group.
    names : p texts
    index : LevelIndex
    factor : str
        Name of the grouping factor, for the reasons.
    has_scale : bool
        Whether each group must have rows left to estimate a dispersion from.

    Returns
    -------
    FittableGroups
    """
    kept = level_basis(exog, index).kept
    columns = np.flatnonzero(kept.any(axis=1))
    some = np.flatnonzero(~kept.all(axis=1)).tolist()
    constant = {k: _constant(exog, k, index) for k in some}
    dropped = {
        k: f"constant within every {factor}"
        if constant[k].all()
        else f"depends on the columns before it within every {factor}"
        for k in np.flatnonzero(~kept.any(axis=1)).tolist()
    }
    sizes = index.sums(None).astype(int)
    least = len(columns) + has_scale
    small = sizes < least
    short = ~kept[columns].all(axis=0) & ~small
    excluded = {
        int(j): _too_small(int(sizes[j]), len(columns), has_scale=has_scale)
        for j in np.flatnonzero(small)
    }
    for j in np.flatnonzero(short):
        missing = [k for k in columns.tolist() if not kept[k, j]]
        excluded[int(j)] = _rank_deficient(
            [names[k] for k in missing], [bool(constant[k][j]) for k in missing]
        )
    return FittableGroups(columns, dropped, ~(small | short), excluded)


def _constant(exog: FloatMatrix, k: int, index: LevelIndex) -> BoolVector:
    """In which groups a column has one value, (J,)."""
    return np.asarray(index.largest(exog[:, k]) == -index.largest(-exog[:, k]))


def _too_small(n_rows: int, n_columns: int, *, has_scale: bool) -> str:
    rows = f"{n_rows} row{'s' * (n_rows != 1)}"
    return (
        f"too small: {rows} for {n_columns} coefficient{'s' * (n_columns != 1)}"
        f"{' and a residual variance' * has_scale}"
    )


def _rank_deficient(names: Sequence[str], constant: Sequence[bool]) -> str:
    texts = [
        f"{name} is constant" if same else f"{name} depends on the columns before it"
        for name, same in zip(names, constant, strict=True)
    ]
    more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
    return "rank-deficient: " + ", ".join(texts[:3]) + more
