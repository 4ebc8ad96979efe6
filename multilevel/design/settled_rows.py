"""Which rows a model uses: those in which nothing that it needs is missing.

Held by tests/design/test_encoding_new_rows.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multilevel.array_types import BoolVector
from multilevel.design.expressions import Expression, FittedExpression, Scope
from multilevel.design.missing import RowFilter, by_cause
from multilevel.design.response import Response, read_response
from multilevel.design.row_evaluation import ColumnStore, RowEvaluation
from multilevel.design.row_values import RowNumbers
from multilevel.design.whole_columns import FitColumns
from multilevel.formula.algebra import EffectTerms
from multilevel.formula.parse import effect_terms
from multilevel.formula.terms import ModelFormula


@dataclass(frozen=True, slots=True)
class FormulaParts:
    """The expressions of a formula, by what they are for."""

    responses: tuple[str, ...]
    fixed: EffectTerms
    random: tuple[EffectTerms, ...]
    groups: tuple[tuple[str, ...], ...]
    offsets: tuple[str, ...]

    @staticmethod
    def of(formula: ModelFormula) -> FormulaParts:
        """The parts of a formula."""
        return FormulaParts(
            responses=formula.responses,
            fixed=effect_terms(formula.fixed),
            random=tuple(effect_terms(term.effects) for term in formula.random),
            groups=tuple(term.groups for term in formula.random),
            offsets=formula.offsets,
        )

    @property
    def effects(self) -> tuple[str, ...]:
        """What the columns of fixed and random effects are made of."""
        parts = (self.fixed, *self.random)
        return tuple(dict.fromkeys(code for part in parts for code in part.expressions))

    @property
    def group_codes(self) -> tuple[str, ...]:
        """What the grouping factors are made of."""
        return tuple(dict.fromkeys(code for group in self.groups for code in group))

    @property
    def codes_of_new_rows(self) -> tuple[str, ...]:
        """Every expression but the response, once."""
        used = (self.effects, self.group_codes, self.offsets)
        return tuple(dict.fromkeys(code for part in used for code in part))

    @property
    def codes(self) -> tuple[str, ...]:
        """Every expression, once."""
        return tuple(dict.fromkeys((*self.responses, *self.codes_of_new_rows)))


@dataclass(frozen=True, slots=True)
class SettledRows:
    """Everything evaluated on the rows that are left."""

    values: RowEvaluation
    response: Response


def settle_rows(
    parts: FormulaParts,
    expressions: Mapping[str, Expression],
    store: ColumnStore,
    per_row: RowNumbers,
    rows: RowFilter,
    *,
    scope: Scope,
    binomial: bool,
) -> SettledRows:
    """Evaluate everything and drop the rows in which something is missing.

    What an expression sees is not changed by dropping: it goes row by row, or is
    evaluated on all rows of the data. Only transforms that remember learn from the
    rows of the model, and learn anew when others have been dropped.

    Parameters
    ----------
    parts : FormulaParts
    expressions : mapping
        Code -> expression.
    store : ColumnStore
        The columns, all rows.
    per_row : RowNumbers
        Weights and offset, all rows.
    rows : RowFilter
        Narrowed here.
    scope : Scope
        For errors.
    binomial : bool
        Reads the response as successes out of trials.
    """
    missing = _missing_columns(parts, expressions, store)
    # Columns first, all at once: what is computed sees no row that lacks one of them.
    causes = by_cause([*missing, *per_row.unusable().items()])
    if causes:
        rows.drop(causes)
    whole = FitColumns(store.table, scope)
    learner = _Learner(expressions)
    # An expression may be missing where its columns are not, as log(x) of -1. When such
    # rows go, transforms have learned from rows that are no longer there; so once more.
    while True:
        values = RowEvaluation(
            store=store,
            expressions=learner.fitted(),
            scope=scope,
            rows=rows.kept,
            whole=whole,
        )
        for code in parts.group_codes:
            values.labels(code)
        for code in (*parts.responses, *parts.effects, *parts.offsets):
            values.variable(code)
        causes = values.missing_causes()
        if not causes:
            variables = [values.variable(code) for code in parts.responses]
            response = read_response(parts.responses, variables, binomial=binomial)
            if response.unusable is None:
                return SettledRows(values, response)
            causes = {"trials = 0": response.unusable}
        learner.keep(values, causes)
        rows.drop(causes)


class _Learner:
    """Expressions that learn anew, until they make rows missing themselves.

    ``log(center(x))`` drops every row below the mean. Were the mean computed again
    from the rows above it, half of those would go, and so on to the last.
    """

    def __init__(self, expressions: Mapping[str, Expression]) -> None:
        self._fitted = {code: found.unlearned() for code, found in expressions.items()}
        self._settled = {c for c, found in expressions.items() if not found.stateful}

    def fitted(self) -> dict[str, FittedExpression]:
        """The expressions; those that are to learn anew have forgotten."""
        return {
            code: found if code in self._settled else found.expression.unlearned()
            for code, found in self._fitted.items()
        }

    def keep(self, values: RowEvaluation, causes: Mapping[str, BoolVector]) -> None:
        """Settle the expressions that are causes, with what they learned just now."""
        for code in causes:
            if code in self._fitted and code not in self._settled:
                self._fitted[code] = values.expressions[code]
                self._settled.add(code)


def _missing_columns(
    parts: FormulaParts, expressions: Mapping[str, Expression], store: ColumnStore
) -> list[tuple[str, BoolVector]]:
    """Columns and the rows in which they are missing, where there are such rows."""
    names = (name for code in parts.codes for name in expressions[code].checked_columns)
    found = ((str(name), store.missing(name)) for name in dict.fromkeys(names))
    return [(name, missing) for name, missing in found if missing is not None]
