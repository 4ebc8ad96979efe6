"""Inverse links with three derivatives in the linear predictor.

Outside the domain of a link the mean is NaN, which the inner iterations take as a
step that went too far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import expit, ndtr, ndtri

from multilevel.array_types import FloatArray


@dataclass(frozen=True, slots=True)
class MeanCurve:
    """The mean and its derivatives in eta, all of the shape of eta."""

    mean: FloatArray
    first: FloatArray
    second: FloatArray
    third: FloatArray


@dataclass(frozen=True, slots=True)
class InverseLink:
    """One link.

    Parameters
    ----------
    name : str
        statsmodels' lower-case name.
    curve : callable
        eta -> MeanCurve.
    mean : callable
        eta -> mean.
    eta : callable
        mean -> eta, for starting values.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.likelihood.families.links import LINKS
    >>> LINKS["logit"].mean(np.zeros(1))
    array([0.5])
    """

    name: str
    curve: Callable[[FloatArray], MeanCurve]
    mean: Callable[[FloatArray], FloatArray]
    eta: Callable[[FloatArray], FloatArray]


def _identity_curve(eta: FloatArray) -> MeanCurve:
    zero = np.zeros_like(eta)
    return MeanCurve(eta, np.ones_like(eta), zero, zero)


def _square_curve(eta: FloatArray) -> MeanCurve:
    two = np.full_like(eta, 2.0)
    return MeanCurve(eta**2, 2.0 * eta, two, np.zeros_like(eta))


def _log_curve(eta: FloatArray) -> MeanCurve:
    mean = np.exp(eta)
    return MeanCurve(mean, mean, mean, mean)


def _logit_curve(eta: FloatArray) -> MeanCurve:
    # Not 1 - mean, which is zero from eta = 37 on, while the
    # weight mean (1 - mean) is not.
    mean, rest = expit(eta), expit(-eta)
    first = mean * rest
    balance = rest - mean
    return MeanCurve(mean, first, first * balance, first * (balance**2 - 2.0 * first))


def _probit_curve(eta: FloatArray) -> MeanCurve:
    density = np.exp(-0.5 * eta**2) / np.sqrt(2.0 * np.pi)
    return MeanCurve(ndtr(eta), density, -eta * density, (eta**2 - 1.0) * density)


def _cauchit(eta: FloatArray) -> FloatArray:
    # arctan2(1, -eta) keeps the digits of a mean near zero; 0.5 + arctan(eta) not.
    return np.asarray(np.arctan2(1.0, -eta) / np.pi)


def _cauchit_curve(eta: FloatArray) -> MeanCurve:
    spread = 1.0 + eta**2
    density = 1.0 / (np.pi * spread)
    second = -2.0 * eta * density / spread
    third = (6.0 * eta**2 - 2.0) * density / spread**2
    return MeanCurve(_cauchit(eta), density, second, third)


def _cloglog(eta: FloatArray) -> FloatArray:
    # The mean is one to the last digit long before; exp would overflow from 710 on.
    return np.asarray(-np.expm1(-np.exp(np.minimum(eta, 300.0))))


def _cloglog_curve(eta: FloatArray) -> MeanCurve:
    z = np.exp(np.minimum(eta, 300.0))
    first = z * np.exp(-z)
    return MeanCurve(
        -np.expm1(-z),
        first,
        first * (1.0 - z),
        first * ((1.0 - z) ** 2 - z),
    )


def _loglog(eta: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-np.exp(np.minimum(-eta, 300.0))))


def _loglog_curve(eta: FloatArray) -> MeanCurve:
    mirror = _cloglog_curve(-eta)
    return MeanCurve(_loglog(eta), mirror.first, -mirror.second, mirror.third)


def _logc_curve(eta: FloatArray) -> MeanCurve:
    rest = np.exp(eta)
    return MeanCurve(-np.expm1(eta), -rest, -rest, -rest)


def power_link(power: float) -> InverseLink:
    """eta = mean ** power; the log link for power 0.

    The domain is eta > 0, but all of eta for powers 1 and 0.5, all but zero for -1.
    """
    named = {0.0: "log", 0.5: "sqrt", 1.0: "identity"}
    if power in named:
        return LINKS[named[power]]
    q = 1.0 / power

    def inside(eta: FloatArray) -> FloatArray:
        if power == -1.0:
            return np.where(eta == 0.0, np.nan, eta)
        return np.where(eta > 0.0, eta, np.nan)

    def curve(eta: FloatArray) -> MeanCurve:
        base = inside(eta)
        mean = base**q
        # By division, as the powers q - 1 to q - 3 would cost one call of pow each.
        first = q * mean / base
        second = (q - 1.0) * first / base
        return MeanCurve(mean, first, second, (q - 2.0) * second / base)

    def mean(eta: FloatArray) -> FloatArray:
        return np.asarray(inside(eta) ** q)

    def eta(mean: FloatArray) -> FloatArray:
        return np.asarray(mean**power)

    names = {-1.0: "inverse_power", -2.0: "inverse_squared"}
    return InverseLink(names.get(power, f"power({power:g})"), curve, mean, eta)


def negative_binomial_link(alpha: float) -> InverseLink:
    """eta = log(mean / (mean + 1/alpha)), the canonical link for a known alpha."""

    def mean(eta: FloatArray) -> FloatArray:
        return 1.0 / (alpha * np.expm1(-np.where(eta < 0.0, eta, np.nan)))

    def curve(eta: FloatArray) -> MeanCurve:
        r = alpha * mean(eta)
        first = r * (1.0 + r)
        second = first * (1.0 + 2.0 * r)
        third = first * (1.0 + 6.0 * first)
        return MeanCurve(r / alpha, first / alpha, second / alpha, third / alpha)

    def eta(mean: FloatArray) -> FloatArray:
        return np.asarray(-np.log1p(1.0 / (alpha * mean)))

    return InverseLink("nbinom", curve, mean, eta)


def differenced_link(
    name: str,
    mean: Callable[[FloatArray], FloatArray],
    eta: Callable[[FloatArray], FloatArray],
    first: Callable[[FloatArray], FloatArray],
    second: Callable[[FloatArray], FloatArray],
) -> InverseLink:
    """A link of unknown formula: its third derivative by central differences."""

    def curve(at: FloatArray) -> MeanCurve:
        # The cube root of rounding: there truncation and cancellation of a central
        # difference are equally small.
        step = 1e-5 * np.maximum(np.abs(at), 1.0)
        third = (second(at + step) - second(at - step)) / (2.0 * step)
        return MeanCurve(mean(at), first(at), second(at), third)

    return InverseLink(name, curve, mean, eta)


LINKS: MappingProxyType[str, InverseLink] = MappingProxyType(
    {
        link.name: link
        for link in (
            InverseLink("identity", _identity_curve, np.asarray, np.asarray),
            InverseLink("log", _log_curve, np.exp, np.log),
            InverseLink("sqrt", _square_curve, np.square, np.sqrt),
            InverseLink(
                "logit", _logit_curve, expit, lambda m: np.log(m) - np.log1p(-m)
            ),
            InverseLink("probit", _probit_curve, ndtr, ndtri),
            InverseLink(
                "cauchy", _cauchit_curve, _cauchit, lambda m: -1.0 / np.tan(np.pi * m)
            ),
            InverseLink(
                "cloglog", _cloglog_curve, _cloglog, lambda m: np.log(-np.log1p(-m))
            ),
            InverseLink(
                "loglog", _loglog_curve, _loglog, lambda m: -np.log(-np.log(m))
            ),
            InverseLink(
                "logc", _logc_curve, lambda e: -np.expm1(e), lambda m: np.log1p(-m)
            ),
        )
    }
)
"""Links without parameters, by name."""
