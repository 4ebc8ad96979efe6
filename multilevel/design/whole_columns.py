"""Expressions that may look at other rows: on all rows of a fit, and on new rows.

In the fit they are evaluated once on all rows of the data, in the data's order, before
any is dropped: ``x.shift(1)`` is the row before in the data, as in R. For new rows
nobody can say what such an expression means, unless the new rows alone give the same as
together with those of the fit; so that is tried, and refused if it is not so.
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
from multilevel.errors import DataError, FormulaError


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
        value = _evaluated(fitted, self.table, self.scope, model_rows, learns=True)
        if not fitted.expression.stateful:
            self._values[code] = value
        return value


@dataclass(frozen=True, slots=True)
class NewColumns:
    """All rows of new data, checked against the rows of the fit.

    Attributes
    ----------
    table : ColumnTable
        The new columns.
    scope : Scope
        For errors.
    fit : ColumnTable or None
        The columns of the fit; None if no expression needs them.
    """

    table: ColumnTable
    scope: Scope
    fit: ColumnTable | None

    def covers(self, expression: Expression) -> bool:
        """Whether it may look at other rows, given what was learned in the fit."""
        return not expression.is_row_wise

    def value(self, fitted: FittedExpression, rows: IntVector | None) -> Any:
        """The value on all new rows.

        Raises
        ------
        DataError
            If it depends on which other rows there are.
        """
        names = fitted.expression.columns
        new = self.table
        if self.fit is None:
            return _evaluated(fitted, new, self.scope)
        fit = ColumnTable({n: self.fit.columns[n] for n in names}, self.fit.index)
        if _has_same_rows(new, fit):
            return _evaluated(fitted, fit, self.scope)
        try:
            alone = _evaluated(fitted, new, self.scope)
        except FormulaError as error:
            example = f"for the new rows alone, {error.message}"
            raise _unsettled(fitted.expression.code, example) from None
        self._refuse_dependence(fitted, fit, new, alone)
        return alone

    def _refuse_dependence(
        self, fitted: FittedExpression, fit: ColumnTable, new: ColumnTable, alone: Any
    ) -> None:
        code = fitted.expression.code
        in_fit = _evaluated(fitted, fit, self.scope)
        try:
            both = _evaluated(fitted, _stacked(fit, new), self.scope)
        except FormulaError as error:
            example = f"together with the rows of the fit, {error.message}"
            raise _unsettled(code, example) from None
        n_fit, n_all = fit.n_rows, fit.n_rows + new.n_rows
        lengths = ((alone, new.n_rows), (in_fit, n_fit), (both, n_all))
        if not all(has_rows(value, n_rows) for value, n_rows in lengths):
            raise _unsettled(code, "it does not give one value per row")
        found = first_difference(alone, rows_of(both, np.arange(n_fit, n_all)))
        if found:
            row, a, b = found
            raise _unsettled(
                code,
                f"in row {_label(new, row)} it is {_shown(a)} among the new rows alone "
                f"and {_shown(b)} after the rows of the fit",
            )
        found = first_difference(in_fit, rows_of(both, np.arange(n_fit)))
        if found:
            row, a, b = found
            raise _unsettled(
                code,
                f"with the new rows added it changes in row {_label(fit, row)} of the "
                f"fit from {_shown(a)} to {_shown(b)}",
            )


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


def _evaluated(
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


def _has_same_rows(new: ColumnTable, fit: ColumnTable) -> bool:
    """Whether the new data are the very data of the fit."""
    if new.n_rows != fit.n_rows:
        return False
    return all(
        first_difference(new.columns[name].array, column.array) is None
        for name, column in fit.columns.items()
    )


def _stacked(fit: ColumnTable, new: ColumnTable) -> ColumnTable:
    columns = {
        name: _joined(column, new.columns[name]) for name, column in fit.columns.items()
    }
    if columns:
        return ColumnTable(columns, next(iter(columns.values())).index)
    return ColumnTable({}, pd.RangeIndex(fit.n_rows + new.n_rows))


def _joined(fit: pd.Series[Any], new: pd.Series[Any]) -> pd.Series[Any]:
    if isinstance(new.dtype, pd.CategoricalDtype):
        if isinstance(fit.dtype, pd.CategoricalDtype):
            fit = fit.cat.set_categories(new.cat.categories)
        else:
            new = new.astype(object)
    elif fit.dtype != new.dtype and bool(new.isna().all()):
        # pandas 2 warns of columns without a value, whose type says nothing.
        nothing = fit.iloc[:0].reset_index(drop=True).reindex(range(len(new)))
        new = nothing.set_axis(new.index)
    both: pd.Series[Any] = pd.concat([in_full_precision(fit), in_full_precision(new)])
    return both


def _unsettled(code: str, example: str) -> DataError:
    return DataError(
        f"{code!r} looks at other rows, so its value in new rows is not settled: "
        f"{example}. Compute it before the fit, in the data of the fit and in the new "
        "data, and use the column's name in the formula; what is learned from the fit "
        "and kept is center(x), scale(x), poly(x, 2), or x.mean() and the like"
    )


def _label(table: ColumnTable, row: int) -> str:
    """A row's label, as Python's own numbers and texts are printed."""
    return repr(table.index[[row]].tolist()[0])


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
