"""Predictions with standard errors and limits, as statsmodels names them.

Held by tests/prediction/test_prediction_error.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.families.links import InverseLink
from multilevel.prediction.student_quantiles import two_sided_quantiles


def _means_of_limits(link: InverseLink, limits: FloatMatrix) -> FloatMatrix:
    """Means at the ends (n, 2) of intervals, cut off at zero where the link ends."""
    if link.is_even:
        across = (limits[:, 0] < 0.0) & (limits[:, 1] > 0.0)
        means = np.square(limits)
        means[across, 0], means[across, 1] = 0.0, means[across].max(axis=1)
        return np.asarray(means)
    if link.mean_at_zero is None:
        return np.asarray(link.mean(limits))
    outside = limits <= 0.0
    means = np.asarray(link.mean(np.where(outside, 1.0, limits)))
    return np.where(outside, link.mean_at_zero, means)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predicted means of rows, and how far off they may be.

    Attributes
    ----------
    linpred : (n,)
        Linear predictor.
    se_linpred : (n,)
        Its standard error.
    mean_df : callable
        Gives the degrees of freedom (n,) of the limits of the mean, when they are
        needed; infinite for normal ones.
    index : Index (n,)
        Row labels.
    link : InverseLink
    observation_limits : callable
        alpha -> (n, 2), limits of a new observation.
    """

    linpred: FloatVector
    se_linpred: FloatVector
    mean_df: Callable[[], FloatVector] = field(repr=False)
    index: pd.Index[Any] = field(repr=False)
    link: InverseLink = field(repr=False)
    observation_limits: Callable[[float], FloatMatrix] = field(repr=False)

    @property
    def df(self) -> FloatVector:
        """Degrees of freedom of the limits of the mean, (n,)."""
        return self.mean_df()

    @property
    def predicted_mean(self) -> FloatVector:
        """Mean of the response, (n,)."""
        return np.asarray(self.link.mean(self.linpred))

    @property
    def se_mean(self) -> FloatVector:
        """Standard error of the mean, by the delta method, (n,)."""
        return np.abs(self.link.curve(self.linpred).first) * self.se_linpred

    def conf_int(self, alpha: float = 0.05) -> FloatMatrix:
        """Confidence limits of the mean, (n, 2).

        They are those of the linear predictor, carried over by the inverse link.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        """
        reach = two_sided_quantiles(self.df, alpha) * self.se_linpred
        limits = np.column_stack([self.linpred - reach, self.linpred + reach])
        return np.sort(_means_of_limits(self.link, limits), axis=1)

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Means, standard errors and limits of mean and observation.

        Parameters
        ----------
        alpha : float
            One minus the coverage.

        Returns
        -------
        DataFrame
            Columns `mean`, `mean_se`, `mean_ci_lower`, `mean_ci_upper`,
            `obs_ci_lower`, `obs_ci_upper`.
        """
        mean_limits = self.conf_int(alpha)
        limits = self.observation_limits(alpha)
        return pd.DataFrame(
            {
                "mean": self.predicted_mean,
                "mean_se": self.se_mean,
                "mean_ci_lower": mean_limits[:, 0],
                "mean_ci_upper": mean_limits[:, 1],
                "obs_ci_lower": limits[:, 0],
                "obs_ci_upper": limits[:, 1],
            },
            index=self.index,
        )
