"""Every expression of a model, evaluated once on the rows that are in.

Held by tests/design/test_whole_columns.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector, IntVector
from multilevel.design.expressions import FittedExpression, Scope
from multilevel.design.frames import ColumnTable
from multilevel.design.integer_columns import in_full_precision
from multilevel.design.labels import Labels, encode_labels
from multilevel.design.values_by_row import has_rows, rows_of
from multilevel.design.variables import (
    CategoricalVariable,
    NumericVariable,
    Variable,
    as_variable,
    boxed_labels,
    is_numeric,
)
from multilevel.design.whole_columns import WholeColumns
from multilevel.errors import FormulaError


@dataclass(frozen=True, slots=True)
class ColumnStore:
    """The columns of the data; each is looked at once, whatever rows are dropped.

    Attributes
    ----------
    table : ColumnTable
        The columns.
    """

    table: ColumnTable
    _labels: dict[Hashable, Labels] = field(default_factory=dict)
    _variables: dict[Hashable, Variable] = field(default_factory=dict)

    def labels(self, name: Hashable) -> Labels:
        """The column as labels, all rows."""
        if name not in self._labels:
            self._labels[name] = encode_labels(self.table.columns[name], name)
        return self._labels[name]

    def variable(self, name: Hashable) -> Variable:
        """The column as numbers or categories, all rows."""
        if name not in self._variables:
            self._variables[name] = as_variable(
                self.table.columns[name],
                str(name),
                self.table.n_rows,
                encode=lambda _: self.labels(name),
            )
        return self._variables[name]

    def missing(self, name: Hashable) -> BoolVector | None:
        """Rows in which the column is missing, (n,); None if none is."""
        column = self.table.columns[name]
        if name in self._labels:
            missing = self._labels[name].missing
        elif isinstance(column.dtype, np.dtype) and column.dtype.kind in "iub":
            return None
        elif isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
            # By one sum, without coding a column of numbers as labels.
            return NumericVariable(column.to_numpy()[:, np.newaxis]).missing
        elif is_numeric(column):
            missing = column.isna().to_numpy()
        else:
            missing = self.labels(name).missing
        return missing if missing.any() else None


@dataclass(frozen=True, slots=True)
class RowEvaluation:
    """Values of expressions on some rows, each computed once.

    Attributes
    ----------
    store : ColumnStore
        The columns.
    expressions : mapping
        Code -> expression with what its transforms learned.
    scope : Scope
        For errors.
    rows : (n,) integers or None
        Positions of the rows; None for all.
    whole : WholeColumns
        Evaluates what has to see all rows.
    """

    store: ColumnStore
    expressions: Mapping[str, FittedExpression]
    scope: Scope
    rows: IntVector | None
    whole: WholeColumns
    _columns: dict[Hashable, pd.Series[Any]] = field(default_factory=dict)
    _values: dict[str, Any] = field(default_factory=dict)
    _variables: dict[str, Variable] = field(default_factory=dict)
    _labels: dict[str, Labels] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.store.table.n_rows if self.rows is None else len(self.rows)

    def variable(self, code: str) -> Variable:
        """The expression as numbers or categories."""
        if code not in self._variables:
            try:
                self._variables[code] = self._new_variable(code)
            except FormulaError as error:
                raise self.scope.placed(error, code) from None
        return self._variables[code]

    def labels(self, code: str) -> Labels:
        """The expression as labels of groups."""
        if code not in self._labels:
            self._labels[code] = self._new_labels(code)
        return self._labels[code]

    def missing_causes(self) -> dict[str, BoolVector]:
        """Computed expressions (not columns) that are missing in some rows."""
        causes = {}
        for code in dict.fromkeys([*self._variables, *self._labels]):
            if self.expressions[code].expression.column is not None:
                continue
            if code in self._variables:
                missing = self._variables[code].missing
            else:
                missing = self._labels[code].missing
            if missing is not None and missing.any():
                causes[code] = missing
        return causes

    def _new_variable(self, code: str) -> Variable:
        name = self.expressions[code].expression.column
        if name is not None:
            variable = self.store.variable(name)
            variable = variable if self.rows is None else variable.of_rows(self.rows)
        else:
            variable = as_variable(self._value(code), code, self.n_rows)
        if isinstance(variable, CategoricalVariable):
            return variable.without_unused_levels()
        return variable

    def _new_labels(self, code: str) -> Labels:
        name = self.expressions[code].expression.column
        if name is not None:
            labels = self.store.labels(name)
            return labels if self.rows is None else labels.of_rows(self.rows)
        value = self._value(code)
        if hasattr(value, "contrast") and hasattr(value, "levels"):
            return boxed_labels(value, code, self.n_rows)
        # Goes through the check that there is one value per row.
        variable = self.variable(code)
        if isinstance(variable, CategoricalVariable):
            return variable.labels
        if variable.values.shape[1] != 1:
            raise self.scope.error(
                f"{code!r} gives {variable.values.shape[1]} columns; a grouping factor "
                "is one label per row",
                [code],
                "columns go to the left of the bar, (columns | group)",
            )
        return encode_labels(np.asarray(value).reshape(self.n_rows))

    def _value(self, code: str) -> Any:
        if code not in self._values:
            fitted = self.expressions[code]
            if self.whole.covers(fitted.expression):
                value = self._of_whole(fitted)
                self._values[code] = value
                return value
            for name in fitted.expression.columns:
                if name not in self._columns:
                    self._columns[name] = self._column(name)
            self._values[code] = fitted.evaluate(self.scope, self._columns)
        return self._values[code]

    def _of_whole(self, fitted: FittedExpression) -> Any:
        value = self.whole.value(fitted, self.rows)
        if has_rows(value, self.store.table.n_rows):
            return rows_of(value, self.rows)
        return value  # refused by what looks at its rows

    def _column(self, name: Hashable) -> pd.Series[Any]:
        column = self.store.table.columns[name]
        if self.rows is not None:
            column = column.iloc[self.rows]
        return in_full_precision(column)
