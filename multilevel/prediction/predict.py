"""Predicted means: conditional, of a typical group, and over the population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatVector
from multilevel.errors import DataError
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.prediction.marginal_mean import marginal_mean
from multilevel.prediction.prediction_options import PredictionOptions
from multilevel.prediction.prediction_rows import RowsToPredict, rows_to_predict

KINDS = ("response", "link", "marginal")


def predict(
    fitted: FittedModel, data: Any, asked: PredictionOptions, *, kind: str
) -> pd.Series:
    """Predictions of one kind for the rows of the fit or for new ones.

    Parameters
    ----------
    fitted : FittedModel
    data : data frame or None
        None for the rows of the fit.
    asked : PredictionOptions
    kind : {"response", "link", "marginal"}
        The last one for generalized models.

    Returns
    -------
    Series
        NaN where something that the prediction needs is missing, or not estimable.

    Raises
    ------
    DataError
        For a kind that there is not, and for options that make no sense.
    """
    _refuse_unknown(kind, KINDS[: 2 if isinstance(fitted, LinearFittedModel) else 3])
    if kind == "marginal":
        return marginal_predictions(fitted, data, asked)
    rows = rows_to_predict(fitted.design, data, asked, every_effect=False)
    eta = rows.linear_predictor(fitted)
    mean = eta if kind == "link" else fitted.link.mean(eta)
    return pd.Series(np.asarray(mean), index=rows.index)


def _refuse_unknown(kind: Any, known: Sequence[str]) -> None:
    """Raise a DataError for a kind of prediction that there is not."""
    if not isinstance(kind, str) or kind not in known:
        raise DataError(
            f"predictions of kind {kind!r} are not known; "
            f"use {' or '.join(map(repr, known))}"
        )


def marginal_predictions(
    fitted: FittedModel, data: Any, asked: PredictionOptions
) -> pd.Series:
    """Means over all random effects; the grouping factors' levels play no part."""
    if asked.random not in ("all", "none"):
        raise DataError(
            f'kind="marginal" integrates all random effects out, but random='
            f'{asked.random!r} asks for some; use kind="response" for these'
        )
    asked = replace(asked, random="none")
    rows = rows_to_predict(fitted.design, data, asked, every_effect=True)
    eta, variance = rows.linear_predictor(fitted), _effect_variance(fitted, rows)
    known = np.isfinite(eta) & np.isfinite(variance)
    mean = np.full(len(eta), np.nan)
    mean[known] = marginal_mean(fitted.link, eta[known], variance[known]).mean
    return pd.Series(mean, index=rows.index)


def _effect_variance(fitted: FittedModel, rows: RowsToPredict) -> FloatVector:
    """Variance of z'b in each row, of all terms together, (n,)."""
    total = np.zeros(len(rows.X))
    for columns, factor in zip(rows.columns, fitted.effect_factors, strict=True):
        total += np.square(columns @ factor).sum(axis=1)
    return total
