"""Variance, deviance and distribution function of a response with a given mean.

A row of a continuous family with prior weight w has dispersion phi/w, as the mean of
w responses; the weight of a binomial row is its number of trials. Rows with case
weights keep their own distribution.

References
----------
McCullagh & Nelder (1989), Generalized Linear Models, chapter 2; Johnson, Kotz &
Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 15 (inverse
Gaussian).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import (
    betainc,
    betaincc,
    gammainc,
    gammaincc,
    log_ndtr,
    ndtr,
    xlogy,
)

from multilevel.array_types import FloatArray


@dataclass(frozen=True, slots=True)
class Tails:
    """P(Y <= y) and P(Y > y), each with its own digits."""

    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True, slots=True)
class ResponseDistribution:
    """A family, as functions of arrays that broadcast.

    Parameters
    ----------
    variance : callable
        (mean, dispersion) -> V(mu); the size of a negative binomial is its
        `dispersion`.
    unit_deviance : callable
        (y, mean, dispersion) -> d, never negative.
    tails : callable
        (y, mean, dispersion, weight) -> Tails. Of a binomial, y is the proportion.
    is_discrete : bool
    """

    variance: Callable[[FloatArray, float], FloatArray]
    unit_deviance: Callable[[FloatArray, FloatArray, float], FloatArray]
    tails: Callable[[FloatArray, FloatArray, float, FloatArray], Tails]
    is_discrete: bool


def _normal_tails(
    y: FloatArray, mean: FloatArray, phi: float, weight: FloatArray
) -> Tails:
    z = (y - mean) * np.sqrt(weight / phi)
    return Tails(ndtr(z), ndtr(-z))


def _binomial_deviance(y: FloatArray, mean: FloatArray, _: float) -> FloatArray:
    rest = 1.0 - mean
    return np.asarray(2.0 * (xlogy(y, y / mean) + xlogy(1.0 - y, (1.0 - y) / rest)))


def _binomial_tails(
    y: FloatArray, mean: FloatArray, _: float, trials: FloatArray
) -> Tails:
    # y is a quotient: y * trials may fall a rounding error
    # below the whole number it was.
    k = np.floor(y * trials + np.minimum(1e-9 * np.maximum(trials, 1.0), 0.5))
    inside = (k >= 0) & (k < trials)
    safe = np.where(inside, k, 0.0)
    left = np.where(inside, trials - safe, 1.0)
    # P(K <= k) = 1 - I_p(k + 1, n - k)
    lower = np.where(inside, betaincc(safe + 1.0, left, mean), k >= 0)
    upper = np.where(inside, betainc(safe + 1.0, left, mean), k < 0)
    return Tails(lower, upper)


def _poisson_deviance(y: FloatArray, mean: FloatArray, _: float) -> FloatArray:
    return np.asarray(2.0 * (xlogy(y, y / mean) - (y - mean)))


def _poisson_tails(y: FloatArray, mean: FloatArray, _: float, __: FloatArray) -> Tails:
    k = np.floor(y)
    safe = np.maximum(k, 0.0)
    lower = np.where(k >= 0, gammaincc(safe + 1.0, mean), 0.0)
    return Tails(lower, np.where(k >= 0, gammainc(safe + 1.0, mean), 1.0))


def _negative_binomial_deviance(
    y: FloatArray, mean: FloatArray, size: float
) -> FloatArray:
    return np.asarray(
        2.0 * (xlogy(y, y / mean) - (y + size) * np.log((y + size) / (mean + size)))
    )


def _negative_binomial_tails(
    y: FloatArray, mean: FloatArray, size: float, _: FloatArray
) -> Tails:
    k = np.floor(y)
    safe = np.maximum(k, 0.0)
    failing = mean / (size + mean)
    lower = np.where(k >= 0, betaincc(safe + 1.0, size, failing), 0.0)
    return Tails(lower, np.where(k >= 0, betainc(safe + 1.0, size, failing), 1.0))


def _gamma_deviance(y: FloatArray, mean: FloatArray, _: float) -> FloatArray:
    ratio = y / mean
    return np.asarray(2.0 * (ratio - 1.0 - np.log(ratio)))


def _gamma_tails(
    y: FloatArray, mean: FloatArray, phi: float, weight: FloatArray
) -> Tails:
    shape = weight / phi
    x = np.maximum(shape * y / mean, 0.0)
    return Tails(gammainc(shape, x), gammaincc(shape, x))


def _inverse_gaussian_deviance(y: FloatArray, mean: FloatArray, _: float) -> FloatArray:
    return np.asarray((y - mean) ** 2 / (y * mean**2))


def _inverse_gaussian_tails(
    y: FloatArray, mean: FloatArray, phi: float, weight: FloatArray
) -> Tails:
    rate = weight / phi
    positive = np.maximum(y, 1e-300)
    root = np.sqrt(rate / positive)
    z = root * (positive / mean - 1.0)
    # exp(2 rate / mean) overflows where the factor that it multiplies vanishes.
    second = np.exp(2.0 * rate / mean + log_ndtr(-root * (positive / mean + 1.0)))
    lower = np.where(y > 0, ndtr(z) + second, 0.0)
    upper = np.where(y > 0, np.maximum(ndtr(-z) - second, 0.0), 1.0)
    return Tails(np.minimum(lower, 1.0), upper)


DISTRIBUTIONS: MappingProxyType[str, ResponseDistribution] = MappingProxyType(
    {
        "gaussian": ResponseDistribution(
            lambda mean, _: np.ones_like(mean),
            lambda y, mean, _: np.asarray((y - mean) ** 2),
            _normal_tails,
            is_discrete=False,
        ),
        "binomial": ResponseDistribution(
            lambda mean, _: np.asarray(mean * (1.0 - mean)),
            _binomial_deviance,
            _binomial_tails,
            is_discrete=True,
        ),
        "poisson": ResponseDistribution(
            lambda mean, _: np.asarray(mean),
            _poisson_deviance,
            _poisson_tails,
            is_discrete=True,
        ),
        "negativebinomial": ResponseDistribution(
            lambda mean, size: np.asarray(mean + mean**2 / size),
            _negative_binomial_deviance,
            _negative_binomial_tails,
            is_discrete=True,
        ),
        "gamma": ResponseDistribution(
            lambda mean, _: np.asarray(mean**2),
            _gamma_deviance,
            _gamma_tails,
            is_discrete=False,
        ),
        "inversegaussian": ResponseDistribution(
            lambda mean, _: np.asarray(mean**3),
            _inverse_gaussian_deviance,
            _inverse_gaussian_tails,
            is_discrete=False,
        ),
    }
)
"""Family -> distribution."""
