"""Columns of numbers as expressions see them: 64 bits, whatever the data's type.

Held by tests/design/test_integer_columns.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multilevel.design.variables import is_numeric


def in_full_precision(column: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers as int64 or float64: np.log of an int8 has three digits only.

    Unsigned ones too, since 3 - 5 would be 4294967294; pandas' and Arrow's, whose
    squares wrap around as well; and numbers that are kept as objects, which numpy's
    functions do not know. Integers that are missing somewhere are pandas' Int64.

    Parameters
    ----------
    column : Series

    Returns
    -------
    Series
        The same one if it is no column of numbers, or has 64 bits.
    """
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        if dtype.kind == "f" and dtype.itemsize < 8:
            return column.astype(np.float64)
        if (dtype.kind == "i" and dtype.itemsize < 8) or dtype.kind == "u":
            return _of_integers(column)
        if dtype.kind == "O" and is_numeric(column):
            return _of_objects(column)
        return column
    if isinstance(dtype, (pd.CategoricalDtype, pd.SparseDtype)):
        return column
    if pd.api.types.is_integer_dtype(dtype):
        return _of_integers(column)
    if pd.api.types.is_float_dtype(dtype):
        floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return pd.Series(floats, index=column.index)
    return column


def _of_integers(column: pd.Series[Any]) -> pd.Series[Any]:
    largest = column.max()
    too_large = bool(pd.notna(largest)) and int(largest) > np.iinfo(np.int64).max
    if column.hasnans:
        return column.astype("Float64" if too_large else "Int64")
    kind = np.float64 if too_large else np.int64
    return pd.Series(column.to_numpy(dtype=kind), index=column.index)


def _of_objects(column: pd.Series[Any]) -> pd.Series[Any]:
    floats = column.to_numpy(dtype=float, na_value=np.nan)
    return pd.Series(floats, index=column.index)
