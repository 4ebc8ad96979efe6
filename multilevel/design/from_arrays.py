"""The design of a model from arrays, as statsmodels' models take them.

Held by tests/design/test_array_interface.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector, IntVector
from multilevel.covariance.registry import STRUCTURES
from multilevel.design.design_record import ModelDesign
from multilevel.design.fixed_effects import INTERCEPT
from multilevel.design.frames import ColumnTable
from multilevel.design.grouping import GroupingFactor, build_factor
from multilevel.design.labels import Labels, encode_labels
from multilevel.design.magnitudes import refuse_extreme_numbers
from multilevel.design.missing import RowFilter, by_cause, warn_of_dropped_rows
from multilevel.design.plain_columns import plain_column, unmasked
from multilevel.design.random_effects import (
    RandomTerm,
    RandomTermDesign,
    told_apart,
)
from multilevel.design.response import read_response, refuse_infinite
from multilevel.design.row_values import aligned_by_index, read_row_numbers
from multilevel.design.validation import (
    estimable_columns,
    refuse_unusable_response,
    refuse_unusable_terms,
)
from multilevel.design.variables import Variable, as_floats, as_variable
from multilevel.errors import DataError
from multilevel.option_values import as_word


@dataclass(frozen=True, slots=True)
class NamedColumns:
    """Columns with names.

    Attributes
    ----------
    values : (n, k)
        NaN where missing.
    names : tuple of str
        One per column; not always distinct.
    """

    values: FloatMatrix
    names: tuple[str, ...]

    def of_rows(self, rows: IntVector | None) -> NamedColumns:
        """The same columns in Fortran order, on some rows; None for all."""
        kept = self.values if rows is None else self.values[rows]
        return NamedColumns(np.asfortranarray(kept), self.names)

    def missing(self) -> dict[str, BoolVector]:
        """Name -> rows in which it is missing, for the columns that have such."""
        found = (
            (name, np.isnan(column))
            for name, column in zip(self.names, self.values.T, strict=True)
        )
        return by_cause((name, rows) for name, rows in found if rows.any())


def design_from_arrays(
    endog: Any,
    exog: Any = None,
    random: Sequence[RandomTerm] = (),
    weights: Any = None,
    offset: Any = None,
    missing: str = "drop",
    *,
    family_is_binomial: bool = False,
    residual_estimated: bool = True,
) -> ModelDesign:
    """Turn arrays into the arrays of a model; no column is added.

    Parameters
    ----------
    endog : array-like (n,), or (n, 2) successes and failures
        Response. If it has an index, Series elsewhere are aligned by it.
    exog : array-like (n, p), optional
        Fixed-effects columns; None for none.
    random : sequence of RandomTerm
        At least one.
    weights, offset : array-like (n,), optional
        As in `build_design`.
    missing : {"drop", "raise"}
        What to do with rows in which something is missing.
    family_is_binomial, residual_estimated : bool
        As in `build_design`.

    Returns
    -------
    ModelDesign
        Columns without a name are called ``const``, ``x1``, ``x2``, ... as statsmodels
        does; the column of a random term is called as the same column of `exog`. Of
        columns that differ but have one name, the later ones end in ``#2``, ``#3``.

    Raises
    ------
    DataError
        As `build_design`, and for lengths and indexes that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.design.model_design import design_from_arrays
    >>> from multilevel.design.random_effects import RandomTerm
    >>> x = np.column_stack([np.ones(6), np.arange(6.0)])
    >>> groups = RandomTerm([1, 1, 1, 2, 2, 2], name="school")
    >>> design = design_from_arrays([1.0, 3, 2, 5, 4, 6], x, [groups])
    >>> design.exog_names, design.terms[0].effects, design.terms[0].shared
    (('const', 'x1'), ('Intercept',), (0,))
    """
    as_word(missing, ("drop", "raise"), "missing")
    if not random:
        raise DataError("no random term; give random=[RandomTerm(groups)]")
    for term in random:
        as_word(term.structure, STRUCTURES, "structure")
    responses = _response_columns(endog)
    index = responses[0].index
    if not isinstance(endog, (pd.Series, pd.DataFrame)):
        # Without an index of the response there is nothing to align by.
        exog, weights, offset = map(_by_position, (exog, weights, offset))
        random = [
            replace(
                term,
                groups=_by_position(term.groups),
                exog_re=_by_position(term.exog_re),
            )
            for term in random
        ]
    fixed = _fixed_columns(exog, index)
    per_row = read_row_numbers(weights, offset, (), ColumnTable({}, index))
    labels = _labels_by_name(random, index)
    effects = [_effect_columns(term, index, fixed) for term in random]
    rows = RowFilter(len(index), refuse_missing=missing == "raise")
    causes = by_cause(
        [
            *per_row.unusable().items(),
            *fixed.missing().items(),
            *((str(c.name), c.isna().to_numpy()) for c in responses if c.hasnans),
            *(found for columns in effects for found in columns.missing().items()),
            *((k, v.missing) for k, v in labels.items() if v.missing.any()),
        ]
    )
    if causes:
        rows.drop(causes)
    names = [str(column.name) for column in responses]
    while True:
        variables = [_variable(column, rows.kept) for column in responses]
        response = read_response(names, variables, binomial=family_is_binomial)
        if response.unusable is None:
            break
        rows.drop({"trials = 0": response.unusable})
    per_row = per_row.of_rows(rows.kept)
    all_weights = per_row.weights_with(response.trials)
    name = " + ".join(names)
    trials = all_weights if response.trials is None else response.trials
    refuse_unusable_response(response.y, trials, name, binomial=family_is_binomial)
    fixed = fixed.of_rows(rows.kept)
    factors = _factors(labels, rows.kept)
    terms = _terms(random, effects, fixed, factors, rows.kept)
    exog_names, terms = told_apart(fixed.values, fixed.names, terms)
    refuse_unusable_terms(
        factors, terms, residual_estimated=residual_estimated, weights=all_weights
    )
    design = ModelDesign(
        formula=None,
        response=name,
        y=response.y,
        exog=fixed.values,
        exog_names=exog_names,
        kept=estimable_columns(
            fixed.values, exog_names, residual_estimated=residual_estimated
        ),
        weights=all_weights,
        offset=per_row.offset,
        factors=factors,
        terms=terms,
        index=index if rows.kept is None else index[rows.kept],
        dropped=rows.dropped(),
        response_levels=response.levels,
        rows=rows.kept,
        trials=per_row.trials_apart(response, binomial=family_is_binomial),
    )
    refuse_extreme_numbers(design)
    warn_of_dropped_rows(design.dropped)
    return design


def _response_columns(endog: Any) -> list[pd.Series[Any]]:
    if isinstance(endog, pd.Series):
        named = [endog.rename(str(endog.name or "y"))]
        return [plain_column(column, column.name) for column in named]
    if isinstance(endog, pd.DataFrame):
        named = [endog.iloc[:, i].rename(str(n)) for i, n in enumerate(endog.columns)]
        return [plain_column(column, column.name) for column in named]
    values = np.asarray(unmasked(endog))
    if values.ndim not in (1, 2) or not len(values):
        raise DataError(
            f"endog has shape {values.shape}; give one response per row, or two "
            "columns of successes and failures"
        )
    if values.ndim == 1:
        return [pd.Series(values, name="y")]
    return [pd.Series(column, name=f"y{i + 1}") for i, column in enumerate(values.T)]


def _by_position(values: Any) -> Any:
    """The same values with the index 0, 1, 2, ..., if they have one at all."""
    has_index = isinstance(values, (pd.Series, pd.DataFrame))
    return values.reset_index(drop=True) if has_index else values


def _variable(column: pd.Series[Any], rows: IntVector | None) -> Variable:
    kept = column if rows is None else column.iloc[rows]
    return as_variable(kept, str(column.name), len(kept))


def _columns_of(values: Any, role: str, index: pd.Index[Any]) -> NamedColumns:
    """Numbers of an array, Series or DataFrame; unnamed columns get empty names."""
    if isinstance(values, (pd.Series, pd.DataFrame)):
        _refuse_other_length(values, role, index)
        values = aligned_by_index(values, role, index)
        frame = values.to_frame() if isinstance(values, pd.Series) else values
        pieces = [frame.iloc[:, i] for i in range(frame.shape[1])]
        names = ["" if isinstance(n, int) or n is None else str(n) for n in frame]
    else:
        array = np.asarray(unmasked(values))
        array = array[:, np.newaxis] if array.ndim == 1 else array
        _refuse_other_length(array, role, index)
        pieces = [pd.Series(column) for column in array.T]
        names = [""] * len(pieces)
    columns = np.empty((len(index), len(pieces)), order="F")
    for position, (piece, name) in enumerate(zip(pieces, names, strict=True)):
        called = name or f"column {position} of {role}"
        columns[:, position] = as_floats(plain_column(piece, called), called)
        refuse_infinite(columns[:, position], called)
    return NamedColumns(columns, tuple(names))


def _fixed_columns(exog: Any, index: pd.Index[Any]) -> NamedColumns:
    if exog is None:
        return NamedColumns(np.empty((len(index), 0), order="F"), ())
    columns = _columns_of(exog, "exog", index)
    number = 0
    names = []
    for name, column in zip(columns.names, columns.values.T, strict=True):
        if not name and np.all(column == 1.0):
            name = "const"
        elif not name:
            number += 1
            name = f"x{number}"
        names.append(name)
    return NamedColumns(columns.values, tuple(names))


def _effect_columns(
    term: RandomTerm, index: pd.Index[Any], fixed: NamedColumns
) -> NamedColumns:
    """The columns of a random term, called as the same columns of exog are."""
    if term.exog_re is None:
        return NamedColumns(np.ones((len(index), 1), order="F"), (INTERCEPT,))
    columns = _columns_of(term.exog_re, f"exog_re of {term.name!r}", index)
    names = []
    for position, name in enumerate(columns.names):
        column = columns.values[:, position]
        same = _position_in(column, fixed.values)
        if not name and np.all(column == 1.0):
            name = INTERCEPT
        elif not name:
            name = fixed.names[same] if same >= 0 else f"{term.name}_x{position + 1}"
        names.append(name)
    return NamedColumns(columns.values, tuple(names))


def _position_in(column: FloatVector, matrix: FloatMatrix) -> int:
    """Position of the equal column of `matrix`, or -1; NaN equals NaN."""
    for position, other in enumerate(matrix.T):
        # Most columns differ in their first rows.
        if np.array_equal(column[:8], other[:8], equal_nan=True) and np.array_equal(
            column, other, equal_nan=True
        ):
            return position
    return -1


def _labels_by_name(
    random: Sequence[RandomTerm], index: pd.Index[Any]
) -> dict[str, Labels]:
    labels: dict[str, Labels] = {}
    for term in random:
        found = _labels_of(term, index)
        earlier = labels.setdefault(term.name, found)
        if not np.array_equal(earlier.codes, found.codes):
            raise DataError(
                f"two random terms are named {term.name!r} but have different groups; "
                "give each grouping factor a name of its own"
            )
    return labels


def _labels_of(term: RandomTerm, index: pd.Index[Any]) -> Labels:
    groups, role = unmasked(term.groups), f"groups of {term.name!r}"
    if not hasattr(groups, "dtype"):
        groups = np.asarray(groups)
    _refuse_other_length(groups, role, index)
    if isinstance(groups, pd.Series):
        groups = aligned_by_index(groups, role, index)
    groups = plain_column(groups, role)
    if np.ndim(groups) != 1:
        raise DataError(f"{role} have {np.ndim(groups)} dimensions; give one column")
    return encode_labels(groups, role)


def _refuse_other_length(values: Any, role: str, index: pd.Index[Any]) -> None:
    if np.ndim(values) not in (1, 2) or len(values) != len(index):
        raise DataError(
            f"{role}: shape {np.shape(values)}, but the response has {len(index)} rows"
        )


def _factors(
    labels: dict[str, Labels], rows: IntVector | None
) -> tuple[GroupingFactor, ...]:
    kept = {k: v if rows is None else v.of_rows(rows) for k, v in labels.items()}
    return tuple(build_factor(k, (k,), (v,))[0] for k, v in kept.items())


def _terms(
    random: Sequence[RandomTerm],
    effects: Sequence[NamedColumns],
    fixed: NamedColumns,
    factors: Sequence[GroupingFactor],
    rows: IntVector | None,
) -> tuple[RandomTermDesign, ...]:
    positions = {factor.name: number for number, factor in enumerate(factors)}
    terms = []
    for term, all_rows in zip(random, effects, strict=True):
        columns = all_rows.of_rows(rows)
        shared = tuple(
            _position_in(column, fixed.values) for column in columns.values.T
        )
        terms.append(
            RandomTermDesign(
                factor_index=positions[term.name],
                effects=columns.names,
                columns=columns.values,
                shared=shared,
                structure=term.structure,
            )
        )
    return tuple(terms)
