"""Expressions that may look at other rows, in new data: settled, or refused.

Nobody can say what ``x.rank()`` means in a new row. But an expression of which nothing
is known may go row by row all the same; then it gives the same for the new rows alone
as among those of the fit, whichever of these come before and after.

Held by tests/design/test_whole_columns.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import IntVector
from multilevel.design.expressions import Expression, FittedExpression, Scope
from multilevel.design.frames import ColumnTable
from multilevel.design.integer_columns import in_full_precision
from multilevel.design.learned import missing_rows
from multilevel.design.values_by_row import first_difference, has_rows, rows_of
from multilevel.design.whole_columns import evaluated
from multilevel.errors import DataError, FormulaError


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
        if self.fit is None:
            return evaluated(fitted, self.table, self.scope)
        columns = {n: self.fit.columns[n] for n in fitted.expression.columns}
        fit = ColumnTable(columns, self.fit.index)
        # Predictions for the data of the fit are settled,
        # whatever the expression looks at.
        if _has_same_rows(self.table, fit):
            return evaluated(fitted, fit, self.scope)
        trial = _Trial(fitted=fitted, scope=self.scope, fit=fit, new=self.table)
        alone = trial.value(None, "for the new rows alone")
        first_new, n_all = fit.n_rows, fit.n_rows + self.table.n_rows
        both = trial.refuse_dependence(alone, np.arange(n_all), "after")
        trial.refuse_change_of_the_fit(rows_of(both, np.arange(first_new)))
        for order in _orders(fit):
            for arrangement in _arrangements(order, np.arange(first_new, n_all)):
                trial.refuse_dependence(alone, arrangement, "among")
        return alone


@dataclass(frozen=True, slots=True)
class _Trial:
    """An expression on new rows, with rows of the fit around them."""

    fitted: FittedExpression
    scope: Scope
    fit: ColumnTable
    new: ColumnTable

    def value(self, stacked: ColumnTable | None, where: str) -> Any:
        """The value on all rows of a table; None for the new ones."""
        table = self.new if stacked is None else stacked
        try:
            value = evaluated(self.fitted, table, self.scope)
        except FormulaError as error:
            raise self._unsettled(f"{where}, {error.message}") from None
        if not has_rows(value, table.n_rows):
            raise self._unsettled(f"{where} it does not give one value per row")
        return value

    def refuse_change_of_the_fit(self, with_new: Any) -> None:
        """Refuse what new rows change in those of the fit."""
        in_fit = self.value(self.fit, "for the rows of the fit")
        found = first_difference(in_fit, with_new)
        if found:
            row, a, b = found
            raise self._unsettled(
                f"with the new rows added it changes in row {_label(self.fit, row)} of "
                f"the fit from {_shown(a)} to {_shown(b)}"
            )

    def refuse_dependence(self, alone: Any, arrangement: IntVector, where: str) -> Any:
        """Refuse what rows of the fit change in the new ones.

        The arrangement has positions in the rows of the fit and then the new ones.
        Returns the value on all of them.
        """
        where = f"{where} the rows of the fit"
        both = self.value(self._arranged(arrangement), where)
        found = first_difference(
            alone, rows_of(both, np.flatnonzero(arrangement >= self.fit.n_rows))
        )
        if found:
            row, a, b = found
            raise self._unsettled(
                f"in row {_label(self.new, row)} it is {_shown(a)} among the new rows "
                f"alone and {_shown(b)} {where}"
            )
        return both

    def _arranged(self, arrangement: IntVector) -> ColumnTable:
        index: pd.Index[Any] = pd.RangeIndex(len(arrangement))
        if not isinstance(self.fit.index, pd.RangeIndex):
            index = self.fit.index.append(self.new.index)[arrangement]
        columns = {}
        for name, column in self.fit.columns.items():
            both = pd.concat(_alike(column, self.new.columns[name]))
            columns[name] = both.iloc[arrangement].set_axis(index)
        return ColumnTable(columns, index)

    def _unsettled(self, example: str) -> DataError:
        return DataError(
            f"{self.fitted.expression.code!r} looks at other rows, so its value in new "
            f"rows is not settled: {example}. Compute it before the fit, in the data "
            "of the fit and in the new data, and use the column's name in the formula; "
            "what is learned from the fit and kept is center(x), scale(x), "
            "poly(x, 2), or x.mean() and the like"
        )


def _orders(fit: ColumnTable) -> Iterator[IntVector]:
    """Rows of the fit in several orders, with different ones at both ends.

    One would not do: what ``x.shift(1).fillna(0)`` takes from the row before may
    happen to be 0, or nothing. Rows in which something is missing are left out.
    """
    missing = [missing_rows(column) for column in fit.columns.values()]
    found = [rows for rows in missing if rows is not None]
    complete = np.arange(fit.n_rows)
    if found:
        complete = np.flatnonzero(~np.any(found, axis=0))
    yield complete
    for column in fit.columns.values():
        values = column.iloc[complete]
        codes = _sorted_codes(values)
        ascending = complete[np.argsort(codes, kind="stable")]
        yield ascending
        yield ascending[::-1]


def _arrangements(order: IntVector, new: IntVector) -> Iterator[IntVector]:
    """Rows of the fit on both sides of the new ones, and between each two of them.

    Groups of which the fit has no row are left together as far as they are concerned:
    a lag within a new group is settled.
    """
    yield np.concatenate([order, new, order])
    if len(new) > 1 and len(order):
        between = np.resize(order, max(len(order), len(new) + 1))
        places = np.arange(1, len(new) + 1) * len(between) // (len(new) + 1)
        yield np.insert(between, places, new)


def _sorted_codes(values: pd.Series[Any]) -> IntVector:
    """Numbers in the order of the values, as far as they have one."""
    try:
        return pd.factorize(values, sort=True)[0]
    except TypeError:
        pass
    try:
        return pd.factorize(values)[0]
    except TypeError:  # lists and the like
        return np.arange(len(values))


def _has_same_rows(new: ColumnTable, fit: ColumnTable) -> bool:
    """Whether the new data are the very data of the fit."""
    if new.n_rows != fit.n_rows:
        return False
    return all(
        first_difference(new.columns[name].array, column.array) is None
        for name, column in fit.columns.items()
    )


def _alike(
    fit: pd.Series[Any], new: pd.Series[Any]
) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Both as expressions see them, of types that can be put together."""
    if isinstance(fit.dtype, pd.CategoricalDtype):
        return fit.cat.set_categories(new.cat.categories), new
    if fit.dtype != new.dtype and bool(new.isna().all()):
        # pandas 2 warns of columns without a value, whose type says nothing.
        nothing = fit.iloc[:0].reset_index(drop=True).reindex(range(len(new)))
        new = nothing.set_axis(new.index)
    return in_full_precision(fit), in_full_precision(new)


def _label(table: ColumnTable, row: int) -> str:
    """A row's label, as Python's own numbers and texts are printed."""
    return repr(table.index[[row]].tolist()[0])


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
