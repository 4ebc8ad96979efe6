"""Rows to predict, from the fit or from new data, with the effects that are used.

Held by tests/prediction/test_prediction_error.py and
tests/prediction/test_limits_of_means.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector, IntVector
from multilevel.design.frames import column_names, read_columns
from multilevel.design.model_design import ModelDesign
from multilevel.design.new_data import NewRows, encode_new_data
from multilevel.design.row_values import read_row_values, refuse_unknown_column
from multilevel.errors import DataError
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.prediction.estimable_rows import rows_without_mean
from multilevel.prediction.prediction_options import NewLevels, PredictionOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsToPredict:
    """Rows, and what is known of each.

    Parameters
    ----------
    X : (n, p)
        Columns that are not aliased; zeros where something is missing.
    codes : one (n,) for each grouping factor
        Level of each row, -1 where its random effect is not used.
    columns : one (n, k) for each term
        Zeros where something is missing.
    offset : (n,)
    weights : (n,)
    missing : (n,) booleans
        Rows that cannot be predicted.
    index : Index (n,)
    """

    X: FloatMatrix
    codes: tuple[IntVector, ...]
    columns: tuple[FloatMatrix, ...]
    offset: FloatVector
    weights: FloatVector
    missing: BoolVector
    index: pd.Index[Any]

    @property
    def has_effects(self) -> bool:
        """Whether the random effects of any level are used."""
        return any((codes >= 0).any() for codes in self.codes)

    def linear_predictor(self, fitted: FittedModel) -> FloatVector:
        """X beta + offset + Z b with the effects that are used, NaN if missing, (n,).

        Parameters
        ----------
        fitted : FittedModel
        """
        eta = self.X @ fitted.beta + self.offset
        for term, columns, b in zip(
            fitted.design.terms, self.columns, fitted.modes, strict=True
        ):
            codes = self.codes[term.factor_index]
            if (codes >= 0).any():
                for column, effects in zip(columns.T, b.T, strict=True):
                    # The code -1 of an effect that is not used is the last
                    # place, where zero stands.
                    eta += column * np.append(effects, 0.0)[codes]
        return self.with_missing(eta)

    def with_missing(self, values: FloatVector) -> FloatVector:
        """NaN in the rows that cannot be predicted."""
        return np.where(self.missing, np.nan, values) if self.missing.any() else values


def rows_to_predict(
    design: ModelDesign, data: Any, asked: PredictionOptions, *, every_effect: bool
) -> RowsToPredict:
    """Rows of the fit, or of a new data frame.

    Parameters
    ----------
    design : ModelDesign
    data : data frame or None
        With the columns that the formula names; the response is not needed, and
        grouping factors only where their effects are asked for. None for the rows of
        the fit.
    asked : PredictionOptions
    every_effect : bool
        Whether the columns of effects that are not added matter, too: the variances
        of these do for an observation, and for a mean over the population.

    Returns
    -------
    RowsToPredict

    Raises
    ------
    DataError
        For unseen levels with ``new_levels="raise"``.
    """
    asked.refuse_bad(data)
    positions = asked.factor_positions(design.factor_names)
    if data is None:
        return _rows_of_the_fit(design, positions)
    names = design.factor_names
    found = encode_new_data(
        design,
        data,
        factors=[names[k] for k in positions],
        columns_of=names if every_effect else (),
        offset=asked.offset,
    )
    missing = _refuse_new_levels(design, found, positions, asked.new_levels)
    missing |= rows_without_mean(design, found, data, asked.check)
    prior = np.ones(len(found.exog))
    if asked.weights is not None:
        prior = _row_weights(data, asked.weights)
        missing = missing | np.isnan(prior)
    keep = ~missing
    unused = np.full(len(keep), -1, dtype=np.intp)
    return RowsToPredict(
        # Zeros, not NaN: products over all rows stay finite,
        # and `missing` says the rest.
        X=np.where(keep[:, None], found.exog[:, design.kept], 0.0),
        codes=tuple(
            np.where(keep, codes, -1) if k in positions else unused
            for k, codes in enumerate(found.codes)
        ),
        columns=tuple(np.where(keep[:, None], c, 0.0) for c in found.columns),
        offset=np.zeros(len(keep)) if found.offset is None else found.offset,
        weights=np.where(keep, prior, 1.0),
        missing=missing,
        index=found.index,
    )


def _rows_of_the_fit(design: ModelDesign, positions: Sequence[int]) -> RowsToPredict:
    n, own = len(design.y), design.observation_weights
    unused = np.full(n, -1, dtype=np.intp)
    return RowsToPredict(
        X=design.X,
        codes=tuple(
            factor.codes if k in positions else unused
            for k, factor in enumerate(design.factors)
        ),
        columns=tuple(term.columns for term in design.terms),
        offset=np.zeros(n) if design.offset is None else design.offset,
        weights=np.ones(n) if own is None else own,
        missing=np.zeros(n, dtype=bool),
        index=design.index,
    )


def _row_weights(data: Any, weights: Any) -> FloatVector:
    """Weights of new rows, by column or as values, (n,)."""
    names = column_names(data)
    refuse_unknown_column(weights, "weights", names)
    table = read_columns(data, [weights] if isinstance(weights, str) else [])
    values = read_row_values(weights, "weights", table)
    return np.ones(table.n_rows) if values is None else values


def _refuse_new_levels(
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
    """
    left_out = np.zeros(len(rows.missing), dtype=bool)
    for position in positions:
        unseen = np.asarray((rows.codes[position] < 0) & ~rows.missing)
        if unseen.any() and new_levels == "raise":
            _reject_unseen_levels(design, rows, position, unseen)
        if new_levels == "missing":
            left_out |= unseen
    return left_out


def _reject_unseen_levels(
    design: ModelDesign, rows: NewRows, position: int, unseen: BoolVector
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
