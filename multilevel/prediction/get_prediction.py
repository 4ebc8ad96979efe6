"""Predicted means with standard errors, and limits of means and observations.

Held by tests/prediction/test_prediction_error.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.prediction.linear_limits import LinearLimits, PredictionDf
from multilevel.prediction.observation_limits import FamilyLimits
from multilevel.prediction.prediction_error import predicted_means
from multilevel.prediction.prediction_options import PredictionOptions
from multilevel.prediction.prediction_rows import rows_to_predict
from multilevel.prediction.prediction_table import Prediction


def get_prediction(
    fitted: FittedModel,
    data: Any,
    asked: PredictionOptions,
    *,
    denominators: Callable[[], PredictionDf],
) -> Prediction:
    """Predicted means of rows, and how far off they may be.

    Parameters
    ----------
    fitted : FittedModel
    data : data frame or None
        None for the rows of the fit.
    asked : PredictionOptions
    denominators : callable
        Gives the degrees of freedom of a linear model, when they are needed; the
        limits of a generalized one are normal on the scale of the linear predictor.

    Returns
    -------
    Prediction
    """
    rows = rows_to_predict(fitted.design, data, asked, every_effect=True)
    means = predicted_means(fitted, rows)
    limits: LinearLimits | FamilyLimits = FamilyLimits(fitted=fitted, means=means)
    if isinstance(fitted, LinearFittedModel):
        limits = LinearLimits(fitted=fitted, means=means, denominators=denominators)
    return Prediction(
        linpred=means.eta,
        se_linpred=np.sqrt(rows.with_missing(means.variance)),
        mean_df=limits.mean_df,
        index=rows.index,
        link=fitted.link,
        observation_limits=limits.of_observation,
    )
