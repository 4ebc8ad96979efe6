"""The part of an exponential family's log density that depends on eta, at unit scale.

log p = core(eta; y) w / phi + norm(y, phi / w), where core has the derivatives
(y - mu)/V(mu) in mu.  Closed forms in eta where the chain rule would overflow or lose
digits, else the chain rule through the inverse link.

Held by tests/likelihood/families/test_registry.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from multilevel.array_types import FloatArray, FloatVector
from multilevel.likelihood.families.links import InverseLink


@dataclass(frozen=True, slots=True)
class CoreCurve:
    """The core and its first three derivatives in eta, (..., n)."""

    value: FloatArray
    first: FloatArray
    second: FloatArray
    third: FloatArray


@dataclass(frozen=True, slots=True)
class VarianceCurve:
    """V(mu) and its derivatives.

    Parameters
    ----------
    value, first, second : (..., n)
        V and its derivatives in mu.
    in_shapes : (s, ..., n) or None
        Derivatives in the logarithms of shape parameters; None if it has none. That a
        dispersion multiplies V is not among them.
    """

    value: FloatArray
    first: FloatArray
    second: FloatArray
    in_shapes: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class UnitForm:
    """A family at unit scale.

    Parameters
    ----------
    variance : callable
        mu -> VarianceCurve.
    core : callable
        (y, mu) -> core.
    positive : bool
        Whether the mean must be.
    closed : mapping
        Link -> (y, eta) -> CoreCurve, where the chain rule is not good enough.
    """

    variance: Callable[[FloatArray], VarianceCurve]
    core: Callable[[FloatVector, FloatArray], FloatArray]
    positive: bool = True
    closed: Mapping[str, Callable[[FloatVector, FloatArray], CoreCurve]] = field(
        default_factory=dict
    )


def power_variance(power: int) -> Callable[[FloatArray], VarianceCurve]:
    """V = mu^power."""

    def variance(mean: FloatArray) -> VarianceCurve:
        first = power * mean ** max(power - 1, 0)
        # The exponent is held at zero where the factor is: a mean of zero to a
        # negative power would make NaN of it.
        second = power * (power - 1) * mean ** max(power - 2, 0)
        return VarianceCurve(mean**power, first, np.asarray(second))

    return variance


def core_curve(
    form: UnitForm, link: InverseLink, y: FloatVector, eta: FloatArray
) -> CoreCurve:
    """Core and derivatives in eta; by the chain rule if there is no closed form."""
    closed = form.closed.get(link.name)
    with np.errstate(all="ignore"):
        return _chain_rule(form, link, y, eta) if closed is None else closed(y, eta)


def _chain_rule(
    form: UnitForm, link: InverseLink, y: FloatVector, eta: FloatArray
) -> CoreCurve:
    curve = link.curve(eta)
    mu, m1, m2, m3 = curve.mean, curve.first, curve.second, curve.third
    if form.positive:
        mu = np.where(mu > 0.0, mu, np.nan)
    variance = form.variance(mu)
    V, V1, V2 = variance.value, variance.first, variance.second
    gap = (y - mu) / V
    # Second and third derivatives of the core in mu, whose first is (y - mu)/V; then
    # the chain rule of a composition, as Faa di Bruno has it.
    a2 = -(1.0 + gap * V1) / V
    a3 = (2.0 * V1 * (1.0 + gap * V1) / V - gap * V2) / V
    return CoreCurve(
        form.core(y, mu),
        gap * m1,
        a2 * m1**2 + gap * m2,
        a3 * m1**3 + 3.0 * a2 * m1 * m2 + gap * m3,
    )
