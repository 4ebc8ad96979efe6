"""Columns of Arrow's types, and masked arrays, as pandas can compute with them.

Held by tests/design/test_arrow_columns.py and tests/design/test_masked_arrays.py.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from multilevel.errors import DataError

# Types that pandas itself codes, compares and computes with; by the start of the name.
_USABLE = (
    "bool", "int", "uint", "float", "double", "half", "decimal", "string",
    "large_string", "date", "timestamp", "duration", "time",
)  # fmt: skip
_SEVERAL = "not one value per row; make a column of the part that is meant"
_REFUSED = {
    "struct": f"records, {_SEVERAL}, for example data[{{name!r}}].struct.field(0)",
    "list": f"lists, {_SEVERAL}, for example data[{{name!r}}].list[0]",
    "map": f"dictionaries, {_SEVERAL}",
    "binary": "bytes; decode them to text first",
}


def plain_column(column: Any, name: Hashable) -> Any:
    """The same column, if need be in a type that pandas can work with.

    Parameters
    ----------
    column : Series or array
        Of any type.
    name : hashable
        Its name, for errors.

    Returns
    -------
    Series or array
        Arrow's dictionaries become categories in the same order, its other kinds of
        text plain text; everything else is returned as it is.

    Raises
    ------
    DataError
        For structs, lists, maps and bytes.

    Examples
    --------
    >>> import pandas as pd
    >>> from multilevel.design.plain_columns import plain_column
    >>> plain_column(pd.Series([1, 2]), "x").tolist()
    [1, 2]
    """
    arrow_type = getattr(getattr(column, "dtype", None), "pyarrow_dtype", None)
    if arrow_type is None:
        return column
    kind = str(arrow_type)
    if kind.startswith(_USABLE) and not kind.startswith("string_view"):
        return column
    for refused, message in _REFUSED.items():
        if refused in kind.partition("<")[0].partition("[")[0]:
            raise DataError(f"{name!r} holds {message.format(name=name)}")
    return _converted(column, kind)


def unmasked(values: Any) -> Any:
    """A masked array with missing values in place of its mask; others as they are.

    Parameters
    ----------
    values : object
        Anything; only numpy's masked arrays are changed.

    Returns
    -------
    object
        Whole numbers and floats with NaN, dates with NaT, all else objects with None:
        numpy's own conversion would bring back the values behind the mask.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.design.plain_columns import unmasked
    >>> unmasked(np.ma.masked_greater([1, 2, 9], 5)).tolist()
    [1.0, 2.0, nan]
    """
    if not isinstance(values, np.ma.MaskedArray):
        return values
    mask, data = np.ma.getmaskarray(values), np.asarray(values)
    if not mask.any():
        return data
    kind = data.dtype.kind
    missing: Any = None
    if kind in "fiu":
        data, missing = data.astype(float), np.nan
    elif kind in "mM":
        missing = np.array("NaT", dtype=data.dtype)
    else:
        data = data.astype(object)
    return np.where(mask, missing, data)


def plain_values(values: Any, index: pd.Index[Any] | None) -> Any:
    """What an expression gave, as an array or a pandas column in the order of the rows.

    Parameters
    ----------
    values : object
        A polars Series, a sparse matrix and a masked array are converted.
    index : Index or None
        Labels of the rows. A Series or DataFrame with the same labels in another order,
        as after sorting, is put into theirs, as pandas does when a column is set.

    Returns
    -------
    object
        Everything else as it is.

    Examples
    --------
    >>> import pandas as pd
    >>> from multilevel.design.plain_columns import plain_values
    >>> x = pd.Series([3, 1, 2])
    >>> plain_values(x.sort_values().cumsum(), x.index).tolist()
    [6, 1, 3]
    """
    if isinstance(values, pd.Series | pd.DataFrame):
        return values if index is None else _in_order(values, index)
    if isinstance(values, np.matrix):
        return np.asarray(values)
    if hasattr(values, "toarray"):
        return values.toarray()
    is_column_of_others = hasattr(values, "to_pandas") and not hasattr(values, "ndim")
    return values.to_pandas() if is_column_of_others else unmasked(values)


def _in_order(values: Any, index: pd.Index[Any]) -> Any:
    own = values.index
    if own is index or len(own) != len(index) or own.equals(index):
        return values
    if not (own.is_unique and index.is_unique):
        return values
    positions = own.get_indexer(index)
    return values if (positions < 0).any() else values.iloc[positions]


def _converted(column: Any, kind: str) -> pd.Series[Any]:
    array = getattr(column, "array", column).__arrow_array__()
    if kind.startswith("run_end_encoded"):
        # Arrow converts no missing run.
        values = pd.Series(array.to_pylist())
    else:
        try:
            values = array.to_pandas()
        except (TypeError, ValueError, NotImplementedError):
            # Among others a dictionary that holds a value twice, or a missing one.
            values = pd.Series(array.to_pylist())
    if isinstance(column, pd.Series):
        values.index, values.name = column.index, column.name
    return values
