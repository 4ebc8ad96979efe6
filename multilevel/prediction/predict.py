"""Fitted values and predictions for new rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector, IntVector
from multilevel.design.model_design import ModelDesign
from multilevel.design.new_data import NewRows, encode_new_data
from multilevel.errors import DataError
from multilevel.optimize.common.fit_record import LMMFit
from multilevel.prediction.estimable_rows import Check, rows_without_mean
from multilevel.prediction.prediction_options import asked_factors, refuse_bad_options

NewLevels: TypeAlias = Literal["raise", "population", "missing"]
RandomParts: TypeAlias = Literal["all", "none"] | Sequence[str]


def linear_predictor(
    design: ModelDesign,
    beta: FloatVector,
    modes: Sequence[FloatMatrix],
    factors: Iterable[int] | None = None,
) -> FloatVector:
    """X beta + offset + Z b on the rows of the fit.

    Parameters
    ----------
    design : ModelDesign
    beta : (p,)
        Of the columns that are kept.
    modes : sequence of (J, k)
        Conditional modes of each term.
    factors : iterable of int, optional
        Positions of the grouping factors whose effects are added; all by default.

    Returns
    -------
    (n,) array, on the scale of the linear predictor
    """
    eta = design.X @ beta
    if design.offset is not None:
        eta += design.offset
    wanted = range(len(design.factors)) if factors is None else set(factors)
    for term, b in zip(design.terms, modes, strict=True):
        if term.factor_index in wanted:
            codes = design.factors[term.factor_index].codes
            for k, column in enumerate(term.columns.T):
                eta += column * b[:, k][codes]
    return np.asarray(eta)


def reject_unknown_kind(kind: str, known: Sequence[str]) -> None:
    """Raise a DataError for a kind of prediction that there is not."""
    if not isinstance(kind, str) or kind not in known:
        raise DataError(
            f"predictions of kind {kind!r} are not known; "
            f"use {' or '.join(map(repr, known))}"
        )


def factor_positions(names: Sequence[str], random: RandomParts) -> list[int]:
    """Positions of the grouping factors that `random` asks for.

    Parameters
    ----------
    names : sequence of str
        The grouping factors of the model.
    random : "all", "none" or a list of names

    Returns
    -------
    list of int

    Raises
    ------
    DataError
        For a factor that the model does not have.

    Examples
    --------
    >>> factor_positions(["school", "class"], "all")
    [0, 1]
    >>> factor_positions(["school", "class"], ["class"])
    [1]
    """
    if isinstance(random, str) and random in ("all", "none"):
        return list(range(len(names))) if random == "all" else []
    asked = asked_factors(random, list(names))
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise DataError(
            f"random={random!r} names {unknown[0]!r}, which is no grouping factor of "
            f'this model; use "all", "none" or a list of {list(names)}'
        )
    return [position for position, name in enumerate(names) if name in asked]


def predict_lmm(
    design: ModelDesign,
    fit: LMMFit,
    data: Any,
    *,
    random: RandomParts,
    new_levels: NewLevels,
    kind: str,
    offset: Any,
    check: Check,
) -> pd.Series:
    """Predictions of a linear model; see `MixedLMResults.predict`."""
    reject_unknown_kind(kind, ("response", "link"))
    refuse_bad_options(data, new_levels=new_levels, check=check, offset=offset)
    if data is not None:
        return predict_new_rows(
            design,
            fit.beta,
            fit.modes,
            data,
            random=random,
            new_levels=new_levels,
            offset=offset,
            check=check,
        )
    factors = factor_positions(design.factor_names, random)
    fitted = linear_predictor(design, fit.beta, fit.modes, factors)
    return pd.Series(fitted, index=design.index)


def predict_new_rows(
    design: ModelDesign,
    beta: FloatVector,
    modes: Sequence[FloatMatrix],
    data: Any,
    *,
    random: RandomParts = "all",
    new_levels: NewLevels = "raise",
    offset: Any = None,
    check: Check = "warn",
) -> pd.Series:
    """Linear predictor of the rows of a new data frame.

    Parameters
    ----------
    design : ModelDesign
    beta : (p,)
    modes : sequence of (J, k)
    data : data frame
        With the columns that the formula names; the response is not needed, and
        grouping factors only where their effects are asked for.
    random : "all", "none" or list of factors
    new_levels : {"raise", "population", "missing"}
        What to do with a level that was not in the fit: refuse it, set its effects
        to zero, or predict NaN.
    offset : str or array_like (rows,), optional
        In place of an array that was the ``offset=`` of the fit.
    check : {"warn", "raise"}
        For rows whose mean is not estimable.

    Returns
    -------
    Series
        NaN where something that the prediction needs is missing, or not estimable.

    Raises
    ------
    DataError
        For unseen levels with ``new_levels="raise"``.
    """
    names = design.factor_names
    positions = factor_positions(names, random)
    rows = encode_new_data(
        design, data, factors=[names[k] for k in positions], offset=offset
    )
    eta = rows.exog[:, design.kept] @ beta
    if rows.offset is not None:
        eta = eta + rows.offset
    left_out = refuse_new_levels(design, rows, positions, new_levels)
    left_out |= rows_without_mean(design, rows, data, check)
    for position in positions:
        eta = eta + _random_part(design, rows, modes, position)
    eta[left_out] = np.nan
    return pd.Series(eta, index=rows.index)


def refuse_new_levels(
    design: ModelDesign,
    rows: NewRows,
    positions: Sequence[int],
    new_levels: NewLevels,
) -> BoolVector:
    """Refuse levels that were not in the fit, or say which rows they leave out.

    Parameters
    ----------
    design : ModelDesign
    rows : NewRows
    positions : sequence of int
        The grouping factors that matter.
    new_levels : {"raise", "population", "missing"}

    Returns
    -------
    (n,) array of bool
        Rows without a prediction.

    Raises
    ------
    DataError
        For unseen levels with ``new_levels="raise"``.
    """
    left_out = np.zeros(len(rows.missing), dtype=bool)
    for position in positions:
        unseen = _unseen(rows, position)
        if unseen.any() and new_levels == "raise":
            _reject_unseen_levels(design, rows, position, unseen)
        if new_levels == "missing":
            left_out |= unseen
    return left_out


def _unseen(rows: NewRows, position: int) -> BoolVector:
    """Rows whose level of a factor is present but was not in the fit, (n,) bool."""
    return np.asarray((rows.codes[position] < 0) & ~rows.missing)


def _random_part(
    design: ModelDesign, rows: NewRows, modes: Sequence[FloatMatrix], position: int
) -> FloatVector:
    """Sum of the effects of one factor, zero for levels that were not in the fit."""
    codes: IntVector = rows.codes[position]
    total = np.zeros(len(codes))
    for t, term in enumerate(design.terms):
        if term.factor_index == position:
            b = np.vstack([modes[t], np.zeros(modes[t].shape[1])])
            total += np.einsum("nk,nk->n", rows.columns[t], b[codes])
    return total


def _reject_unseen_levels(
    design: ModelDesign, rows: NewRows, position: int, unseen: Any
) -> None:
    """Raise a DataError that names the factor and its first unseen levels."""
    labels = pd.unique(pd.Series(np.asarray(rows.labels[position])[unseen]))
    shown = ", ".join(repr(label) for label in labels[:5].tolist())
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    raise DataError(
        f"{design.factors[position].name!r} has {len(labels)} level(s) that were not "
        f"in the fit: {shown}{more}. "
        'new_levels="population" predicts them with random effects of zero, '
        'new_levels="missing" with NaN'
    )
