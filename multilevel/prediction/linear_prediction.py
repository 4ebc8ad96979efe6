"""Predictions of linear mixed models with their standard errors and limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtri

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.likelihood.inverse_links import LINKS
from multilevel.optimize.fit_record import LMMFit
from multilevel.prediction.estimable_rows import Check
from multilevel.prediction.predict import NewLevels, RandomParts
from multilevel.prediction.prediction_error import (
    FittedCovariance,
    prediction_variance,
    unused_variance,
)
from multilevel.prediction.prediction_rows import rows_to_predict
from multilevel.prediction.prediction_table import Prediction


def prediction_of_lmm(
    design: ModelDesign,
    fit: LMMFit,
    data: Any,
    *,
    contrast_df: Callable[[FloatMatrix], FloatVector],
    random: RandomParts,
    new_levels: NewLevels,
    offset: Any,
    weights: Any,
    check: Check,
) -> Prediction:
    """Means with standard errors and limits; see `MixedLMResults.get_prediction`.

    Parameters
    ----------
    design : ModelDesign
    fit : LMMFit
    data : data frame or None
    contrast_df : callable
        Contrasts (rows, p) -> degrees of freedom (rows,), for predictions from the
        fixed effects alone.
    random, new_levels, offset, weights, check
        As there.

    Returns
    -------
    Prediction
    """
    rows = rows_to_predict(
        design,
        data,
        random=random,
        new_levels=new_levels,
        offset=offset,
        weights=weights,
        check=check,
    )
    mean = rows.linear_predictor(design, fit.beta, fit.modes)
    prior = np.ones(len(design.y)) if design.weights is None else design.weights
    covariance = FittedCovariance(
        prior / fit.sigma**2,
        tuple(fit.sigma * F for F in fit.factors),
        fit.cov_beta,
    )
    variance = rows.with_missing(prediction_variance(design, covariance, rows.rows))
    own = unused_variance(design, covariance, rows.rows) + fit.sigma**2 / rows.weights
    spread = np.sqrt(variance + own)
    df = np.full(len(mean), np.inf)
    if all((codes < 0).all() for codes in rows.rows.codes):
        df = contrast_df(rows.rows.X)

    def observation_limits(alpha: float) -> FloatMatrix:
        reach = ndtri(1.0 - alpha / 2.0) * spread
        return np.column_stack([mean - reach, mean + reach])

    return Prediction(
        mean, np.sqrt(variance), df, rows.index, LINKS["identity"], observation_limits
    )
