"""log(mean) and log(1 - mean) of binomial links, with three derivatives in eta.

Each is computed from a form that keeps its digits when the mean is near 0 or 1.

Held by tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, expit, log_expit, log_ndtr

from multilevel.array_types import FloatArray


@dataclass(frozen=True, slots=True)
class LogCurve:
    """A logarithm of a probability and its derivatives, all of the shape of eta."""

    value: FloatArray
    first: FloatArray
    second: FloatArray
    third: FloatArray

    def mirrored(self) -> LogCurve:
        """The curve of eta -> value(-eta), if this one was evaluated at -eta."""
        return LogCurve(self.value, -self.first, self.second, -self.third)


@dataclass(frozen=True, slots=True)
class LogProbabilities:
    """log(mean) and log(1 - mean) as functions of eta."""

    success: Callable[[FloatArray], LogCurve]
    failure: Callable[[FloatArray], LogCurve]


LogFunction = Callable[[FloatArray], LogCurve]


def _mirror(curve: LogFunction) -> LogFunction:
    return lambda eta: curve(-eta).mirrored()


def _log_logistic(eta: FloatArray) -> LogCurve:
    rest, mean = expit(-eta), expit(eta)
    weight = mean * rest
    return LogCurve(log_expit(eta), rest, -weight, -weight * (rest - mean))


def _log_normal(eta: FloatArray) -> LogCurve:
    with np.errstate(over="ignore"):
        # The ratio of density and distribution function: the scaled erfc has its digits
        # where both of them have long underflowed.
        mills = np.sqrt(2.0 / np.pi) / erfcx(-eta / np.sqrt(2.0))
    excess = eta + mills
    second = -mills * excess
    third = mills * excess**2 - mills * (1.0 + second)
    # Far in the lower tail eta + mills cancels: its asymptotic series.
    tail = eta < -100.0
    if tail.any():
        x = 1.0 / np.where(tail, -eta, 100.0)
        x2 = x * x
        series = 1.0 - x2 * (1.0 - x2 * (6.0 - 50.0 * x2))
        second = np.where(tail, -series, second)
        third = np.where(tail, x * x2 * (2.0 - x2 * (24.0 - 300.0 * x2)), third)
    return LogCurve(log_ndtr(eta), mills, second, third)


def _log_complementary(eta: FloatArray) -> LogCurve:
    """log(1 - exp(-z)) with z = exp(eta)."""
    z = np.exp(np.clip(eta, -700.0, 300.0))
    rest = -np.expm1(-z)
    # The logarithmic slope z / (exp(z) - 1), written so that it does not overflow.
    first = z * np.exp(-z) / rest
    # 1 - first by its Bernoulli series where z is small, else it cancels.
    near = np.minimum(z, 0.05)
    near2 = near * near
    small = near * (0.5 - near / 12.0 * (1.0 - near2 / 60.0 * (1.0 - near2 / 42.0)))
    gap = np.where(z < 0.05, small, 1.0 - first) - z
    second = first * gap
    third = first * (gap**2 - second - z)
    # log(1 - exp(-z)): expm1 keeps the digits of small z, log1p those of large z.
    value = np.where(z < 1.0, np.log(rest), np.log1p(-np.exp(-np.maximum(z, 1.0))))
    return LogCurve(np.where(eta < -700.0, eta, value), first, second, third)


def _minus_exponential(eta: FloatArray) -> LogCurve:
    z = -np.exp(np.minimum(eta, 300.0))
    return LogCurve(z, z, z, z)


def _eta_itself(eta: FloatArray) -> LogCurve:
    zero = np.zeros_like(eta)
    inside = np.where(eta <= 0.0, eta, np.nan)
    return LogCurve(inside, np.ones_like(eta), zero, zero)


def _log_one_minus_exp(eta: FloatArray) -> LogCurve:
    below = np.where(eta < 0.0, eta, np.nan)
    # p / (1 - p) for p = exp(eta), of which all derivatives are polynomials.
    odds = 1.0 / np.expm1(-below)
    grown = odds * (1.0 + odds)
    # Divided at log(1/2), as above: each form where it keeps its digits.
    value = np.where(below > -0.7, np.log(-np.expm1(below)), np.log1p(-np.exp(below)))
    return LogCurve(value, -odds, -grown, -grown * (1.0 + 2.0 * odds))


LOGIT = LogProbabilities(_log_logistic, _mirror(_log_logistic))
PROBIT = LogProbabilities(_log_normal, _mirror(_log_normal))
CLOGLOG = LogProbabilities(_log_complementary, _minus_exponential)
LOGLOG = LogProbabilities(_mirror(_minus_exponential), _mirror(_log_complementary))
LOG = LogProbabilities(_eta_itself, _log_one_minus_exp)
LOGC = LogProbabilities(_log_one_minus_exp, _eta_itself)
