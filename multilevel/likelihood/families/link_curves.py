"""Formulas of the inverse links: three derivatives, and means over normal effects.

Outside the domain of a link the mean is NaN, which the inner iterations take as a
step that went too far.

Held by tests/likelihood/families/test_families.py and
tests/prediction/test_marginal_predictions.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtr

from multilevel.array_types import FloatArray, FloatVector


@dataclass(frozen=True, slots=True)
class MeanCurve:
    """The mean and its derivatives in eta, all of the shape of eta."""

    mean: FloatArray
    first: FloatArray
    second: FloatArray
    third: FloatArray


@dataclass(frozen=True, slots=True)
class MarginalMean:
    """Means of the response over normal random effects.

    Parameters
    ----------
    mean : (n,)
    slope : (n,)
        Its derivative in eta.
    """

    mean: FloatVector
    slope: FloatVector


def identity_curve(eta: FloatArray) -> MeanCurve:
    """mean = eta."""
    zero = np.zeros_like(eta)
    return MeanCurve(eta, np.ones_like(eta), zero, zero)


def identity_marginal(eta: FloatVector, variance: FloatVector) -> MarginalMean:
    """E eta."""
    return MarginalMean(eta, np.ones_like(eta))


def square_curve(eta: FloatArray) -> MeanCurve:
    """mean = eta^2."""
    two = np.full_like(eta, 2.0)
    return MeanCurve(eta**2, 2.0 * eta, two, np.zeros_like(eta))


def square_marginal(eta: FloatVector, variance: FloatVector) -> MarginalMean:
    """E eta^2."""
    return MarginalMean(eta**2 + variance, 2.0 * eta)


def log_curve(eta: FloatArray) -> MeanCurve:
    """mean = exp(eta)."""
    mean = np.exp(eta)
    return MeanCurve(mean, mean, mean, mean)


def log_marginal(eta: FloatVector, variance: FloatVector) -> MarginalMean:
    """The mean of a lognormal distribution."""
    mean = np.exp(eta + 0.5 * variance)
    return MarginalMean(mean, mean)


def logit_curve(eta: FloatArray) -> MeanCurve:
    """mean = 1 / (1 + exp(-eta))."""
    # Not 1 - mean, which is zero from eta = 37 on, while the
    # weight mean (1 - mean) is not.
    mean, rest = expit(eta), expit(-eta)
    first = mean * rest
    balance = rest - mean
    return MeanCurve(mean, first, first * balance, first * (balance**2 - 2.0 * first))


def probit_curve(eta: FloatArray) -> MeanCurve:
    """mean = Phi(eta)."""
    density = np.exp(-0.5 * eta**2) / np.sqrt(2.0 * np.pi)
    return MeanCurve(ndtr(eta), density, -eta * density, (eta**2 - 1.0) * density)


def probit_marginal(eta: FloatVector, variance: FloatVector) -> MarginalMean:
    """Phi(eta / sqrt(1 + variance)) (Zeger, Liang & Albert 1988)."""
    shrunk = 1.0 / np.sqrt(1.0 + variance)
    at = eta * shrunk
    density = np.exp(-0.5 * at**2) / np.sqrt(2.0 * np.pi)
    return MarginalMean(np.asarray(ndtr(at)), density * shrunk)


def cauchit(eta: FloatArray) -> FloatArray:
    """1/2 + arctan(eta) / pi."""
    # arctan2(1, -eta) keeps the digits of a mean near zero; 0.5 + arctan(eta) not.
    return np.asarray(np.arctan2(1.0, -eta) / np.pi)


def cauchit_curve(eta: FloatArray) -> MeanCurve:
    """mean = 1/2 + arctan(eta) / pi."""
    spread = 1.0 + eta**2
    density = 1.0 / (np.pi * spread)
    second = -2.0 * eta * density / spread
    third = (6.0 * eta**2 - 2.0) * density / spread**2
    return MeanCurve(cauchit(eta), density, second, third)


def cloglog(eta: FloatArray) -> FloatArray:
    """1 - exp(-exp(eta))."""
    # The mean is one to the last digit long before; exp would overflow from 710 on.
    return np.asarray(-np.expm1(-np.exp(np.minimum(eta, 300.0))))


def cloglog_curve(eta: FloatArray) -> MeanCurve:
    """mean = 1 - exp(-exp(eta))."""
    z = np.exp(np.minimum(eta, 300.0))
    first = z * np.exp(-z)
    return MeanCurve(
        -np.expm1(-z),
        first,
        first * (1.0 - z),
        first * ((1.0 - z) ** 2 - z),
    )


def loglog(eta: FloatArray) -> FloatArray:
    """exp(-exp(-eta))."""
    return np.asarray(np.exp(-np.exp(np.minimum(-eta, 300.0))))


def loglog_curve(eta: FloatArray) -> MeanCurve:
    """mean = exp(-exp(-eta))."""
    mirror = cloglog_curve(-eta)
    return MeanCurve(loglog(eta), mirror.first, -mirror.second, mirror.third)


def logc_curve(eta: FloatArray) -> MeanCurve:
    """mean = 1 - exp(eta)."""
    rest = np.exp(eta)
    return MeanCurve(-np.expm1(eta), -rest, -rest, -rest)


def logc_marginal(eta: FloatVector, variance: FloatVector) -> MarginalMean:
    """One less the mean of a lognormal distribution."""
    rest = np.exp(eta + 0.5 * variance)
    return MarginalMean(1.0 - rest, -rest)
