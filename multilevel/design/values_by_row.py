"""What an expression gave, of whatever type, by its rows: taken, spread, compared.

Held by tests/design/test_whole_columns.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector, IntVector
from multilevel.design.learned import missing_rows

# Values this close are the same number, computed among more or fewer others.
_RELATIVE = 1e-9
_OF_LARGEST = 1e-13


class Compared:
    """What an expression compares: with nothing, the result is missing, not false."""

    def __init__(self) -> None:
        self.missing: list[BoolVector] = []

    def see(self, value: Any) -> Any:
        """The same value; the rows in which it is missing are noted."""
        if np.ndim(value) == 1 and hasattr(value, "dtype"):
            missing = missing_rows(value)
            if missing is not None:
                self.missing.append(missing)
        return value

    def marked(self, value: Any) -> Any:
        """The value of the expression, missing in the rows that were noted."""
        if not self.missing or any(
            not has_rows(value, len(rows)) for rows in self.missing
        ):
            return value
        return without_rows(value, np.any(self.missing, axis=0))


def is_box(value: Any) -> bool:
    """Whether it is what ``C(...)`` gives, with the values inside."""
    return hasattr(value, "contrast") and hasattr(value, "levels")


def unboxed(value: Any) -> Any:
    """The values themselves, as something with a length."""
    value = value.data if is_box(value) else value
    return value if hasattr(value, "dtype") else _as_table(value)


def _as_table(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        return value
    try:
        return np.asarray(value)
    except ValueError:  # of several lengths; refused where a variable is made of it
        return np.array(None, dtype=object)


def has_rows(value: Any, n_rows: int) -> bool:
    """Whether it has a value for each row."""
    values = unboxed(value)
    return values.ndim in (1, 2) and len(values) == n_rows


def rows_of(value: Any, rows: IntVector | None) -> Any:
    """The values of some rows; None for all.

    Parameters
    ----------
    value : Series, DataFrame, array, Categorical or ``C(...)``
        A value for each row.
    rows : (n,) integers or None
        Positions.
    """
    if rows is None:
        return value
    if is_box(value):
        return _reboxed(value, rows_of(unboxed(value), rows))
    values = unboxed(value)
    has_index = isinstance(values, (pd.Series, pd.DataFrame))
    return values.iloc[rows] if has_index else values[rows]


def spread(value: Any, rows: BoolVector) -> Any:
    """Values of some rows among all, missing in the others.

    Parameters
    ----------
    value : Series, DataFrame, array, Categorical or ``C(...)``
        A value for each of the rows that are marked.
    rows : (n,) booleans
        The rows they belong to.
    """
    if is_box(value):
        return _reboxed(value, spread(unboxed(value), rows))
    values = unboxed(value)
    if values.ndim == 2:
        every = np.full((len(rows), values.shape[1]), np.nan)
        every[rows] = values
        return every
    position = np.where(rows, np.cumsum(rows) - 1, -1)
    series = pd.Series(getattr(values, "array", values)).reset_index(drop=True)
    if series.dtype.kind in "iu":
        series = series.astype("Int64")  # floats would give the labels 1.0, 2.0
    return series.reindex(position).set_axis(pd.RangeIndex(len(rows)))


def without_rows(value: Any, missing: BoolVector) -> Any:
    """The values, those of some rows made missing."""
    return spread(rows_of(value, np.flatnonzero(~missing)), ~missing)


def first_difference(value: Any, other: Any) -> tuple[int, Any, Any] | None:
    """The first row in which two values differ, up to rounding, with both of them.

    Parameters
    ----------
    value, other
        Of the same rows.
    """
    a, b = _comparable(value), _comparable(other)
    if a.shape != b.shape:
        return 0, f"{a.shape[1]} columns", f"{b.shape[1]} columns"
    if a.dtype.kind == b.dtype.kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(a - b)
            size = np.maximum(np.abs(a), np.abs(b))
            largest = np.nanmax(size, initial=0.0)
            # Sums of more or fewer rows are added up in another order: equal but for
            # rounding, of the value itself or, where parts cancel, of the largest.
            close = (apart <= _RELATIVE * size) | (apart <= _OF_LARGEST * largest)
        same = close | (a == b) | (np.isnan(a) & np.isnan(b))
    else:
        same = np.array(
            [x is y or _is_same(x, y) for x, y in zip(a.flat, b.flat, strict=True)],
            dtype=bool,
        ).reshape(a.shape)
    if same.all():
        return None
    row, column = np.argwhere(~same)[0]
    return int(row), a[row, column], b[row, column]


def _is_same(x: Any, y: Any) -> bool:
    if pd.api.types.is_scalar(x) and pd.isna(x):
        return bool(pd.api.types.is_scalar(y) and pd.isna(y))
    return type(x == y) in (bool, np.bool_) and bool(x == y)


def _comparable(value: Any) -> Any:
    """A matrix of floats, or of objects."""
    values = unboxed(value)
    if isinstance(values, pd.DataFrame):
        values = values.to_numpy()
    is_number = pd.api.types.is_numeric_dtype(values.dtype)
    if is_number and not pd.api.types.is_complex_dtype(values.dtype):
        array = (
            values.astype(float)
            if isinstance(values, np.ndarray)
            else pd.Series(values).to_numpy(dtype=float, na_value=np.nan)
        )
    else:
        array = np.empty(values.shape, dtype=object)
        array[...] = np.asarray(values, dtype=object)
    return array.reshape(len(array), -1)


def _reboxed(box: Any, data: Any) -> Any:
    # A copy by hand: patsy's box refuses the protocol that `copy` uses.
    made = object.__new__(type(box))
    vars(made).update(vars(box) | {"data": data})
    return made
