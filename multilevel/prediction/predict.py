"""Predicted means: conditional, of a typical group, and over the population.

Held by tests/prediction/test_predict.py and
tests/prediction/test_marginal_predictions.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from multilevel.array_types import FloatVector
from multilevel.errors import DataError
from multilevel.methods import Method, Methods, chosen, methods
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.prediction.marginal_mean import marginal_mean
from multilevel.prediction.prediction_options import PredictionOptions
from multilevel.prediction.prediction_rows import RowsToPredict, rows_to_predict

PredictionFunction: TypeAlias = Callable[
    [FittedModel, Any, PredictionOptions], pd.Series
]
"""Of a fitted model, for the rows of data (None for those of the fit)."""


def mean_predictions(
    fitted: FittedModel, data: Any, asked: PredictionOptions
) -> pd.Series:
    """The inverse link of the linear predictor."""
    rows = rows_to_predict(fitted.design, data, asked, every_effect=False)
    mean = fitted.link.mean(rows.linear_predictor(fitted))
    return pd.Series(np.asarray(mean), index=rows.index)


def linear_predictions(
    fitted: FittedModel, data: Any, asked: PredictionOptions
) -> pd.Series:
    """X beta + offset + Z b."""
    rows = rows_to_predict(fitted.design, data, asked, every_effect=False)
    return pd.Series(rows.linear_predictor(fitted), index=rows.index)


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


PREDICTIONS: Methods[PredictionFunction] = methods(
    Method(name="response", text="mean", function=mean_predictions),
    Method(name="link", text="linear predictor", function=linear_predictions),
    Method(
        name="marginal",
        text="mean over the population",
        function=marginal_predictions,
        kinds=("generalized",),
    ),
)
"""Functions of the fitted model, the rows and what is asked of them."""


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
    kind : str
        A name in `PREDICTIONS`.

    Returns
    -------
    Series
        NaN where something that the prediction needs is missing, or not estimable.

    Raises
    ------
    DataError
        For a kind that there is not, and for options that make no sense.
    """
    method = chosen(PREDICTIONS, kind, option="kind", kind=fitted.kind)
    return method.function(fitted, data, asked)
