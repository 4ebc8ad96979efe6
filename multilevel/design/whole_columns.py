"""Expressions that may look at other rows, on all rows of the data of a fit.

They are evaluated once on all rows, in the data's order, before any is dropped:
``x.shift(1)`` is the row before in the data, as in R. For new rows see
`new_columns.py`.

Held by tests/design/test_whole_columns.py and tests/design/test_integer_columns.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector, IntVector
from multilevel.design.expressions import Expression, FittedExpression, Scope
from multilevel.design.frames import ColumnTable
from multilevel.design.integer_columns import in_full_precision
from multilevel.design.learned import missing_rows
from multilevel.design.values_by_row import (
    first_difference,
    has_rows,
    rows_of,
    spread,
)
from multilevel.errors import FormulaError


class WholeColumns(Protocol):
    """Evaluates on all rows of a table what has to be."""

    def covers(self, expression: Expression) -> bool:
        """Whether the expression must be evaluated on all rows."""

    def value(self, fitted: FittedExpression, rows: IntVector | None) -> Any:
        """Its value on all rows, while `rows` are in; None for all."""


@dataclass(frozen=True, slots=True)
class FitColumns:
    """All rows of the data of a fit.

    Attributes
    ----------
    table : ColumnTable
        The columns.
    scope : Scope
        For errors.
    """

    table: ColumnTable
    scope: Scope
    _values: dict[str, Any] = field(default_factory=dict)

    def covers(self, expression: Expression) -> bool:
        """Whether anything in it looks at a whole column."""
        return expression.reads_all_rows

    def value(self, fitted: FittedExpression, rows: IntVector | None) -> Any:
        """The value on all rows; transforms that remember learn from `rows` only."""
        code = fitted.expression.code
        if code in self._values:
            return self._values[code]
        model_rows = None
        if rows is not None and fitted.expression.stateful:
            model_rows = np.zeros(self.table.n_rows, dtype=bool)
            model_rows[rows] = True
        value = evaluated(fitted, self.table, self.scope, model_rows, learns=True)
        # What has learned may have to learn anew from fewer rows: that is not kept.
        if not fitted.expression.stateful:
            self._values[code] = value
        return value


def kept_columns(
    table: ColumnTable, expressions: Mapping[str, FittedExpression]
) -> ColumnTable | None:
    """Copies of the columns by which new rows will be checked; None if there are none.

    Parameters
    ----------
    table : ColumnTable
        All rows of the data of the fit.
    expressions : mapping
        Code -> expression that new rows will be asked for.
    """
    used = [fitted.expression for fitted in expressions.values()]
    names = [n for found in used if not found.is_row_wise for n in found.columns]
    if not any(not found.is_row_wise for found in used):
        return None
    columns = {name: table.columns[name].copy() for name in dict.fromkeys(names)}
    return ColumnTable(columns, table.index)


def evaluated(
    fitted: FittedExpression,
    table: ColumnTable,
    scope: Scope,
    model_rows: BoolVector | None = None,
    *,
    learns: bool = False,
) -> Any:
    """The value on all rows; rows that miss something do not disturb the others.

    ``x.astype(int)`` cannot be computed where x is missing, and the median of an array
    is missing if one number is. So these rows are left out first, unless the value
    depends on the order of the rows: the lag of a row is that of the row before, even
    if nothing is there.
    """
    columns = {
        name: _column(table.columns[name], fitted) for name in fitted.expression.columns
    }
    checked = [columns[name] for name in fitted.expression.checked_columns]
    complete = _complete_rows(checked)
    if complete is None or not complete.any():
        return fitted.evaluate(scope, columns, model_rows)
    if fitted.expression.is_row_wise:
        # What it learns from a column leaves out the gaps of that column only.
        try:
            return fitted.evaluate(scope, columns, model_rows)
        except FormulaError:
            if learns:
                fitted.forget()
    value = _of_complete_rows(fitted, columns, scope, complete, model_rows)
    if value is not None:
        return value
    if learns:
        fitted.forget()
    return fitted.evaluate(scope, columns, model_rows)


def _of_complete_rows(
    fitted: FittedExpression,
    columns: Mapping[Hashable, pd.Series[Any]],
    scope: Scope,
    complete: BoolVector,
    model_rows: BoolVector | None,
) -> Any:
    """The value on those rows, spread among all; None if it depends on their order."""
    columns = {name: column[complete] for name, column in columns.items()}
    if model_rows is not None:
        model_rows = model_rows[complete]
    n_complete = int(complete.sum())
    # If the values follow their rows when these are shuffled, no row looks at its
    # neighbours. A fixed seed, so that a formula is judged in the same way every time.
    order = np.random.default_rng(n_complete).permutation(n_complete)
    shuffled = {name: column.iloc[order] for name, column in columns.items()}
    try:
        value = fitted.evaluate(scope, columns, model_rows)
        is_settled = fitted.expression.is_row_wise
        other = value if is_settled else fitted.evaluate(scope, shuffled)
    except FormulaError:
        return None
    if not has_rows(value, n_complete) or not has_rows(other, n_complete):
        return None
    if not is_settled and first_difference(rows_of(value, order), other):
        return None
    return spread(value, complete)


def _column(column: pd.Series[Any], fitted: FittedExpression) -> pd.Series[Any]:
    numbers = in_full_precision(column)
    if not fitted.expression.is_row_wise and numbers.dtype == "Int64":
        # What becomes of pandas' NA in functions of any kind, nobody knows.
        floats = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
        return pd.Series(floats, index=numbers.index)
    return numbers


def _complete_rows(columns: Iterable[pd.Series[Any]]) -> BoolVector | None:
    missing = [missing_rows(column) for column in columns]
    found = [rows for rows in missing if rows is not None]
    return ~np.any(found, axis=0) if found else None
