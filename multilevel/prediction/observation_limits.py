"""Quantiles of new observations whose linear predictor is itself uncertain.

Held by tests/prediction/test_observation_limits.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import roots_hermitenorm

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector
from multilevel.likelihood.families.traits import Family
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.prediction.prediction_error import PredictedMeans

NODES = 32
"""Of the quadrature over the linear predictor."""

CHUNK = 20_000
"""Rows worked on at once."""

_BISECTIONS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyLimits:
    """Limits of means and observations of a generalized model.

    Parameters
    ----------
    fitted : FittedModel
    means : PredictedMeans
    """

    fitted: FittedModel
    means: PredictedMeans

    def mean_df(self) -> FloatVector:
        """Infinite ones: linear predictors have normal limits, (n,)."""
        return np.full(len(self.means.eta), np.inf)

    def of_observation(self, alpha: float) -> FloatMatrix:
        """Limits of a new observation of each row, (n, 2)."""
        means, sd = self.means, np.sqrt(self.means.spread)
        ends = [
            observation_quantiles(
                self.fitted.family,
                means.eta,
                sd,
                self.fitted.shape_values,
                means.rows.weights,
                probability,
            )
            for probability in (alpha / 2.0, 1.0 - alpha / 2.0)
        ]
        return np.column_stack(ends)


def observation_quantiles(
    family: Family,
    eta: FloatVector,
    sd: FloatVector,
    shape_values: FloatVector,
    weights: FloatVector,
    probability: float,
) -> FloatVector:
    """Smallest y with P(Y <= y) at least `probability`, for eta ~ N(eta, sd^2).

    Parameters
    ----------
    family : Family
    eta, sd : (n,)
    shape_values : (s,)
    weights : (n,)
        Prior weights; numbers of trials of a binomial.
    probability : float

    Returns
    -------
    (n,) array
        On the scale of the response; proportions of a binomial. NaN where eta is.
    """
    out, support = np.full(len(eta), np.nan), family.traits.support
    known = np.flatnonzero(np.isfinite(eta) & np.isfinite(sd))
    for rows in np.array_split(known, max(1, -(-len(known) // CHUNK))):
        if len(rows):
            z, w = roots_hermitenorm(NODES)
            with np.errstate(all="ignore"):
                mean = family.link.mean(eta[rows, None] + sd[rows, None] * z)
            # Where the link has no mean the node says nothing:
            # the others share its weight.
            possible = np.isfinite(mean) & (mean >= support.low)
            weight = np.where(possible, w, 0.0)
            weight /= weight.sum(axis=1, keepdims=True)
            mean = np.minimum(np.where(possible, mean, 0.5), support.high)
            out[rows] = _quantiles(
                family, mean, weight, shape_values, weights[rows], probability
            )
    return out


def _quantiles(
    family: Family,
    mean: FloatMatrix,
    weight: FloatMatrix,
    shape_values: FloatVector,
    prior: FloatVector,
    probability: float,
) -> FloatVector:
    traits, distribution = family.traits, family.traits.distribution

    def reached(y: FloatVector) -> BoolVector:
        tails = distribution.tails(y[:, None], mean, shape_values, prior[:, None])
        lower = (weight * tails.lower).sum(axis=1)
        # Rounding must not push a quantile of a discrete response to the next value.
        return np.asarray(lower >= probability * (1.0 - 1e-12))

    if traits.has_trials:
        successes = _whole(lambda k: reached(k / prior), prior, prior)
        return successes / prior
    if distribution.is_discrete:
        most = np.maximum(2.0 * mean.max(axis=1), 8.0)
        return _whole(reached, most, np.full(len(prior), np.inf))
    if traits.support.low < 0.0:
        variance = traits.variance(mean, shape_values).value.max(axis=1)
        scale = family.scale(shape_values)
        spread = np.ptp(mean, axis=1) + 10.0 * np.sqrt(scale * variance / prior)
        ends = mean.min(axis=1) - spread, mean.max(axis=1) + spread
        return _bisected(reached, *ends)
    # In logarithms, as positive responses may spread over many orders of magnitude.
    high = np.log(mean.max(axis=1)) + 20.0
    low = np.log(mean.min(axis=1)) - 40.0
    return np.exp(_bisected(lambda y: reached(np.exp(y)), low, high))


def _bisected(
    reached: Callable[[FloatVector], BoolVector], low: FloatVector, high: FloatVector
) -> FloatVector:
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        found = reached(middle)
        low, high = np.where(found, low, middle), np.where(found, middle, high)
    return 0.5 * (low + high)


def _whole(
    reached: Callable[[FloatVector], BoolVector],
    first_high: FloatVector,
    most: FloatVector,
) -> FloatVector:
    """Smallest whole number from 0 to `most` that is enough."""
    low, high = np.full(len(most), -1.0), np.minimum(np.ceil(first_high), most)
    for _ in range(64):
        short = ~reached(high) & (high < most)
        if not short.any():
            break
        low = np.where(short, high, low)
        high = np.where(short, np.minimum(2.0 * high + 1.0, most), high)
    # Whole numbers from here on: bisection ends at neighbours, of which the upper
    # one has been seen to be enough.
    while (open_ := high - low > 1.0).any():
        middle = np.floor(0.5 * (low + high))
        found = reached(middle)
        low = np.where(open_ & ~found, middle, low)
        high = np.where(open_ & found, middle, high)
    return high
