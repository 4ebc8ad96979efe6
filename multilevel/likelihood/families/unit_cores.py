"""The part of an exponential family's log density that depends on eta, at unit scale.

log p = core(eta; y) w / phi + norm(y, phi / w), where core has the derivatives
(y - mu)/V(mu) in mu.  Closed forms in eta where the chain rule would overflow or lose
digits, else the chain rule through the inverse link.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatVector
from multilevel.likelihood.families.links import InverseLink
from multilevel.likelihood.families.stable_logs import log_less, size_core


@dataclass(frozen=True, slots=True)
class CoreCurve:
    """The core and its first three derivatives in eta, (..., n)."""

    value: FloatArray
    first: FloatArray
    second: FloatArray
    third: FloatArray


@dataclass(frozen=True, slots=True)
class VarianceFunction:
    """V(mu), V', V'' and the core as a function of y and mu."""

    variance: Callable[[FloatArray], tuple[FloatArray, FloatArray, FloatArray]]
    core: Callable[[FloatVector, FloatArray], FloatArray]
    positive: bool  # whether the mean must be


def _with_slopes(
    power: int,
) -> Callable[[FloatArray], tuple[FloatArray, FloatArray, FloatArray]]:
    def variance(mean: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        first = power * mean ** max(power - 1, 0)
        # The exponent is held at zero where the factor is: a mean of zero to a
        # negative power would make NaN of it.
        second = power * (power - 1) * mean ** max(power - 2, 0)
        return mean**power, first, np.asarray(second)

    return variance


def _poisson_core(y: FloatVector, mean: FloatArray) -> FloatArray:
    """log p less that at mean y."""
    safe = np.where(y > 0.0, y, 1.0)
    return np.where(y > 0.0, y * log_less(mean / safe), -mean)


VARIANCES: dict[str, VarianceFunction] = {
    "gaussian": VarianceFunction(
        _with_slopes(0), lambda y, mu: -0.5 * (y - mu) ** 2, positive=False
    ),
    "poisson": VarianceFunction(
        _with_slopes(1),
        _poisson_core,
        positive=True,
    ),
    "gamma": VarianceFunction(
        _with_slopes(2), lambda y, mu: log_less(y / mu), positive=True
    ),
    "inversegaussian": VarianceFunction(
        _with_slopes(3), lambda y, mu: -0.5 * (y / mu - 1.0) ** 2 / y, positive=True
    ),
}


def negative_binomial_variance(size: float) -> VarianceFunction:
    """mu + mu^2 / size."""

    def variance(mean: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        slope = 1.0 + 2.0 * mean / size
        return mean + mean**2 / size, slope, np.full_like(mean, 2.0 / size)

    def core(y: FloatVector, mean: FloatArray) -> FloatArray:
        return size_core(y, mean, size)

    return VarianceFunction(variance, core, positive=True)


def chain_rule(
    variance: VarianceFunction, link: InverseLink, y: FloatVector, eta: FloatArray
) -> CoreCurve:
    """Core and derivatives in eta through the mean."""
    curve = link.curve(eta)
    mu, m1, m2, m3 = curve.mean, curve.first, curve.second, curve.third
    if variance.positive:
        mu = np.where(mu > 0.0, mu, np.nan)
    V, V1, V2 = variance.variance(mu)
    gap = (y - mu) / V
    # Second and third derivatives of the core in mu, whose first is (y - mu)/V; then
    # the chain rule of a composition, as Faa di Bruno has it.
    a2 = -(1.0 + gap * V1) / V
    a3 = (2.0 * V1 * (1.0 + gap * V1) / V - gap * V2) / V
    return CoreCurve(
        variance.core(y, mu),
        gap * m1,
        a2 * m1**2 + gap * m2,
        a3 * m1**3 + 3.0 * a2 * m1 * m2 + gap * m3,
    )


def _gamma_log(y: FloatVector, eta: FloatArray) -> CoreCurve:
    # Only y / mu matters: neither mu^2 nor y^2 is formed, which might overflow.
    ratio = y * np.exp(-eta)
    return CoreCurve(log_less(ratio), ratio - 1.0, -ratio, ratio)


def _gamma_inverse(y: FloatVector, eta: FloatArray) -> CoreCurve:
    base = np.where(eta > 0.0, eta, np.nan)
    r = 1.0 / base
    return CoreCurve(log_less(y * base), r - y, -r * r, 2.0 * r**3)


def _inverse_gaussian_log(y: FloatVector, eta: FloatArray) -> CoreCurve:
    r = np.exp(-eta)
    square = y * r * r
    return CoreCurve(
        -0.5 * (y * r - 1.0) ** 2 / y,
        square - r,
        r - 2.0 * square,
        4.0 * square - r,
    )


def _inverse_gaussian_canonical(y: FloatVector, eta: FloatArray) -> CoreCurve:
    base = np.where(eta > 0.0, eta, np.nan)
    root = np.sqrt(base)
    return CoreCurve(
        -0.5 * (y * root - 1.0) ** 2 / y,
        0.5 * (1.0 / root - y),
        -0.25 / (base * root),
        0.375 / (base**2 * root),
    )


def _gaussian_identity(y: FloatVector, eta: FloatArray) -> CoreCurve:
    zero = np.zeros_like(eta)
    return CoreCurve(-0.5 * (y - eta) ** 2, y - eta, zero - 1.0, zero)


CLOSED_CORES: dict[tuple[str, str], Callable[[FloatVector, FloatArray], CoreCurve]] = {
    ("gaussian", "identity"): _gaussian_identity,
    ("gamma", "log"): _gamma_log,
    ("gamma", "inverse_power"): _gamma_inverse,
    ("inversegaussian", "log"): _inverse_gaussian_log,
    ("inversegaussian", "inverse_squared"): _inverse_gaussian_canonical,
}
