"""The Python expressions in a formula, and their values on the rows of a table.

Held by tests/design/test_gaps_in_expressions.py and tests/design/test_whole_columns.py.
"""

from __future__ import annotations

import importlib
import pickle
import types
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector
from multilevel.design.exact_arithmetic import OPERATORS
from multilevel.design.learned import Learned, Remembering, learning_from
from multilevel.design.plain_columns import plain_values
from multilevel.design.values_by_row import Compared
from multilevel.design.variables import is_numeric, kind_of
from multilevel.errors import DataError, FormulaError
from multilevel.formula.tree import locate


@dataclass(frozen=True, slots=True)
class Scope:
    """What the names of a formula may stand for.

    Attributes
    ----------
    text : str
        The formula, for errors.
    columns : collection
        Names of the data's columns.
    functions : mapping
        The formula's own functions.
    environment : mapping
        The caller's namespace.
    """

    text: str
    columns: Collection[Hashable]
    functions: Mapping[str, Any]
    environment: Mapping[str, object]

    def error(
        self, message: str, pieces: Collection[str], hint: str | None = None
    ) -> FormulaError:
        """An error with carets under the first of the pieces that can be found."""
        for piece in pieces:
            place = locate(self.text, piece)
            if place:
                return FormulaError(
                    message, text=self.text, start=place[0], end=place[1], hint=hint
                )
        return FormulaError(message, text=self.text or None, hint=hint)

    def placed(self, error: FormulaError, code: str) -> FormulaError:
        """The same error with carets under the expression."""
        return self.error(error.message, [code], error.hint)


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression whose names are settled.

    Attributes
    ----------
    code : str
        As in the formula, with normal spacing; the name of what it gives.
    column : hashable or None
        The column's name, if the expression is nothing but a column.
    columns : tuple
        Names of all columns it uses.
    checked_columns : tuple
        Those of them in which a missing value makes the row missing.
    program : str
        Python text in which every name is a key of `bindings` or of `sources`.
    bindings : dict
        The functions and modules it uses.
    sources : dict
        Name in `program` -> column.
    stateful : dict
        Name in `program` -> class of a transform that remembers.
    learned : dict
        Name in `program` -> what will learn there from the whole column, unlearned.
    is_row_wise : bool
        Whether a row's value is known to depend on that row only, given what has been
        learned.
    """

    code: str
    column: Hashable | None
    columns: tuple[Hashable, ...]
    checked_columns: tuple[Hashable, ...]
    program: str
    bindings: dict[str, Any]
    sources: dict[str, Hashable]
    stateful: dict[str, type]
    learned: dict[str, Learned] = field(default_factory=dict)
    is_row_wise: bool = True

    @property
    def reads_all_rows(self) -> bool:
        """Whether it must see all rows of the data of the fit, dropped ones too."""
        return bool(self.learned) or not self.is_row_wise

    def __reduce__(self) -> tuple[Any, ...]:
        bindings = {name: _packed(name, v) for name, v in self.bindings.items()}
        kinds = (self.stateful, self.learned, self.is_row_wise)
        rest = (self.program, bindings, self.sources, *kinds)
        place = (self.code, self.column, self.columns, self.checked_columns)
        return _unpacked_expression, (*place, *rest)

    def unlearned(self) -> FittedExpression:
        """The expression with transforms that will learn from what they see first."""
        transforms: dict[str, Learned] = {
            name: Remembering(kind) for name, kind in self.stateful.items()
        }
        transforms |= {name: replace(made) for name, made in self.learned.items()}
        return FittedExpression(self, transforms)


@dataclass(frozen=True, slots=True)
class FittedExpression:
    """An expression with what its transforms learn from the data of the fit.

    Attributes
    ----------
    expression : Expression
        What is evaluated.
    transforms : dict
        Name in the program -> what it learned: a `Remembering`, `RememberedValue` or
        `RememberedBins`, plain data all of them.
    """

    expression: Expression
    transforms: dict[str, Learned]

    @property
    def knot_ranges(self) -> list[tuple[float, float]]:
        """Between what each of its splines that end is defined."""
        learned: list[Any] = [
            getattr(self.transforms[name], "transform", None)
            for name in self.expression.stateful
        ]
        return [each.knot_range for each in learned if hasattr(each, "knot_range")]

    def forget(self) -> None:
        """Let it learn anew."""
        self.transforms.update(self.expression.unlearned().transforms)

    def evaluate(
        self,
        scope: Scope,
        columns: Mapping[Hashable, Any],
        model_rows: BoolVector | None = None,
    ) -> Any:
        """The value on other rows of the same columns.

        Parameters
        ----------
        scope : Scope
            For errors.
        columns : mapping
            Column name -> Series.
        model_rows : (n,) booleans, optional
            In the fit, the rows that transforms learn from; None for all.

        Raises
        ------
        FormulaError
            If Python raises; its message is passed on.
        """
        expression = self.expression
        if expression.column is not None:
            return columns[expression.column]
        names = {name: columns[key] for name, key in expression.sources.items()}
        names |= expression.bindings
        compared = Compared()
        names |= OPERATORS | self.transforms | {"_compared": compared.see}
        try:
            with np.errstate(all="ignore"), learning_from(self.transforms, model_rows):
                # No globals: every name of the program is a key
                # of what has been settled.
                value = eval(_compiled(expression.program), {}, names)
                return compared.marked(plain_values(value, _index(expression, columns)))
        except DataError as error:
            raise DataError(f"{expression.code!r}: {error}") from None
        except Exception as error:
            raise scope.error(
                f"{expression.code!r} cannot be computed: "
                f"{type(error).__name__}: {error}",
                [expression.code],
                _kinds_of_columns(expression, columns),
            ) from error


@lru_cache(maxsize=1024)
def _compiled(program: str) -> types.CodeType:
    return compile(program, "<formula>", "eval")


def _kinds_of_columns(
    expression: Expression, columns: Mapping[Hashable, Any]
) -> str | None:
    """A hint that names the columns which hold no numbers."""
    found = [
        f"{name!r} holds {kind_of(columns[name])}"
        for name in expression.columns
        if not is_numeric(columns[name])
    ]
    return ", ".join(found) or None


def _packed(name: str, value: Any) -> tuple[str, Any]:
    """A function or module in a form that can be pickled, as far as there is one."""
    if isinstance(value, types.ModuleType):
        return "module", value.__name__
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return "lost", name.removeprefix("_name_")
    return "value", value


def _unpacked_expression(
    code: str,
    column: Hashable | None,
    columns: tuple[Hashable, ...],
    checked_columns: tuple[Hashable, ...],
    program: str,
    packed: dict[str, tuple[str, Any]],
    sources: dict[str, Hashable],
    stateful: dict[str, type],
    learned: dict[str, Learned],
    is_row_wise: bool,
) -> Expression:
    bindings = {name: _unpacked(*value) for name, value in packed.items()}
    place = (code, column, columns, checked_columns)
    kinds = (stateful, learned, is_row_wise)
    return Expression(*place, program, bindings, sources, *kinds)


def _unpacked(kind: str, value: Any) -> Any:
    if kind == "module":
        return importlib.import_module(value)
    if kind == "value":
        return value

    def refuse(*args: Any, **options: Any) -> None:
        raise NameError(
            f"{value}() could not be saved with the model; define it in a module"
        )

    return refuse


def _index(
    expression: Expression, columns: Mapping[Hashable, Any]
) -> pd.Index[Any] | None:
    """Labels of the rows of the columns that an expression uses."""
    for key in expression.sources.values():
        if isinstance(columns[key], pd.Series):
            index: pd.Index[Any] = columns[key].index
            return index
    return None
