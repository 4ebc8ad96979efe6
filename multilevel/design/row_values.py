"""Weights and offsets: one number per row, by a column's name or as an array.

Held by tests/design/test_weights_and_offsets.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from multilevel.array_types import BoolVector, FloatVector, IntVector
from multilevel.design.frames import ColumnTable
from multilevel.design.missing import by_cause
from multilevel.design.plain_columns import plain_column, unmasked
from multilevel.design.response import Response
from multilevel.design.variables import as_floats
from multilevel.errors import DataError


def refuse_unknown_column(value: Any, role: str, names: Sequence[Hashable]) -> None:
    """Refuse ``weights="siz"`` if the data have no such column.

    Raises
    ------
    DataError
        With close matches.
    """
    if isinstance(value, str) and value not in names:
        close = difflib.get_close_matches(value, [str(name) for name in names], n=3)
        hint = (
            "did you mean " + " or ".join(map(repr, close)) + "?"
            if close
            else "give a column's name or an array; an expression is computed first"
        )
        raise DataError(f"{role}={value!r} is not a column of the data; {hint}")


def read_row_values(value: Any, role: str, table: ColumnTable) -> FloatVector | None:
    """One float per row of the data, NaN where missing.

    Parameters
    ----------
    value : str, Series or array-like (n,), or None
        A column's name; a Series is aligned by its index, an array taken in order.
    role : str
        ``"weights"`` or ``"offset"``, for errors.
    table : ColumnTable
        The data.

    Raises
    ------
    DataError
        If the length or the index does not fit, or the values are not finite numbers.
    """
    if value is None:
        return None
    if isinstance(value, str):
        column: Any = table.columns[value]
        floats = as_floats(column, value)
    elif isinstance(value, pd.Series):
        given = plain_column(aligned_by_index(value, role, table.index), role)
        floats = as_floats(given, role)
    else:
        vector = plain_column(_as_vector(value, role, table.n_rows), role)
        floats = as_floats(vector, role)
    name = value if isinstance(value, str) else role
    n_infinite = int(np.isinf(floats).sum())
    if n_infinite:
        raise DataError(f"{name!r} is infinite in {n_infinite} of {len(floats)} rows")
    # Floats come through as they are: a later change of them would reach the model.
    return floats.copy()


def refuse_negative(weights: FloatVector, name: str) -> None:
    """Refuse negative prior weights.

    Raises
    ------
    DataError
        With their number and the smallest.
    """
    n_negative = int((weights < 0).sum())
    if n_negative:
        raise DataError(
            f"{name!r} is negative in {n_negative} of {len(weights)} rows (smallest: "
            f"{np.nanmin(weights):g}); weights must be positive, rows of weight 0 are "
            "left out"
        )


def aligned_by_index(values: Any, role: str, index: pd.Index[Any]) -> Any:
    """A Series or DataFrame in the order of the data's rows.

    Raises
    ------
    DataError
        If its index has duplicates or lacks a label.
    """
    if values.index.equals(index):
        return values
    # A row that has two candidates has none: reindex would repeat rows or raise.
    if not values.index.is_unique:
        raise DataError(
            f"the index of {role} has duplicates, so it cannot be aligned with the "
            "data; give an array (.to_numpy()) in the order of the rows"
        )
    n_absent = int((~index.isin(values.index)).sum())
    if n_absent:
        raise DataError(
            f"the index of {role} lacks {n_absent} of the data's {len(index)} row "
            "labels; give it the data's index, or an array (.to_numpy()) in the order "
            "of the rows"
        )
    return values.reindex(index)


def _as_vector(value: Any, role: str, n_rows: int) -> Any:
    is_known = isinstance(value, (np.ndarray, pd.Index, ExtensionArray))
    vector = unmasked(value) if is_known else np.asarray(value)
    if np.ndim(vector) != 1 or len(vector) != n_rows:
        raise DataError(
            f"{role} has shape {np.shape(vector)}, but there are {n_rows} rows; give "
            "one number per row of the data, before missing ones are dropped"
        )
    return vector


@dataclass(frozen=True, slots=True)
class RowNumbers:
    """Weights and offset of a model.

    Attributes
    ----------
    weights, offset : (n,) or None
        One number per row.
    weights_name : str
        The column's name, or ``"weights"``.
    offset_column : str or None
        The column's name, if the offset came from one.
    """

    weights: FloatVector | None
    offset: FloatVector | None
    weights_name: str
    offset_column: str | None

    def unusable(self) -> dict[str, BoolVector]:
        """Cause -> rows that are missing or have weight zero, (n,)."""
        found = []
        if self.weights is not None:
            found.append((self.weights_name, np.isnan(self.weights)))
            found.append((f"{self.weights_name} = 0", self.weights == 0))
        if self.offset is not None:
            found.append((self.offset_column or "offset", np.isnan(self.offset)))
        return by_cause((cause, rows) for cause, rows in found if rows.any())

    def of_rows(self, rows: IntVector | None) -> RowNumbers:
        """The same, on the rows that are left; None for all."""
        if rows is None:
            return self
        return RowNumbers(
            weights=None if self.weights is None else self.weights[rows],
            offset=None if self.offset is None else self.offset[rows],
            weights_name=self.weights_name,
            offset_column=self.offset_column,
        )

    def weights_with(self, trials: FloatVector | None) -> FloatVector | None:
        """The weights times the number of trials, where there are any."""
        if trials is None or self.weights is None:
            return self.weights if trials is None else trials
        return self.weights * trials

    def trials_apart(self, response: Response, *, binomial: bool) -> FloatVector | None:
        """Numbers of trials that are not the weights, which then are case weights.

        Two columns say their trials, and zeros and ones are single trials.
        """
        if not binomial or self.weights is None:
            return None
        if response.trials is not None:
            return response.trials
        # A proportion in between needs its number of trials,
        # and only the weights can be it.
        single = ((response.y == 0.0) | (response.y == 1.0)).all()
        return np.ones_like(response.y) if single else None


def read_row_numbers(
    weights: Any, offset: Any, names: Sequence[Hashable], table: ColumnTable
) -> RowNumbers:
    """Weights and offset of a model, all rows.

    Parameters
    ----------
    weights, offset : str, Series or array-like (n,), or None
        As `read_row_values` takes them.
    names : sequence
        Names of the data's columns.
    table : ColumnTable
        The data, with the columns that were named.

    Raises
    ------
    DataError
        For unknown columns, wrong lengths, negative weights.
    """
    refuse_unknown_column(weights, "weights", names)
    refuse_unknown_column(offset, "offset", names)
    numbers = RowNumbers(
        weights=read_row_values(weights, "weights", table),
        offset=read_row_values(offset, "offset", table),
        weights_name=weights if isinstance(weights, str) else "weights",
        offset_column=offset if isinstance(offset, str) else None,
    )
    if numbers.weights is not None:
        refuse_negative(numbers.weights, numbers.weights_name)
    return numbers
