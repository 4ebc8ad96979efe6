"""Formula and data to one frozen record of arrays.

Held by tests/design/test_bad_data.py and tests/design/test_encoding_new_rows.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.column_kinds import column_kinds
from multilevel.design.design_record import (
    DesignEncoding,
    ModelDesign,
    VariableCoding,
)
from multilevel.design.expressions import Expression, Scope
from multilevel.design.fixed_effects import (
    ColumnPlan,
    formula_functions,
    plan_columns,
)
from multilevel.design.frames import ColumnTable, column_names, read_columns
from multilevel.design.from_arrays import design_from_arrays
from multilevel.design.grouping import GroupEncoding, GroupingFactor, build_factor
from multilevel.design.magnitudes import refuse_extreme_numbers
from multilevel.design.missing import RowFilter, warn_of_dropped_rows
from multilevel.design.name_resolution import resolve
from multilevel.design.random_effects import (
    RandomTermDesign,
    term_columns,
    told_apart,
)
from multilevel.design.response import refuse_infinite
from multilevel.design.row_evaluation import ColumnStore, RowEvaluation
from multilevel.design.row_values import RowNumbers, read_row_numbers
from multilevel.design.settled_rows import FormulaParts, SettledRows, settle_rows
from multilevel.design.validation import (
    estimable_columns,
    refuse_infinite_products,
    refuse_unusable_response,
    refuse_unusable_terms,
    refuse_unusable_variables,
)
from multilevel.design.variables import CategoricalVariable, Variable
from multilevel.design.whole_columns import kept_columns
from multilevel.errors import DataError
from multilevel.formula.terms import ModelFormula
from multilevel.option_values import as_word

__all__ = ["DesignEncoding", "ModelDesign", "build_design", "design_from_arrays"]


def build_design(
    formula: ModelFormula,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    missing: str = "drop",
    environment: Mapping[str, object] | None = None,
    family_is_binomial: bool = False,
    residual_estimated: bool = True,
) -> ModelDesign:
    """Turn a formula and data into arrays.

    Parameters
    ----------
    formula : ModelFormula
        As `parse_formula` gives it.
    data : DataFrame, dict of columns, polars DataFrame, pyarrow Table
        The data; only the columns that are used are looked at.
    weights, offset : str or array-like (n_rows,), optional
        A column's name; a Series is aligned by index.
    missing : {"drop", "raise"}
        What to do with rows in which something used is missing.
    environment : mapping, optional
        The caller's namespace, for functions and modules.
    family_is_binomial : bool
        Reads the response as successes out of trials.
    residual_estimated : bool
        Whether the model has a residual variance to estimate.

    Returns
    -------
    ModelDesign

    Raises
    ------
    FormulaError
        For names that the data do not have, and expressions that Python refuses.
    DataError
        For data that no such model can be fitted to.

    Warns
    -----
    DroppedRowsWarning
        With the number of rows dropped by cause.
    RankDeficiencyWarning
        Naming the fixed-effects columns that depend on earlier ones.

    Examples
    --------
    >>> import pandas as pd
    >>> from multilevel.design.model_design import build_design
    >>> from multilevel.formula.parse import parse_formula
    >>> data = pd.DataFrame({"y": [1.0, 2, 4, 3, 5, 4], "x": [0, 1, 2, 0, 1, 2],
    ...                      "g": list("aaabbb")})
    >>> design = build_design(parse_formula("y ~ x + (1 | g)"), data)
    >>> design.exog_names, design.terms[0].effects, list(design.factors[0].levels)
    (('Intercept', 'x'), ('Intercept',), ['a', 'b'])
    """
    as_word(missing, ("drop", "raise"), "missing")
    parts = FormulaParts.of(formula)
    names = column_names(data)
    scope = Scope(
        text=formula.text,
        columns=dict.fromkeys(names),
        functions=formula_functions(),
        environment=environment or {},
    )
    expressions = {code: resolve(code, scope) for code in parts.codes}
    for code in formula.subtracted:
        resolve(code, scope)  # a misspelt name would remove nothing
    numbers = [value for value in (weights, offset) if isinstance(value, str)]
    table = _read_table(data, names, expressions, numbers)
    per_row = read_row_numbers(weights, offset, names, table)
    rows = RowFilter(table.n_rows, refuse_missing=missing == "raise")
    store = ColumnStore(table)
    settled = settle_rows(
        parts,
        expressions,
        store,
        per_row,
        rows,
        scope=scope,
        binomial=family_is_binomial,
    )
    design = _assemble(
        formula, parts, settled, per_row.of_rows(rows.kept), table, rows,
        binomial=family_is_binomial, residual_estimated=residual_estimated,
    )  # fmt: skip
    refuse_extreme_numbers(design)
    warn_of_dropped_rows(design.dropped)
    return design


def _read_table(
    data: Any,
    names: Sequence[Hashable],
    expressions: Mapping[str, Expression],
    more: Sequence[str],
) -> ColumnTable:
    used = [name for found in expressions.values() for name in found.columns]
    wanted = dict.fromkeys([*used, *(name for name in more if name in names)])
    table = read_columns(data, list(wanted))
    if table.n_rows == 0:
        raise DataError("the data have no rows; was everything filtered out?")
    return table


def _assemble(
    formula: ModelFormula,
    parts: FormulaParts,
    settled: SettledRows,
    per_row: RowNumbers,
    table: ColumnTable,
    rows: RowFilter,
    *,
    binomial: bool,
    residual_estimated: bool,
) -> ModelDesign:
    values, response = settled.values, settled.response
    variables = {code: values.variable(code) for code in parts.effects}
    refuse_unusable_variables(variables)
    weights = per_row.weights_with(response.trials)
    trials = weights if response.trials is None else response.trials
    refuse_unusable_response(response.y, trials, formula.response, binomial=binomial)
    fixed = plan_columns(parts.fixed, variables, values.scope)
    exog = np.empty((values.n_rows, len(fixed.names)), order="F")
    fixed.fill(exog, variables, range(len(fixed.names)))
    refuse_infinite_products(exog, fixed)
    factors, groups, positions = _grouping_factors(formula, values)
    plans = tuple(plan_columns(e, variables, values.scope) for e in parts.random)
    terms = _random_terms(formula, plans, positions, variables, exog, fixed)
    exog_names, terms = told_apart(exog, fixed.names, terms)
    refuse_unusable_terms(
        factors, terms, residual_estimated=residual_estimated, weights=weights
    )
    kept = estimable_columns(exog, exog_names, residual_estimated=residual_estimated)
    asked = {code: values.expressions[code] for code in parts.codes_of_new_rows}
    return ModelDesign(
        formula=formula,
        response=formula.response,
        y=response.y,
        exog=exog,
        exog_names=exog_names,
        kept=kept,
        weights=weights,
        offset=_total_offset(parts.offsets, values, per_row.offset),
        factors=factors,
        terms=terms,
        index=table.index if rows.kept is None else table.index[rows.kept],
        dropped=rows.dropped(),
        encoding=DesignEncoding(
            expressions=dict(values.expressions),
            variables={code: _coding(found) for code, found in variables.items()},
            fixed=fixed,
            random=plans,
            groups=groups,
            offsets=parts.offsets,
            offset_column=per_row.offset_column,
            offset_was_array=per_row.offset is not None and not per_row.offset_column,
            whole=kept_columns(table, asked),
            kinds=column_kinds(table, asked),
        ),
        response_levels=response.levels,
        rows=rows.kept,
        trials=per_row.trials_apart(response, binomial=binomial),
    )


def _coding(variable: Variable) -> VariableCoding:
    if isinstance(variable, CategoricalVariable):
        return VariableCoding(variable.labels.levels, 1)
    return VariableCoding(None, variable.values.shape[1])


def _grouping_factors(
    formula: ModelFormula, values: RowEvaluation
) -> tuple[tuple[GroupingFactor, ...], tuple[GroupEncoding, ...], list[int]]:
    """The distinct factors, and for each term the position of its own."""
    positions: dict[frozenset[str], int] = {}
    built: list[tuple[GroupingFactor, GroupEncoding]] = []
    for term in formula.random:
        key = frozenset(term.groups)
        if key not in positions:
            positions[key] = len(built)
            labels = [values.labels(code) for code in term.groups]
            built.append(build_factor(term.factor, term.groups, labels))
    factors = tuple(factor for factor, _ in built)
    encodings = tuple(encoding for _, encoding in built)
    return factors, encodings, [positions[frozenset(t.groups)] for t in formula.random]


def _random_terms(
    formula: ModelFormula,
    plans: Sequence[ColumnPlan],
    positions: Sequence[int],
    variables: Mapping[str, Variable],
    exog: FloatMatrix,
    fixed: ColumnPlan,
) -> tuple[RandomTermDesign, ...]:
    terms = []
    for bar, plan, position in zip(formula.random, plans, positions, strict=True):
        columns, shared = term_columns(plan, variables, exog, fixed)
        term = RandomTermDesign(
            factor_index=position,
            effects=plan.names,
            columns=columns,
            shared=shared,
            structure=bar.structure,
        )
        terms.append(term)
    return tuple(terms)


def _total_offset(
    codes: Sequence[str], values: RowEvaluation, given: FloatVector | None
) -> FloatVector | None:
    total = given
    for code in codes:
        variable = values.variable(code)
        if isinstance(variable, CategoricalVariable) or variable.values.shape[1] > 1:
            raise DataError(f"offset({code}) must be one number per row")
        column = np.asarray(variable.values[:, 0], dtype=float)
        refuse_infinite(column, f"offset({code})")
        total = column if total is None else total + column
    return total
