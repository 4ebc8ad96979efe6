"""Predictions of linear mixed models with their standard errors and limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from scipy.special import ndtri, stdtrit

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.likelihood.families.links import LINKS
from multilevel.optimize.common.fit_record import LMMFit
from multilevel.optimize.linear.estimates import fixed_root
from multilevel.optimize.linear.problem import LinearProblem
from multilevel.optimize.linear.theta_hessian import theta_scales
from multilevel.option_values import as_tail_share
from multilevel.prediction.estimable_rows import Check
from multilevel.prediction.predict import NewLevels, RandomParts
from multilevel.prediction.prediction_error import (
    FittedCovariance,
    prediction_variance,
    unused_variance,
)
from multilevel.prediction.prediction_rows import RowsToPredict, rows_to_predict
from multilevel.prediction.prediction_table import Prediction

_STEP = 0.005
"""Of differences of variances in theta, in units of its own scale."""


class PredictionDf(Protocol):
    """Degrees of freedom of what is predicted."""

    def df(self, L: FloatMatrix) -> FloatVector:  # noqa: N803 - the paper's letter
        """Of contrasts (rows, p) of the fixed effects, (rows,)."""

    def variance_df(
        self, variance: FloatVector, gradient: Callable[[], FloatMatrix]
    ) -> FloatVector:
        """Of variances (rows,) with derivatives in (working theta, sigma)."""


@dataclass(frozen=True, slots=True)
class PredictionVariances:
    """Variances of the errors of rows to predict, as functions of the parameters.

    Parameters
    ----------
    design : ModelDesign
        Of the fit.
    problem : LinearProblem
    fit : LMMFit
    rows : RowsToPredict
    """

    design: ModelDesign
    problem: LinearProblem
    fit: LMMFit
    rows: RowsToPredict

    def at(self, theta: FloatVector) -> tuple[FloatVector, FloatVector]:
        """Variance of the mean, and what an observation adds to it, (n,) each.

        Parameters
        ----------
        theta : (m,)
            Of the working columns; sigma is that of the fit.
        """
        problem, fit, design = self.problem, self.fit, self.design
        point = problem.point(
            problem.working.factors(theta), reml=fit.criterion == "REML"
        )
        sigma = problem.basis.response_scale * np.sqrt(point.profiled.sigma2)
        factors = zip(
            problem.basis.terms, problem.terms.term_factors(theta), strict=True
        )
        prior = np.ones(len(design.y)) if design.weights is None else design.weights
        covariance = FittedCovariance(
            prior / fit.sigma**2,
            tuple(fit.sigma * (T @ F) for T, F in factors),
            fixed_root(problem, point) * (fit.sigma / sigma),
        )
        rows = self.rows.rows
        own = unused_variance(design, covariance, rows)
        own = own + fit.sigma**2 / self.rows.weights
        return prediction_variance(design, covariance, rows), own

    def gradients(self) -> FloatArray:
        """Derivatives (2, n, m + 1) of mean and sum in (working theta, sigma)."""
        theta, working = self.fit.working_theta, self.problem.working
        values = self._mean_and_sum(theta)
        point = self.problem.point(
            working.factors(theta), reml=self.fit.criterion == "REML"
        )
        out = np.empty((*values.shape, len(theta) + 1))
        for a, scale in enumerate(theta_scales(point, working, theta)):
            shift = np.zeros(len(theta))
            shift[a] = _STEP * scale
            change = self._mean_and_sum(theta + shift)
            change -= self._mean_and_sum(theta - shift)
            out[..., a] = change / (2.0 * shift[a])
        out[..., -1] = 2.0 * values / self.fit.sigma
        return out

    def _mean_and_sum(self, theta: FloatVector) -> FloatMatrix:
        """Variances (2, n) of the mean and of an observation."""
        mean, own = self.at(theta)
        return np.stack([mean, mean + own])


@dataclass(frozen=True)
class LinearPredictionDf:
    """Degrees of freedom of the limits of means and observations, when asked for.

    Parameters
    ----------
    variances : PredictionVariances
    denominators : callable
        Gives the degrees of freedom by the chosen method.
    """

    variances: PredictionVariances
    denominators: Callable[[], PredictionDf]

    @cached_property
    def _gradients(self) -> FloatArray:
        return self.variances.gradients()

    @cached_property
    def of_mean(self) -> FloatVector:
        """Of the variance of each mean, (n,), whatever the other rows are.

        No variance is estimated from less than one degree of freedom: the delta method
        gives less beside a variance of random effects that is all but zero.
        """
        rows, variances = self.variances.rows.rows, self.variances
        is_fixed = np.all([codes < 0 for codes in rows.codes], axis=0)
        df = np.empty(len(is_fixed))
        if not is_fixed.all():
            variance = variances.at(variances.fit.working_theta)[0]
            df = self.denominators().variance_df(variance, lambda: self._gradients[0])
            df = np.fmax(df, 1.0)
        df[is_fixed] = self.denominators().df(rows.X[is_fixed])
        return df

    @cached_property
    def of_observation(self) -> FloatVector:
        """Of the whole variance of each prediction, (n,)."""
        total = np.add(*self.variances.at(self.variances.fit.working_theta))
        return self.denominators().variance_df(total, lambda: self._gradients[1])


def prediction_of_lmm(
    design: ModelDesign,
    problem: LinearProblem,
    fit: LMMFit,
    data: Any,
    *,
    denominators: Callable[[], PredictionDf],
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
    problem : LinearProblem
    fit : LMMFit
    data : data frame or None
    denominators : callable
        Gives the degrees of freedom, when they are needed.
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
    variances = PredictionVariances(design, problem, fit, rows)
    variance, own = variances.at(fit.working_theta)
    total = variance + own
    df = LinearPredictionDf(variances, denominators)

    def observation_limits(alpha: float) -> FloatMatrix:
        reach = _quantiles(alpha, df.of_observation) * np.sqrt(total)
        # An observation cannot be known better than its mean.
        reach = np.fmax(reach, _quantiles(alpha, df.of_mean) * np.sqrt(variance))
        return np.column_stack([mean - reach, mean + reach])

    se = np.sqrt(rows.with_missing(variance))
    return Prediction(
        mean, se, lambda: df.of_mean, rows.index, LINKS["identity"], observation_limits
    )


def _quantiles(alpha: float, df: FloatVector) -> FloatVector:
    """Student's t that is exceeded on either side with probability alpha, (n,)."""
    upper = 1.0 - as_tail_share(alpha) / 2.0
    return np.where(np.isinf(df), ndtri(upper), stdtrit(df, upper))
