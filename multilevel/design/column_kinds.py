"""What columns held in the fit, so that expressions see the same kind in new data.

Held by tests/design/test_kinds_in_new_data.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multilevel.design.expressions import FittedExpression
from multilevel.design.frames import ColumnTable
from multilevel.design.variables import is_numeric
from multilevel.errors import DataError


@dataclass(frozen=True, slots=True)
class ColumnKind:
    """What a column of the fit held.

    Attributes
    ----------
    holds : str
        ``"numbers"``, ``"text"`` or ``"other"``.
    categories : Index or None
        Of a categorical, in its order.
    is_ordered : bool
        Whether that order means something.
    is_whole : bool
        Whether it was a column of integers, which as text are ``"1"`` and not
        ``"1.0"``.
    """

    holds: str
    categories: pd.Index[Any] | None = None
    is_ordered: bool = False
    is_whole: bool = False


def column_kinds(
    table: ColumnTable, expressions: Mapping[str, FittedExpression]
) -> dict[Hashable, ColumnKind]:
    """The kinds of the columns that expressions compute with.

    Parameters
    ----------
    table : ColumnTable
        The data of the fit.
    expressions : mapping
        Code -> expression. A mere column is no computation: its levels are kept.
    """
    used = [f.expression for f in expressions.values() if f.expression.column is None]
    names = dict.fromkeys(name for found in used for name in found.columns)
    return {name: _kind_of(table.columns[name]) for name in names}


def in_kinds_of_fit(
    table: ColumnTable, kinds: Mapping[Hashable, ColumnKind]
) -> ColumnTable:
    """New columns with the categories of the fit first, where it had any.

    ``f > "low"`` and ``f.cat.codes`` depend on the categories and their order, and
    ``k == 2`` on whether the column holds numbers or text.

    Raises
    ------
    DataError
        For text where the fit had numbers, and the reverse.
    """
    columns = {
        name: _in_kind(column, kinds[name], name) if name in kinds else column
        for name, column in table.columns.items()
    }
    return ColumnTable(columns, table.index)


def _kind_of(column: pd.Series[Any]) -> ColumnKind:
    if isinstance(column.dtype, pd.CategoricalDtype):
        categories = column.dtype.categories
        holds = _holds(categories.to_series())
        return ColumnKind(holds, categories, bool(column.dtype.ordered))
    return ColumnKind(_holds(column), is_whole=_is_of_integers(column))


def _holds(values: pd.Series[Any]) -> str:
    if is_numeric(values):
        return "numbers"
    inferred = pd.api.types.infer_dtype(values, skipna=True)
    return "text" if inferred == "string" else "other"


def _in_kind(column: pd.Series[Any], kind: ColumnKind, name: Hashable) -> Any:
    is_categorical = isinstance(column.dtype, pd.CategoricalDtype)
    if kind.categories is None and not is_categorical and _is_plain_number(column):
        holds = "numbers"
    else:
        holds = _kind_of(column).holds
    if {holds, kind.holds} == {"numbers", "text"} and not column.isna().all():
        example = column.dropna().iloc[0]
        raise DataError(
            f"{name!r} holds {holds} in the new data, such as {example!r}, and "
            f"{kind.holds} in the data of the fit; convert the new column to the same "
            "type"
        )
    if kind.categories is not None:
        return _recategorized(column, kind.categories, kind.is_ordered)
    if is_categorical:
        column = pd.Series(np.asarray(column), index=column.index)
    return _in_number_type(column, kind) if kind.holds == "numbers" else column


def _in_number_type(column: pd.Series[Any], kind: ColumnKind) -> pd.Series[Any]:
    """Integers where the fit had integers, if they are; a gap makes floats of them."""
    if not is_numeric(column) or kind.is_whole == _is_of_integers(column):
        return column
    floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = pd.Series(floats, index=column.index)
    if not kind.is_whole:
        return numbers
    present = floats[~np.isnan(floats)]
    fits = bool(np.all((present == np.floor(present)) & (np.abs(present) < 2.0**63)))
    return numbers.astype("Int64") if fits else column


def _is_of_integers(column: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_integer_dtype(column.dtype))


def _is_plain_number(column: pd.Series[Any]) -> bool:
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf"


def _recategorized(
    column: pd.Series[Any], categories: pd.Index[Any], is_ordered: bool
) -> pd.Series[Any]:
    values = column.astype(object)
    present = pd.Index(values.dropna().unique(), dtype=object)
    further = present.difference(categories, sort=False)
    every = categories if further.empty else categories.append(further)
    return values.astype(pd.CategoricalDtype(every, ordered=is_ordered))
