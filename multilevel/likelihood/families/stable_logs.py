"""Differences of logarithms and of log gammas that keep their digits.

Held by tests/likelihood/families/test_stable_logs.py and
tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, gammaln

from multilevel.array_types import FloatArray, FloatVector

STIRLING_FROM = 200.0
"""Argument from which log gamma's leading terms are taken off by Stirling's series."""

LOG_2PI = float(np.log(2.0 * np.pi))


def _series(x: FloatArray) -> FloatArray:
    """log(1 + x) - x for |x| <= 0.02."""
    total = np.zeros_like(x)
    # Horner's scheme of eight terms: at 0.02 what is left out and what the plain
    # difference cancels are both some 1e-14 of the result.
    for k in range(9, 1, -1):
        total = x * (total + (-1.0) ** (k + 1) / k)
    return np.asarray(total * x)


def log1p_less(x: FloatArray) -> FloatArray:
    """log(1 + x) - x."""
    small = np.abs(x) < 0.02
    return np.where(small, _series(np.where(small, x, 0.0)), np.log1p(x) - x)


def log_less(ratio: FloatArray) -> FloatArray:
    """log(r) - (r - 1), never positive."""
    change = ratio - 1.0
    small = np.abs(change) < 0.02
    series = _series(np.where(small, change, 0.0))
    return np.where(small, series, np.log(ratio) - change)


def stirling_rest(x: FloatArray) -> FloatArray:
    """log gamma(x) less (x - 1/2) log x - x + log(2 pi)/2, for large x."""
    # The first terms of an asymptotic series, never summed further: from 200 on the
    # first one left out is far below rounding.
    square = 1.0 / (x * x)
    return np.asarray(
        (1.0 - square * (1.0 / 30.0 - square * (1.0 / 105.0 - square / 140.0)))
        / (12.0 * x)
    )


def gamma_norm(shape: FloatArray | float) -> FloatArray:
    """x log(x) - x - log gamma(x), for x > 0."""
    x = np.asarray(shape, dtype=float)
    large = x >= STIRLING_FROM
    safe = np.where(large, x, STIRLING_FROM)
    # The parts of the plain form grow as x log x, the result as log x: at 200 three
    # digits are gone, at 1e12 all but three.
    series = 0.5 * (np.log(safe) - LOG_2PI) - stirling_rest(safe)
    direct = x * np.log(x) - x - gammaln(x)
    return np.where(large, series, direct)


def poisson_norm(counts: FloatVector) -> FloatVector:
    """y log(y) - y - log(y!): the log density of a count at its own mean, (n,)."""
    safe = np.where(counts > 0.0, counts, 1.0)
    return np.where(counts > 0.0, gamma_norm(safe) - np.log(safe), 0.0)


def gamma_norm_slope(shape: FloatArray | float) -> FloatArray:
    """Derivative of `gamma_norm` in log(shape)."""
    x = np.asarray(shape, dtype=float)
    large = x >= STIRLING_FROM
    safe, small = np.where(large, x, STIRLING_FROM), np.where(large, 1.0, x)
    series = 0.5 + (1.0 - 0.1 / safe**2) / (12.0 * safe)
    return np.where(large, series, small * (np.log(small) - digamma(small)))


def size_norm(y: FloatVector, size: float) -> FloatVector:
    """What a negative binomial's log density at mean y has over a Poisson's, (n,)."""
    return np.asarray(gamma_norm(size) - gamma_norm(y + size))


def size_core(y: FloatVector, mean: FloatArray, size: float) -> FloatArray:
    """A negative binomial's log density less that at mean y, for huge counts too.

    y log(mean / y) - (y + size) log((mean + size) / (y + size)), whose two parts are as
    large as the count while their difference is as large as the size.
    """
    # Everything by the gap to the count: mean/y and the other ratio are
    # near one together, and their logarithms cancel unless the first order
    # is taken off both beforehand.
    gap, both, some = mean - y, y + size, y > 0.0
    safe = np.where(some, y, 1.0)
    # Of mean / y over (mean + size) / (y + size), and of the latter, less one.
    inner, outer = size * (gap / safe) / (mean + size), gap / both
    logs = _log_ratio(inner, (mean / safe) * (both / (mean + size)))
    far = np.where(some, y * logs, 0.0) - size * _log_ratio(outer, (mean + size) / both)
    near = np.abs(outer) < 0.02
    rest = log1p_less(np.where(near, outer, 0.0)) + outer * (gap / (mean + size))
    less = np.where(np.abs(inner) < 0.02, log1p_less(inner), logs - inner)
    lead = np.where(some, y * less, -size * gap / (mean + size))
    return np.asarray(np.where(near, lead - size * rest, far))


def _log_ratio(change: FloatArray, ratio: FloatArray) -> FloatArray:
    """log(ratio), by the change from one where that is small."""
    near = np.abs(change) < 0.5
    return np.where(near, np.log1p(np.where(near, change, 0.0)), np.log(ratio))


def size_slope(y: FloatVector, mean: FloatArray, size: float) -> FloatArray:
    """Derivative in log(size) of a negative binomial log-likelihood, (..., n).

    log gamma(y + size) - log gamma(size) - y log(size)
    - (y + size) log(1 + mean / size) is differentiated.
    """
    change = (y - mean) / (mean + size)
    # Far from the Poisson limit the digammas differ by more than they round;
    # near it the result falls as 1/size while they stay as they are, so their
    # series are subtracted term by term.
    if size < STIRLING_FROM:
        bracket = digamma(y + size) - digamma(size) - np.log1p(mean / size) - change
        return np.asarray(size * bracket)
    # digamma(x) = log x - 1/(2x) - 1/(12 x^2) + 1/(120 x^4) - ...
    x = y + size
    half = y / (2.0 * x * size)
    twelfth = (1.0 / size**2 - 1.0 / x**2) / 12.0
    last = (1.0 / x**4 - 1.0 / size**4) / 120.0
    return np.asarray(size * (log1p_less(change) + half + twelfth + last))
