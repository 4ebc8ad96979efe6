"""New rows whose mean the fit does not tell: found, named, and left without one.

Held by tests/prediction/test_estimable_rows.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from multilevel.array_types import BoolVector
from multilevel.design.estimability import EstimableSpace
from multilevel.design.frames import read_columns
from multilevel.design.model_design import ModelDesign
from multilevel.design.new_data import NewRows
from multilevel.errors import (
    DataError,
    DroppedRowsWarning,
    RankDeficiencyWarning,
    warn_caller,
)
from multilevel.prediction.prediction_options import Check

_MOST_SHOWN = 4


def rows_without_mean(
    design: ModelDesign, rows: NewRows, data: Any, check: Check
) -> BoolVector:
    """Rows that cannot be predicted, with a warning or an error that names them.

    Parameters
    ----------
    design : ModelDesign
        Of the fit.
    rows : NewRows
        Coded as the data of the fit.
    data : data frame
        Where they come from.
    check : {"warn", "raise"}
        What to do if a row's mean is not estimable, or if it lies outside the range
        in which a spline of the formula is defined.

    Returns
    -------
    (m,) booleans
        Rows in which something is missing, too.

    Raises
    ------
    DataError
        For such rows with ``check="raise"``.

    Warns
    -----
    RankDeficiencyWarning
        With the combinations that are not estimable.
    DroppedRowsWarning
        With the splines, and the ranges of their knots.
    """
    for code, outside in rows.outside.items():
        _report(_outside_message(design, code, outside), check, DroppedRowsWarning)
    unknown = ~estimable_rows(design, rows)
    if unknown.any():
        message = _not_estimable_message(design, rows, data, unknown)
        _report(message, check, RankDeficiencyWarning)
    return np.asarray(rows.missing | unknown)


def estimable_rows(design: ModelDesign, rows: NewRows) -> BoolVector:
    """Whether the fixed part of each row is estimable, (m,); true where missing."""
    estimable = np.ones(len(rows.missing), dtype=bool)
    # With full rank every row is estimable; the space is dear
    # to build for many columns.
    if len(design.kept) < design.exog.shape[1]:
        space = EstimableSpace.of(design.exog, design.kept)
        present = ~rows.missing
        estimable[present] = space.contains(rows.exog[present])
    return estimable


def _report(message: str, check: Check, category: type[Warning]) -> None:
    if check == "raise":
        raise DataError(message + '; leave these rows out, or use check="warn"')
    warn_caller(message + "; they are predicted as NaN", category)


def _outside_message(design: ModelDesign, code: str, outside: BoolVector) -> str:
    assert design.encoding is not None
    ranges = design.encoding.expressions[code].knot_ranges
    between = ", ".join(f"between {low:g} and {high:g}" for low, high in ranges)
    return (
        f"{int(outside.sum())} of {len(outside)} rows lie outside of the knots of "
        f"{code!r}, which the fit put {between}"
    )


def _not_estimable_message(
    design: ModelDesign, rows: NewRows, data: Any, unknown: BoolVector
) -> str:
    number = int(unknown.sum())
    verb = "is" if number == 1 else "are"
    return (
        f"{number} of {len(unknown)} rows {verb} not estimable: the rows of the fit do "
        f"not tell the mean at {_combinations(design, rows, data, unknown)}"
    )


def _combinations(
    design: ModelDesign, rows: NewRows, data: Any, unknown: BoolVector
) -> str:
    """The cells, as ``f = 'c', h = 'w' (2 rows)``, the most frequent first."""
    space = EstimableSpace.of(design.exog, design.kept)
    at = np.flatnonzero(unknown)
    departed = space.departures(rows.exog[at])
    table = read_columns(data, _columns_of(design, range(design.exog.shape[1])))
    found: Counter[str] = Counter()
    for pattern in np.unique(departed, axis=0):
        names = _columns_of(design, space.columns_involved(pattern).tolist())
        own = at[(departed == pattern).all(axis=1)]
        values = [table.columns[name].iloc[own].tolist() for name in names]
        found.update(
            ", ".join(f"{n} = {v!r}" for n, v in zip(names, row, strict=True))
            for row in zip(*values, strict=True)
        )
    shown = [
        cell + (f" ({count} rows)" if count > 1 else "")
        for cell, count in found.most_common(_MOST_SHOWN)
    ]
    more = len(found) - len(shown)
    return "; ".join(shown) + (f" and {more} more" if more else "")


def _columns_of(design: ModelDesign, positions: Sequence[int] | range) -> list[Any]:
    """The data's columns that some fixed-effects columns are made of."""
    assert design.encoding is not None
    recipes = design.encoding.fixed.recipes
    codes = [code for j in positions for code, _ in recipes[j]]
    return list(design.encoding.columns_of(tuple(dict.fromkeys(codes))))
