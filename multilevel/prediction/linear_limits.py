"""Limits of predictions of linear models: Student's t, or normal ones.

Held by tests/prediction/test_limits_of_means.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.optimize.common.differences import central_differences
from multilevel.optimize.linear.estimates import fixed_root
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.optimize.linear.theta_hessian import theta_scales
from multilevel.prediction.one_factor_variance import one_factor_variance
from multilevel.prediction.prediction_error import (
    FittedCovariance,
    PredictedMeans,
    unused_variance,
)
from multilevel.prediction.row_elimination import RowElimination, fixed_variance
from multilevel.prediction.student_quantiles import two_sided_quantiles

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


@dataclass(frozen=True, kw_only=True)
class LinearLimits:
    """Limits of means and observations, with degrees of freedom when asked for.

    Parameters
    ----------
    fitted : LinearFittedModel
    means : PredictedMeans
    denominators : callable
        Gives the degrees of freedom by the chosen method.
    """

    fitted: LinearFittedModel
    means: PredictedMeans
    denominators: Callable[[], PredictionDf]

    @cached_property
    def _total(self) -> FloatVector:
        """Variance of the prediction of an observation, (n,)."""
        means = self.means
        return np.asarray(means.spread + self.fitted.scale / means.rows.weights)

    def mean_df(self) -> FloatVector:
        """Of the variance of each mean, (n,), whatever the other rows are.

        No variance is estimated from less than one degree of freedom: the delta method
        gives less beside a variance of random effects that is all but zero.
        """
        rows = self.means.rows
        is_fixed = np.all([codes < 0 for codes in rows.codes], axis=0)
        df = np.empty(len(is_fixed))
        if not is_fixed.all():
            df = self.denominators().variance_df(
                self.means.variance, lambda: self._gradients[0]
            )
            df = np.fmax(df, 1.0)
        df[is_fixed] = self.denominators().df(rows.X[is_fixed])
        return df

    def of_observation(self, alpha: float) -> FloatMatrix:
        """Limits of a new observation of each row, (n, 2)."""
        eta = self.means.eta
        df = self.denominators().variance_df(self._total, lambda: self._gradients[1])
        reach = two_sided_quantiles(df, alpha) * np.sqrt(self._total)
        # An observation cannot be known better than its mean.
        of_mean = two_sided_quantiles(self.mean_df(), alpha)
        reach = np.fmax(reach, of_mean * np.sqrt(self.means.variance))
        return np.column_stack([eta - reach, eta + reach])

    @cached_property
    def _gradients(self) -> FloatArray:
        """Derivatives (2, n, m + 1) of mean and sum in (working theta, sigma)."""
        theta, working = self.fitted.fit.working_theta, self.fitted.problem.working
        out = np.empty((2, len(self._total), len(theta) + 1))
        steps = _STEP * theta_scales(self.fitted.point(), working, theta)
        changes = central_differences(self._variances_at, theta, np.diag(steps))
        for a, (change, step) in enumerate(zip(changes, steps, strict=True)):
            out[..., a] = change / step
        variances = np.stack([self.means.variance, self._total])
        # Every variance of a prediction is sigma^2 times a function of theta.
        out[..., -1] = 2.0 * variances / self.fitted.sigma
        return out

    @cached_property
    def _elimination(self) -> RowElimination:
        fitted = self.fitted
        information = fitted.row_information()
        return RowElimination.of(fitted.design, information, self.means.rows)

    def _variances_at(self, theta: FloatVector) -> FloatMatrix:
        """Variances (2, n) of mean and observation at theta of the working columns.

        sigma is that of the fit.
        """
        fitted, problem, rows = self.fitted, self.fitted.problem, self.means.rows
        point = fitted.point(theta)
        sigma = problem.basis.response_scale * np.sqrt(point.profiled.sigma2)
        factors = problem.working_terms.user_factors(theta)
        covariance = FittedCovariance(
            information=fitted.row_information(),
            factors=tuple(fitted.sigma * factor for factor in factors),
            # At another theta sigma would be profiled anew; here it is held, as a
            # parameter of its own with a derivative of its own.
            root=fixed_root(problem, point) * (fitted.sigma / sigma),
        )
        if len(rows.codes) == 1:
            mean = fitted.scale * one_factor_variance(problem, point, rows)
        elif not rows.has_effects:
            mean = fixed_variance(rows.X, covariance.root)
        else:
            mean = self._elimination.variance(covariance.factors, covariance.root)
        own = unused_variance(fitted.design, covariance, rows)
        return np.stack([mean, mean + own + fitted.scale / rows.weights])
