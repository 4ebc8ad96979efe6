"""Residuals of generalized linear mixed models.

References
----------
Dunn & Smyth (1996), J. Comput. Graph. Statist. 5, 236-244 (randomized quantile
residuals); McCullagh & Nelder (1989), Generalized Linear Models, section 2.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import ndtri

from multilevel.array_types import FloatVector
from multilevel.errors import DataError
from multilevel.likelihood.families.distributions import (
    DISTRIBUTIONS,
    ResponseDistribution,
)
from multilevel.likelihood.families.traits import Family
from multilevel.option_values import as_generator


@dataclass(frozen=True, slots=True)
class FittedRows:
    """What residuals are made of.

    Parameters
    ----------
    family : Family
    y, eta, mean : (n,)
        Response, linear predictor and its mean, random effects included.
    weights : (n,) or None
        Prior weights, trials and case weights.
    observation_weights : (n,) or None
        The same without case weights.
    dispersion : float
        phi, or the size of a negative binomial.
    scale : float
        phi where it is estimated, else one.
    """

    family: Family
    y: FloatVector
    eta: FloatVector
    mean: FloatVector
    weights: FloatVector | None
    observation_weights: FloatVector | None
    dispersion: float
    scale: float

    @property
    def distribution(self) -> ResponseDistribution:
        """That of the family."""
        return DISTRIBUTIONS[self.family.name]

    @property
    def prior(self) -> FloatVector:
        """Prior weights, ones where there are none."""
        return np.ones_like(self.y) if self.weights is None else self.weights


def response_residuals(rows: FittedRows) -> FloatVector:
    """y - mean."""
    return rows.y - rows.mean


def pearson_residuals(rows: FittedRows) -> FloatVector:
    """(y - mean) sqrt(w / V(mean))."""
    variance = rows.distribution.variance(rows.mean, rows.dispersion)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _zero_where_met(
            rows, (rows.y - rows.mean) * np.sqrt(rows.prior / variance)
        )


def scaled_residuals(rows: FittedRows) -> FloatVector:
    """Pearson residuals in units of the root of the scale."""
    return pearson_residuals(rows) / float(np.sqrt(rows.scale))


def deviance_residuals(rows: FittedRows) -> FloatVector:
    """sign(y - mean) sqrt(w d), with d the unit deviance."""
    with np.errstate(divide="ignore", invalid="ignore"):
        d = rows.distribution.unit_deviance(rows.y, rows.mean, rows.dispersion)
        size = np.sqrt(np.maximum(d, 0.0) * rows.prior)
        return _zero_where_met(rows, np.sign(rows.y - rows.mean) * size)


def working_residuals(rows: FittedRows) -> FloatVector:
    """(y - mean) / mean', on the scale of the linear predictor."""
    slope = rows.family.link.curve(rows.eta).first
    with np.errstate(divide="ignore", invalid="ignore"):
        return _zero_where_met(rows, (rows.y - rows.mean) / slope)


def _zero_where_met(rows: FittedRows, residuals: FloatVector) -> FloatVector:
    """Residuals that are zero where the mean is y, at the edge of its range too."""
    return np.where(rows.y == rows.mean, 0.0, residuals)


def quantile_residuals(rows: FittedRows, seed: int) -> FloatVector:
    """Normal quantiles of the distribution function at y, drawn within its jumps."""
    distribution, own = rows.distribution, rows.observation_weights
    prior = np.ones_like(rows.y) if own is None else own

    def tails(y: FloatVector) -> tuple[FloatVector, FloatVector]:
        found = distribution.tails(y, rows.mean, rows.dispersion, prior)
        return found.lower, found.upper

    lower, upper = tails(rows.y)
    if distribution.is_discrete:
        step = 1.0 / prior if rows.family.name == "binomial" else 1.0
        lower_before, upper_before = tails(rows.y - step)
        share = as_generator(seed).uniform(size=len(rows.y))
        lower = lower_before + share * (lower - lower_before)
        upper = upper + (1.0 - share) * (upper_before - upper)
    smallest = np.finfo(float).tiny
    left, right = np.maximum(lower, smallest), np.maximum(upper, smallest)
    return np.where(left < right, ndtri(left), -ndtri(right))


GENERALIZED_RESIDUALS: MappingProxyType[str, Callable[[FittedRows], FloatVector]] = (
    MappingProxyType(
        {
            "response": response_residuals,
            "pearson": pearson_residuals,
            "deviance": deviance_residuals,
            "working": working_residuals,
            "scaled": scaled_residuals,
        }
    )
)
"""Kind of residual -> function of the fitted rows."""

KINDS = (*GENERALIZED_RESIDUALS, "quantile", "marginal")


def known_kind(kind: str) -> str:
    """The kind, if there is such a residual.

    Raises
    ------
    DataError
        Otherwise, naming those that there are.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise DataError(
            f"residuals of kind {kind!r} are not known; "
            f"use one of {', '.join(map(repr, KINDS))}"
        )
    return kind


def generalized_residuals(rows: FittedRows, kind: str, *, seed: int) -> FloatVector:
    """Residuals of one kind, given the random effects.

    Parameters
    ----------
    rows : FittedRows
    kind : str
        A key of `GENERALIZED_RESIDUALS`, or ``"quantile"``.
    seed : int
        Of the draws within the jumps of a discrete distribution.

    Returns
    -------
    (n,) array
    """
    if kind == "quantile":
        return quantile_residuals(rows, seed)
    return GENERALIZED_RESIDUALS[kind](rows)
