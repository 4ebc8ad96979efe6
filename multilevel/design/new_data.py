"""New rows in the coding of a fit: same bases, same categories, same levels.

Held by tests/design/test_encoding_new_rows.py and
tests/design/test_kinds_in_new_data.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector, IntVector
from multilevel.design.column_kinds import in_kinds_of_fit
from multilevel.design.design_record import (
    DesignEncoding,
    ModelDesign,
    VariableCoding,
)
from multilevel.design.expressions import Scope
from multilevel.design.frames import ColumnTable, column_names, read_columns
from multilevel.design.grouping import GroupEncoding
from multilevel.design.labels import Labels, cross_labels, match_levels, shown_levels
from multilevel.design.new_columns import NewColumns
from multilevel.design.response import refuse_infinite
from multilevel.design.row_evaluation import ColumnStore, RowEvaluation
from multilevel.design.row_values import read_row_values, refuse_unknown_column
from multilevel.design.spread_rows import Spread
from multilevel.design.variables import (
    CategoricalVariable,
    NumericVariable,
    Variable,
    as_floats,
)
from multilevel.errors import DataError


@dataclass(frozen=True, slots=True)
class NewRows:
    """New data, coded as the data of the fit.

    Attributes
    ----------
    exog : (n, p_all)
        Fixed-effects columns; NaN in rows where something is missing.
    codes : tuple of (n,) integers
        Per grouping factor the level of each row, -1 where the fit has not seen it,
        where it is missing, and throughout for a factor that was not asked for.
    labels : tuple of Index (n,)
        Per grouping factor what the data call the level of each row; empty texts for
        a factor that was not asked for.
    columns : tuple of (n, k)
        Per random term its columns; NaN where missing, 0 if not asked for.
    offset : (n,) or None
        Sum of the offsets.
    index : Index (n,)
        Row labels.
    missing : (n,) booleans
        Rows in which something that was asked for is missing.
    outside : dict
        Expression with splines -> rows outside of their knots, (n,) booleans; only
        those with such rows, which count as missing.
    """

    exog: FloatMatrix
    codes: tuple[IntVector, ...]
    labels: tuple[pd.Index[Any], ...]
    columns: tuple[FloatMatrix, ...]
    offset: FloatVector | None
    index: pd.Index[Any]
    missing: BoolVector
    outside: dict[str, BoolVector]


def encode_new_data(
    design: ModelDesign,
    data: Any,
    *,
    factors: Collection[str] | None = None,
    columns_of: Collection[str] = (),
    offset: Any = None,
) -> NewRows:
    """Code new data as the data of a fit were coded; no row is dropped.

    Parameters
    ----------
    design : ModelDesign
        Built from a formula.
    data : DataFrame, dict of columns, polars DataFrame, pyarrow Table
        With the columns that the fixed effects and the factors asked for use; the
        response is not needed.
    factors : collection of str, optional
        The grouping factors that matter; None for all.
    columns_of : collection of str
        Further grouping factors of which the columns matter, but not the levels.
    offset : str or array-like (n,), optional
        In place of the ``offset=`` of the fit, which is required again if it was an
        array.

    Returns
    -------
    NewRows

    Raises
    ------
    DataError
        For columns that are absent, levels of a fixed categorical variable that the
        fit has not seen, text where the fit had numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from multilevel.design.model_design import build_design
    >>> from multilevel.design.new_data import encode_new_data
    >>> from multilevel.formula.parse import parse_formula
    >>> data = pd.DataFrame({"y": [1.0, 2, 4, 3, 5, 4], "x": [0, 1, 2, 0, 1, 2],
    ...                      "g": list("aaabbb")})
    >>> design = build_design(parse_formula("y ~ center(x) + (1 | g)"), data)
    >>> rows = encode_new_data(design, {"x": [3.0, None], "g": ["b", "c"]})
    >>> rows.exog.tolist(), rows.codes[0].tolist()
    ([[1.0, 2.0], [nan, nan]], [1, -1])
    """
    encoding = _encoding_of(design)
    asked = _asked_factors(design, factors)
    with_columns = tuple(
        is_asked or name in columns_of
        for name, is_asked in zip(design.factor_names, asked, strict=True)
    )
    wanted = _Wanted.of(design, encoding, asked, with_columns)
    _refuse_second_offset(encoding, offset)
    offset = encoding.offset_column if offset is None else offset
    if offset is None and encoding.offset_was_array:
        raise DataError(
            "the model was fitted with an array as offset=; give one for the new rows"
        )
    table = _read_table(data, encoding, wanted, offset)
    table = in_kinds_of_fit(table, encoding.kinds)
    given = read_row_values(offset, "offset", table)
    outside: dict[str, BoolVector] = {}
    values = _complete_rows(table, encoding, wanted, given, outside)
    return _coded_rows(design, encoding, wanted, values, given, outside)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The expressions that new data must give."""

    asked: tuple[bool, ...]
    with_columns: tuple[bool, ...]
    effects: tuple[str, ...]
    groups: tuple[str, ...]
    offsets: tuple[str, ...]

    @staticmethod
    def of(
        design: ModelDesign,
        encoding: DesignEncoding,
        asked: tuple[bool, ...],
        with_columns: tuple[bool, ...],
    ) -> _Wanted:
        plans = [encoding.fixed]
        for term, plan in zip(design.terms, encoding.random, strict=True):
            plans += [plan] * with_columns[term.factor_index]
        effects = [
            code for plan in plans for recipe in plan.recipes for code, _ in recipe
        ]
        groups = [
            code
            for found, is_asked in zip(encoding.groups, asked, strict=True)
            for code in found.expressions * is_asked
        ]
        return _Wanted(
            asked=asked,
            with_columns=with_columns,
            effects=tuple(dict.fromkeys(effects)),
            groups=tuple(dict.fromkeys(groups)),
            offsets=encoding.offsets,
        )

    @property
    def codes(self) -> tuple[str, ...]:
        """Every expression, once."""
        return tuple(dict.fromkeys((*self.effects, *self.groups, *self.offsets)))


def _encoding_of(design: ModelDesign) -> DesignEncoding:
    if design.encoding is None:
        raise DataError(
            "a model built from arrays cannot read new data by column names; build it "
            "from a formula for that"
        )
    return design.encoding


def _refuse_second_offset(encoding: DesignEncoding, offset: Any) -> None:
    """``offset=`` stands for the one of the fit, not for one of the formula."""
    if offset is None or encoding.offset_column or encoding.offset_was_array:
        return
    own = "".join(
        f"; offset({code}) of the formula is computed from the new data"
        for code in encoding.offsets
    )
    raise DataError(
        "the model was fitted without offset=, so that new rows have none either" + own
    )


def _asked_factors(
    design: ModelDesign, factors: Collection[str] | None
) -> tuple[bool, ...]:
    if factors is None:
        return (True,) * len(design.factors)
    unknown = [name for name in factors if name not in design.factor_names]
    if unknown:
        raise DataError(
            f"{unknown[0]!r} is no grouping factor of the model; there are "
            f"{', '.join(design.factor_names)}"
        )
    return tuple(name in factors for name in design.factor_names)


def _read_table(
    data: Any, encoding: DesignEncoding, wanted: _Wanted, offset: Any
) -> ColumnTable:
    names = column_names(data)
    refuse_unknown_column(offset, "offset", names)
    needed = encoding.columns_of(wanted.codes)
    present = set(names)
    absent = [name for name in needed if name not in present]
    if absent:
        listed = ", ".join(repr(name) for name in absent)
        raise DataError(
            f"the new data lack {listed}, which the model uses; the columns there are: "
            f"{', '.join(map(str, names[:8]))}{', ...' if len(names) > 8 else ''}"
        )
    more = [offset] if isinstance(offset, str) else []
    return read_columns(data, list(dict.fromkeys([*needed, *more])))


def _complete_rows(
    table: ColumnTable,
    encoding: DesignEncoding,
    wanted: _Wanted,
    given: FloatVector | None,
    outside: dict[str, BoolVector],
) -> RowEvaluation:
    """Everything evaluated on the rows in which nothing is missing.

    Those left out because a spline ends before them are noted in `outside`.
    """
    store = ColumnStore(table)
    missing = np.zeros(table.n_rows, dtype=bool)
    if given is not None:
        missing |= np.isnan(given)
    for code in wanted.codes:
        for name in encoding.expressions[code].expression.checked_columns:
            found = store.missing(name)
            missing = missing if found is None else missing | found
    scope = Scope(text="", columns=(), functions={}, environment={})
    rows = np.flatnonzero(~missing) if missing.any() else None
    whole = NewColumns(table, scope, encoding.whole)
    while True:
        values = RowEvaluation(
            store=store,
            expressions=encoding.expressions,
            scope=scope,
            rows=rows,
            whole=whole,
        )
        if not values.n_rows:
            return values
        for code in (*wanted.effects, *wanted.offsets):
            values.variable(code)
        for code in wanted.groups:
            values.labels(code)
        causes = values.missing_causes()
        if not causes:
            return values
        for code in causes:
            # Missing as any other, but for a reason of its
            # own, which a warning can name.
            if encoding.expressions[code].knot_ranges:
                beyond = outside.setdefault(code, np.zeros(table.n_rows, dtype=bool))
                beyond[slice(None) if rows is None else rows] = causes[code]
        complete = ~np.any(list(causes.values()), axis=0)
        rows = np.flatnonzero(complete) if rows is None else rows[complete]


def _coded_rows(
    design: ModelDesign,
    encoding: DesignEncoding,
    wanted: _Wanted,
    values: RowEvaluation,
    given: FloatVector | None,
    outside: dict[str, BoolVector],
) -> NewRows:
    spread = Spread(values.store.table.n_rows, values.rows)
    variables = {}
    if values.n_rows:
        variables = {
            code: _matched_variable(values, code, encoding.variables[code])
            for code in wanted.effects
        }
    columns = []
    for term, plan in zip(design.terms, encoding.random, strict=True):
        if wanted.with_columns[term.factor_index]:
            columns.append(spread.columns(plan, variables))
        else:
            columns.append(np.zeros((spread.n_rows, len(plan.names)), order="F"))
    grouped = [
        _matched_factor(values, found, spread, is_asked=is_asked)
        for found, is_asked in zip(encoding.groups, wanted.asked, strict=True)
    ]
    return NewRows(
        exog=spread.columns(encoding.fixed, variables),
        codes=tuple(codes for codes, _ in grouped),
        labels=tuple(labels for _, labels in grouped),
        columns=tuple(columns),
        offset=_offset(values, wanted.offsets, given, spread),
        index=values.store.table.index,
        missing=spread.missing,
        outside=outside,
    )


def _matched_variable(
    values: RowEvaluation, code: str, coding: VariableCoding
) -> Variable:
    """The expression as in the fit: the same levels, or as many columns of numbers."""
    if coding.levels is not None:
        found = match_levels(values.labels(code), coding.levels, code)
        n_known = len(coding.levels)
        unseen = np.unique(found.codes[found.codes >= n_known])
        if len(unseen):
            raise DataError(
                f"{code!r} has {shown_levels(found.levels[unseen])} in the new data, "
                "which the fit has not seen, so there is no coefficient for it; the "
                f"levels of the fit are {shown_levels(coding.levels, most=8)}"
            )
        return CategoricalVariable(Labels(found.codes, coding.levels))
    variable = values.variable(code)
    if isinstance(variable, CategoricalVariable):
        levels = variable.labels.levels
        numbers = as_floats(levels, code)[variable.labels.codes]
        variable = NumericVariable(numbers[:, np.newaxis])
    if variable.values.shape[1] != coding.n_columns:
        raise DataError(
            f"{code!r} gives {variable.values.shape[1]} columns for the new data, "
            f"{coding.n_columns} in the fit"
        )
    for column in variable.values.T:
        refuse_infinite(column, code)
    return variable


def _matched_factor(
    values: RowEvaluation, encoding: GroupEncoding, spread: Spread, *, is_asked: bool
) -> tuple[IntVector, pd.Index[Any]]:
    """Level of each row, -1 if unseen or missing, and what the data call it."""
    names = np.full(spread.n_rows, "", dtype=object)
    if not is_asked or not values.n_rows:
        codes = np.full(spread.n_rows, -1, dtype=np.intp)
        return codes, pd.Index(names, tupleize_cols=False)
    parts = [
        match_levels(values.labels(code), levels, code)
        for code, levels in zip(encoding.expressions, encoding.part_levels, strict=True)
    ]
    known = [
        np.where(part.codes < len(levels), part.codes, -1)
        for part, levels in zip(parts, encoding.part_levels, strict=True)
    ]
    combined = reduce(cross_labels, parts)
    called = combined.levels.to_numpy(dtype=object)[combined.codes]
    names[slice(None) if spread.rows is None else spread.rows] = called
    codes = spread.codes(encoding.codes_of(known))
    return codes, pd.Index(names, tupleize_cols=False)


def _offset(
    values: RowEvaluation,
    codes: Sequence[str],
    given: FloatVector | None,
    spread: Spread,
) -> FloatVector | None:
    total = given
    for code in codes:
        column = np.full(spread.n_rows, np.nan)
        if values.n_rows:
            variable = values.variable(code)
            if isinstance(variable, CategoricalVariable):
                raise DataError(f"offset({code}) must be one number per row")
            complete = slice(None) if spread.rows is None else spread.rows
            column[complete] = variable.values[:, 0]
        total = column if total is None else total + column
    return total
