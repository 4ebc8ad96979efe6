"""Differences of logarithms and of log gammas that keep their digits."""

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
    square = 1.0 / (x * x)
    return np.asarray(
        (1.0 - square * (1.0 / 30.0 - square * (1.0 / 105.0 - square / 140.0)))
        / (12.0 * x)
    )


def gamma_norm(shape: float) -> float:
    """shape log(shape) - shape - log gamma(shape)."""
    if shape < STIRLING_FROM:
        return float(shape * np.log(shape) - shape - gammaln(shape))
    rest = float(stirling_rest(np.asarray(shape)))
    return 0.5 * (float(np.log(shape)) - LOG_2PI) - rest


def gamma_norm_slope(shape: float) -> float:
    """Derivative of `gamma_norm` in log(shape)."""
    if shape < STIRLING_FROM:
        return float(shape * (np.log(shape) - digamma(shape)))
    return 0.5 + (1.0 - 0.1 / shape**2) / (12.0 * shape)


def log_rising(y: FloatVector, size: float) -> FloatVector:
    """log( gamma(y + size) / gamma(size) / size^y ), (n,)."""
    if size < STIRLING_FROM:
        return np.asarray(gammaln(y + size) - gammaln(size) - y * np.log(size))
    rest = stirling_rest(y + size) - stirling_rest(np.asarray(size))
    return np.asarray((y + size - 0.5) * np.log1p(y / size) - y + rest)


def size_slope(y: FloatVector, mean: FloatArray, size: float) -> FloatArray:
    """Derivative in log(size) of a negative binomial log-likelihood, (..., n).

    log_rising(y, size) - (y + size) log(1 + mean / size) is differentiated.
    """
    change = (y - mean) / (mean + size)
    if size < STIRLING_FROM:
        bracket = digamma(y + size) - digamma(size) - np.log1p(mean / size) - change
        return np.asarray(size * bracket)
    # digamma(x) = log x - 1/(2x) - 1/(12 x^2) + 1/(120 x^4) - ...
    x = y + size
    half = y / (2.0 * x * size)
    twelfth = (1.0 / size**2 - 1.0 / x**2) / 12.0
    last = (1.0 / x**4 - 1.0 / size**4) / 120.0
    return np.asarray(size * (log1p_less(change) + half + twelfth + last))
