"""Rows to predict, from the fit or from new data, with the effects that are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector
from multilevel.design.frames import column_names, read_columns
from multilevel.design.model_design import ModelDesign
from multilevel.design.new_data import encode_new_data
from multilevel.design.row_values import read_row_values, refuse_unknown_column
from multilevel.prediction.estimable_rows import (
    Check,
    rows_without_mean,
)
from multilevel.prediction.predict import (
    NewLevels,
    RandomParts,
    factor_positions,
    refuse_new_levels,
)
from multilevel.prediction.prediction_error import PredictedRows
from multilevel.prediction.prediction_options import refuse_bad_options


@dataclass(frozen=True, slots=True)
class RowsToPredict:
    """Rows, and what is known of each.

    Parameters
    ----------
    rows : PredictedRows
        Zeros where something is missing.
    offset : (n,)
    weights : (n,)
    missing : (n,) booleans
        Rows that cannot be predicted.
    index : Index (n,)
    """

    rows: PredictedRows
    offset: FloatVector
    weights: FloatVector
    missing: BoolVector
    index: pd.Index[Any]

    def linear_predictor(
        self, design: ModelDesign, beta: FloatVector, modes: Sequence[FloatMatrix]
    ) -> FloatVector:
        """X beta + offset + Z b with the effects that are used, NaN if missing, (n,).

        Parameters
        ----------
        design : ModelDesign
        beta : (p,)
        modes : one (J, k) for each term
        """
        eta = self.rows.X @ beta + self.offset
        for term, columns, b in zip(
            design.terms, self.rows.columns, modes, strict=True
        ):
            codes = self.rows.codes[term.factor_index]
            known = np.vstack([b, np.zeros(b.shape[1])])
            eta += np.einsum("nk,nk->n", columns, known[codes])
        return self.with_missing(eta)

    def with_missing(self, values: FloatVector) -> FloatVector:
        """NaN in the rows that cannot be predicted."""
        return np.where(self.missing, np.nan, values)


def rows_to_predict(
    design: ModelDesign,
    data: Any,
    *,
    random: RandomParts,
    new_levels: NewLevels,
    offset: Any,
    weights: Any,
    check: Check = "warn",
) -> RowsToPredict:
    """Rows of the fit, or of a new data frame.

    Parameters
    ----------
    design : ModelDesign
    data : data frame or None
        None for the rows of the fit.
    random, new_levels, offset
        As for `predict`.
    weights : str or array_like (rows,), optional
        Prior weights of the new rows; ones by default.
    check : {"warn", "raise"}
        For rows whose mean is not estimable.

    Returns
    -------
    RowsToPredict
    """
    positions = factor_positions(design.factor_names, random)
    refuse_bad_options(
        data, new_levels=new_levels, check=check, offset=offset, weights=weights
    )
    if data is None:
        return _rows_of_the_fit(design, positions)
    names = design.factor_names
    found = encode_new_data(
        design,
        data,
        factors=[names[k] for k in positions],
        columns_of=names,
        offset=offset,
    )
    missing = refuse_new_levels(design, found, positions, new_levels)
    missing |= rows_without_mean(design, found, data, check)
    prior = np.ones(len(found.exog))
    if weights is not None:
        prior = _row_weights(data, weights)
        missing = missing | np.isnan(prior)
    keep = ~missing
    codes = tuple(
        np.where(keep, found.codes[k], -1) if k in positions
        else np.full(len(keep), -1, dtype=np.intp)
        for k in range(len(names))
    )  # fmt: skip
    rows = PredictedRows(
        np.where(keep[:, None], found.exog[:, design.kept], 0.0),
        codes,
        tuple(np.where(keep[:, None], c, 0.0) for c in found.columns),
    )
    known = np.zeros(len(keep)) if found.offset is None else found.offset
    prior = np.where(keep, prior, 1.0)
    return RowsToPredict(rows, known, prior, missing, found.index)


def _rows_of_the_fit(design: ModelDesign, positions: Sequence[int]) -> RowsToPredict:
    n, own = len(design.y), design.observation_weights
    codes = tuple(
        factor.codes if k in positions else np.full(n, -1, dtype=np.intp)
        for k, factor in enumerate(design.factors)
    )
    return RowsToPredict(
        PredictedRows(design.X, codes, tuple(term.columns for term in design.terms)),
        np.zeros(n) if design.offset is None else design.offset,
        np.ones(n) if own is None else own,
        np.zeros(n, dtype=bool),
        design.index,
    )


def _row_weights(data: Any, weights: Any) -> FloatVector:
    """Weights of new rows, by column or as values, (n,)."""
    names = column_names(data)
    refuse_unknown_column(weights, "weights", names)
    table = read_columns(data, [weights] if isinstance(weights, str) else [])
    values = read_row_values(weights, "weights", table)
    return np.ones(table.n_rows) if values is None else values
