"""Columns out of whatever holds them: pandas, dict, and others through narwhals.

Held by tests/design/test_kinds_of_frames.py and tests/design/test_bad_data.py.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multilevel.design.plain_columns import plain_column
from multilevel.errors import DataError


@dataclass(frozen=True, slots=True)
class ColumnTable:
    """The columns that a model uses, all of one length.

    Attributes
    ----------
    columns : dict of Series
        By name; they all carry `index`.
    index : Index
        Labels of the rows.
    """

    columns: dict[Hashable, pd.Series[Any]]
    index: pd.Index[Any]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.index)


def column_names(data: Any) -> list[Hashable]:
    """Names of all columns, duplicates included.

    Parameters
    ----------
    data : DataFrame, dict of columns, polars DataFrame, pyarrow Table
        The data.

    Raises
    ------
    DataError
        If `data` is none of these.

    Examples
    --------
    >>> column_names({"x": [1, 2], "y": [3, 4]})
    ['x', 'y']
    """
    if isinstance(data, pd.DataFrame):
        return list(data.columns)
    if isinstance(data, Mapping):
        return list(data)
    return list(_narwhals_frame(data).columns)


def read_columns(data: Any, wanted: Collection[Hashable]) -> ColumnTable:
    """The wanted columns as pandas Series, the others untouched.

    Parameters
    ----------
    data : DataFrame, dict of columns, polars DataFrame, pyarrow Table
        The data.
    wanted : collection of names
        Columns that exist.

    Returns
    -------
    ColumnTable

    Raises
    ------
    DataError
        For a wanted name that several columns have, columns of different lengths.
    """
    if isinstance(data, pd.DataFrame):
        return _from_pandas(data, wanted)
    if isinstance(data, Mapping):
        return _from_mapping(data, wanted)
    frame = _narwhals_frame(data)
    is_polars = type(frame.to_native()).__module__.startswith("polars")
    columns = {
        name: plain_column(_as_series(frame[name], is_polars=is_polars), name)
        for name in wanted
    }
    return ColumnTable(columns, pd.RangeIndex(len(frame)))


def _from_pandas(data: pd.DataFrame, wanted: Collection[Hashable]) -> ColumnTable:
    columns: dict[Hashable, pd.Series[Any]] = {}
    for name in wanted:
        column: Any = data[name]
        if isinstance(column, pd.DataFrame):
            raise DataError(
                f"{column.shape[1]} columns of the data are named {name!r}, so the "
                "formula cannot tell which one is meant; rename or drop all but one "
                "(data.loc[:, ~data.columns.duplicated()] keeps the first)"
            )
        columns[name] = plain_column(column, name)
    return ColumnTable(columns, data.index)


def _from_mapping(data: Mapping[Any, Any], wanted: Collection[Hashable]) -> ColumnTable:
    index: pd.Index[Any] | None = None
    # Without a wanted column (y ~ 1 in new data) any other one tells the length.
    names = list(wanted) or list(data)[:1]
    for name in names:
        column = data[name]
        if isinstance(column, pd.Series):
            if index is not None and not index.equals(column.index):
                raise DataError(
                    f"the column {name!r} has another index than the columns before "
                    "it; put them into one DataFrame first, or give arrays"
                )
            index = column.index
    lengths = {name: _length_of(name, data[name]) for name in names}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
        raise DataError(
            f"the columns have different lengths: {listed}; give one value per row in "
            "each"
        )
    if index is None:
        index = pd.RangeIndex(next(iter(lengths.values()), 0))
    columns: dict[Hashable, pd.Series[Any]] = {}
    for name in wanted:
        column = data[name]
        same = isinstance(column, pd.Series)
        columns[name] = plain_column(
            column if same else _series_of(column, index), name
        )
    return ColumnTable(columns, index)


def _series_of(values: Any, index: pd.Index[Any]) -> pd.Series[Any]:
    if isinstance(values, (list, tuple)) and any(isinstance(v, tuple) for v in values):
        # pandas would read a list of tuples as several levels of an index.
        array = np.empty(len(values), dtype=object)
        array[:] = values
        values = array
    return pd.Series(values, index=index)


def _length_of(name: Hashable, column: Any) -> int:
    if isinstance(column, str) or not hasattr(column, "__len__"):
        raise DataError(
            f"the column {name!r} is {column!r}, not one value per row; "
            "give an array, a list or a Series"
        )
    if np.ndim(column) > 1:
        raise DataError(
            f"the column {name!r} has {np.ndim(column)} dimensions; give one column "
            "per name"
        )
    return len(column)


def _narwhals_frame(data: Any) -> Any:
    if data is None or isinstance(data, (str, bytes, int, float, list, np.ndarray)):
        raise _unreadable(data)
    import narwhals

    try:
        frame = narwhals.from_native(data)
    except TypeError:
        raise _unreadable(data) from None
    if isinstance(frame, narwhals.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, narwhals.DataFrame):
        raise _unreadable(data)
    return frame


def _unreadable(data: Any) -> DataError:
    kind = "nothing (None)" if data is None else f"a {type(data).__name__}"
    if isinstance(data, str):
        kind = f"a text, {data[:40]!r} (read a file first, as by pd.read_csv)"
    return DataError(
        f"the data are {kind}; give a pandas DataFrame, a dict of columns, a polars "
        "DataFrame or a pyarrow Table"
    )


def _as_series(column: Any, *, is_polars: bool) -> pd.Series[Any]:
    """A narwhals column as a Series; without pyarrow, polars goes through a list."""
    import narwhals

    if is_polars and column.dtype == narwhals.Categorical:
        # Its categories are in order of appearance, so text says as much; an Enum has
        # an order that means something.
        column = column.cast(narwhals.String)
    try:
        series: pd.Series[Any] = column.to_pandas()
    except ImportError:
        series = pd.Series(column.to_list())
    return series.reset_index(drop=True)
