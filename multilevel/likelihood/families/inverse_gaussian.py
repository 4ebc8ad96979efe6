"""Inverse Gaussian responses: Var y = phi mu^3 / weight.

References
----------
Johnson, Kotz & Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 15.

Held by tests/likelihood/families/test_families.py and
tests/likelihood/families/test_response_distribution.py.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.special import log_ndtr, ndtr

from multilevel.array_types import FloatArray, FloatVector
from multilevel.likelihood.families.links import LINKS
from multilevel.likelihood.families.scaled_rows import (
    Norm,
    Phi,
    ScaledForm,
    minus_half,
    scaled_variance,
)
from multilevel.likelihood.families.stable_logs import LOG_2PI
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
    r = np.exp(-eta)
    square = y * r * r
    return CoreCurve(
        -0.5 * (y * r - 1.0) ** 2 / y,
        square - r,
        r - 2.0 * square,
        4.0 * square - r,
    )


def _canonical_core(y: FloatVector, eta: FloatArray) -> CoreCurve:
    base = np.where(eta > 0.0, eta, np.nan)
    root = np.sqrt(base)
    return CoreCurve(
        -0.5 * (y * root - 1.0) ** 2 / y,
        0.5 * (1.0 / root - y),
        -0.25 / (base * root),
        0.375 / (base**2 * root),
    )


def _norm(y: FloatVector, phi: Phi) -> FloatVector:
    return np.asarray(-0.5 * (LOG_2PI + np.log(phi) + 3.0 * np.log(y)))


_FORM = ScaledForm(
    unit=UnitForm(
        variance=power_variance(3),
        core=lambda y, mu: -0.5 * (y / mu - 1.0) ** 2 / y,
        closed={"log": _log_core, "inverse_squared": _canonical_core},
    ),
    norm=Norm(_norm, minus_half),
)


def _deviance(y: FloatArray, mean: FloatArray, _: FloatVector) -> FloatArray:
    return np.asarray((y - mean) ** 2 / (y * mean**2))


def _tails(
    y: FloatArray, mean: FloatArray, values: FloatVector, weight: FloatArray
) -> Tails:
    rate = weight / values[0]
    positive = np.maximum(y, 1e-300)
    root = np.sqrt(rate / positive)
    z = root * (positive / mean - 1.0)
    # exp(2 rate / mean) overflows where the factor that it multiplies vanishes.
    second = np.exp(2.0 * rate / mean + log_ndtr(-root * (positive / mean + 1.0)))
    lower = np.where(y > 0, ndtr(z) + second, 0.0)
    upper = np.where(y > 0, np.maximum(ndtr(-z) - second, 0.0), 1.0)
    return Tails(np.minimum(lower, 1.0), upper)


def _draw(
    rng: Generator, mean: FloatArray, values: FloatVector, weight: FloatArray
) -> FloatArray:
    return np.maximum(rng.wald(mean, weight / values[0]), np.finfo(float).tiny)


INVERSE_GAUSSIAN = FamilyTraits(
    name="inversegaussian",
    spoken_name="inverse Gaussian",
    default_link=LINKS["inverse_squared"],
    canonical_link="inverse_squared",
    support=Support(low=0.0, words="positive"),
    weights="precision",
    shapes=(DISPERSION,),
    variance=scaled_variance(_FORM),
    variance_text="dispersion mu^3",
    distribution=ResponseDistribution(
        unit_deviance=_deviance, tails=_tails, draw=_draw
    ),
    bind=_FORM.bind,
    statsmodels=StatsmodelsFamily("InverseGaussian"),
)
