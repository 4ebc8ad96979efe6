"""The formulas of residuals; a linear model is the normal case, identity link.

All but the marginal ones are given the random effects.

References
----------
Dunn & Smyth (1996), J. Comput. Graph. Statist. 5, 236-244 (randomized quantile
residuals); McCullagh & Nelder (1989), Generalized Linear Models, section 2.4.

Held by tests/diagnostics/test_residuals.py and tests/results/test_mixedglm_results.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy.special import ndtri

from multilevel.array_types import FloatVector
from multilevel.methods import Method, Methods, chosen, methods
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.option_values import as_generator
from multilevel.prediction.predict import marginal_predictions
from multilevel.prediction.prediction_options import PredictionOptions

ResidualFunction: TypeAlias = Callable[[FittedModel, int], FloatVector]
"""Of a fitted model; the seed is that of draws within the jumps of a distribution."""


def response_residuals(fitted: FittedModel, seed: int = 0) -> FloatVector:
    """y - mean."""
    return np.asarray(fitted.design.y - fitted.mean)


def pearson_residuals(fitted: FittedModel, seed: int = 0) -> FloatVector:
    """(y - mean) sqrt(w / V(mean))."""
    variance = fitted.family.traits.variance(fitted.mean, fitted.shape_values).value
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(_prior(fitted) / variance)
        return _zero_where_met(fitted, response_residuals(fitted) * root)


def scaled_residuals(fitted: FittedModel, seed: int = 0) -> FloatVector:
    """Pearson residuals in units of the root of the scale."""
    return pearson_residuals(fitted) / fitted.sigma


def deviance_residuals(fitted: FittedModel, seed: int = 0) -> FloatVector:
    """sign(y - mean) sqrt(w d), with d the unit deviance."""
    distribution, y = fitted.family.traits.distribution, fitted.design.y
    if distribution.is_normal:
        return pearson_residuals(fitted)  # the same, without a square
    with np.errstate(divide="ignore", invalid="ignore"):
        d = distribution.unit_deviance(y, fitted.mean, fitted.shape_values)
        size = np.sqrt(np.maximum(d, 0.0) * _prior(fitted))
        return _zero_where_met(fitted, np.sign(y - fitted.mean) * size)


def working_residuals(fitted: FittedModel, seed: int = 0) -> FloatVector:
    """(y - mean) / mean', on the scale of the linear predictor."""
    slope = fitted.link.curve(fitted.eta).first
    with np.errstate(divide="ignore", invalid="ignore"):
        return _zero_where_met(fitted, response_residuals(fitted) / slope)


def quantile_residuals(fitted: FittedModel, seed: int = 0) -> FloatVector:
    """Normal quantiles of the distribution function at y, drawn within its jumps."""
    distribution, y = fitted.family.traits.distribution, fitted.design.y
    if distribution.is_normal:
        return scaled_residuals(fitted)  # the same, however far out
    own = fitted.design.observation_weights
    prior = np.ones_like(y) if own is None else own

    def tails(y: FloatVector) -> tuple[FloatVector, FloatVector]:
        found = distribution.tails(y, fitted.mean, fitted.shape_values, prior)
        return found.lower, found.upper

    lower, upper = tails(y)
    if distribution.is_discrete:
        step = 1.0 / prior if fitted.family.traits.has_trials else 1.0
        lower_before, upper_before = tails(y - step)
        # One draw for both tails, so that they stay the two sides of one point.
        share = as_generator(seed).uniform(size=len(y))
        lower = lower_before + share * (lower - lower_before)
        upper = upper + (1.0 - share) * (upper_before - upper)
    smallest = np.finfo(float).tiny
    left, right = np.maximum(lower, smallest), np.maximum(upper, smallest)
    # From the smaller tail, which has its digits far out; one minus it would be one.
    return np.where(left < right, ndtri(left), -ndtri(right))


def marginal_residuals(fitted: FittedModel, seed: int = 0) -> FloatVector:
    """y less the mean over the random effects."""
    asked = PredictionOptions(random="none", new_levels="raise")
    mean = marginal_predictions(fitted, None, asked)
    return np.asarray(fitted.design.y - mean.to_numpy())


def _prior(fitted: FittedModel) -> FloatVector:
    """Prior weights, trials and case weights, ones where there are none, (n,)."""
    weights = fitted.design.weights
    return np.ones_like(fitted.design.y) if weights is None else weights


def _zero_where_met(fitted: FittedModel, residuals: FloatVector) -> FloatVector:
    """Residuals that are zero where the mean is y, at the edge of its range too."""
    return np.where(fitted.design.y == fitted.mean, 0.0, residuals)


RESIDUALS: Methods[ResidualFunction] = methods(
    Method(name="response", text="residuals", function=response_residuals),
    Method(name="pearson", text="Pearson residuals", function=pearson_residuals),
    Method(name="deviance", text="deviance residuals", function=deviance_residuals),
    Method(
        name="working",  # of a linear model its response residuals
        text="working residuals",
        function=working_residuals,
        kinds=("generalized",),
    ),
    Method(name="scaled", text="scaled residuals", function=scaled_residuals),
    Method(name="quantile", text="quantile residuals", function=quantile_residuals),
    Method(name="marginal", text="marginal residuals", function=marginal_residuals),
)
"""Functions of the fitted model and a seed."""


def residuals(fitted: FittedModel, kind: str, *, seed: int = 0) -> FloatVector:
    """Residuals of one kind.

    Parameters
    ----------
    fitted : FittedModel
    kind : str
        A name in `RESIDUALS`.
    seed : int
        Of the draws within the jumps of a discrete distribution.

    Returns
    -------
    (n,) array

    Raises
    ------
    DataError
        For an unknown kind, naming those that there are.
    """
    method = chosen(RESIDUALS, kind, option="kind", kind=fitted.kind)
    return method.function(fitted, seed)
