"""Gamma responses: Var y = phi mu^2 / weight.

Held by tests/likelihood/families/test_response_distribution.py and
tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.special import gammainc, gammaincc

from multilevel.array_types import FloatArray, FloatVector
from multilevel.likelihood.families.links import LINKS
from multilevel.likelihood.families.scaled_rows import (
    Norm,
    Phi,
    ScaledForm,
    scaled_variance,
)
from multilevel.likelihood.families.stable_logs import (
    gamma_norm,
    gamma_norm_slope,
    log_less,
)
from multilevel.likelihood.families.traits import (
    DISPERSION,
    FamilyTraits,
    ResponseDistribution,
    StatsmodelsFamily,
    Support,
    Tails,
)
from multilevel.likelihood.families.unit_cores import (
    CoreCurve,
    UnitForm,
    power_variance,
)


def _log_core(y: FloatVector, eta: FloatArray) -> CoreCurve:
    # Only y / mu matters: neither mu^2 nor y^2 is formed, which might overflow.
    ratio = y * np.exp(-eta)
    return CoreCurve(log_less(ratio), ratio - 1.0, -ratio, ratio)


def _inverse_core(y: FloatVector, eta: FloatArray) -> CoreCurve:
    base = np.where(eta > 0.0, eta, np.nan)
    r = 1.0 / base
    return CoreCurve(log_less(y * base), r - y, -r * r, 2.0 * r**3)


def _norm(y: FloatVector, phi: Phi) -> FloatVector:
    return np.asarray(gamma_norm(1.0 / phi) - np.log(y))


def _norm_slope(y: FloatVector, phi: Phi) -> FloatVector:
    return np.zeros_like(y) - gamma_norm_slope(1.0 / phi)


_FORM = ScaledForm(
    unit=UnitForm(
        variance=power_variance(2),
        core=lambda y, mu: log_less(y / mu),
        closed={"log": _log_core, "inverse_power": _inverse_core},
    ),
    norm=Norm(_norm, _norm_slope),
)


def _deviance(y: FloatArray, mean: FloatArray, _: FloatVector) -> FloatArray:
    ratio = y / mean
    return np.asarray(2.0 * (ratio - 1.0 - np.log(ratio)))


def _tails(
    y: FloatArray, mean: FloatArray, values: FloatVector, weight: FloatArray
) -> Tails:
    shape = weight / values[0]
    x = np.maximum(shape * y / mean, 0.0)
    return Tails(gammainc(shape, x), gammaincc(shape, x))


def _draw(
    rng: Generator, mean: FloatArray, values: FloatVector, weight: FloatArray
) -> FloatArray:
    shape = weight / values[0]
    # Of a small shape a draw may be smaller than any number but zero.
    drawn = rng.gamma(shape, mean / shape)
    return np.asarray(np.maximum(drawn, np.finfo(float).tiny))


GAMMA = FamilyTraits(
    name="gamma",
    spoken_name="gamma",
    default_link=LINKS["inverse_power"],
    canonical_link="inverse_power",
    support=Support(low=0.0, words="positive"),
    weights="precision",
    shapes=(DISPERSION,),
    variance=scaled_variance(_FORM),
    variance_text="dispersion mu^2",
    distribution=ResponseDistribution(
        unit_deviance=_deviance, tails=_tails, draw=_draw
    ),
    bind=_FORM.bind,
    statsmodels=StatsmodelsFamily("Gamma"),
)
