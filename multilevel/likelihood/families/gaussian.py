"""Gaussian responses: Var y = phi / weight.

Held by tests/likelihood/families/test_response_distribution.py and
tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.special import ndtr

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


def _gaussian_identity(y: FloatVector, eta: FloatArray) -> CoreCurve:
    zero = np.zeros_like(eta)
    return CoreCurve(-0.5 * (y - eta) ** 2, y - eta, zero - 1.0, zero)


def _norm(y: FloatVector, phi: Phi) -> FloatVector:
    return np.zeros_like(y) - 0.5 * (LOG_2PI + np.log(phi))


_FORM = ScaledForm(
    unit=UnitForm(
        variance=power_variance(0),
        core=lambda y, mu: -0.5 * (y - mu) ** 2,
        positive=False,
        closed={"identity": _gaussian_identity},
    ),
    norm=Norm(_norm, minus_half),
    # Responses are means as they are; the other families' may be at an edge.
    starting_mean=lambda y: y,
)


def _normal_tails(
    y: FloatArray, mean: FloatArray, values: FloatVector, weight: FloatArray
) -> Tails:
    z = (y - mean) * np.sqrt(weight / values[0])
    return Tails(ndtr(z), ndtr(-z))


def _draw(
    rng: Generator, mean: FloatArray, values: FloatVector, weight: FloatArray
) -> FloatArray:
    sd = np.sqrt(values[0] / weight)
    return np.asarray(mean + sd * rng.standard_normal(mean.shape))


GAUSSIAN = FamilyTraits(
    name="gaussian",
    spoken_name="Gaussian",
    default_link=LINKS["identity"],
    canonical_link="identity",
    support=Support(),
    weights="precision",
    shapes=(DISPERSION,),
    variance=scaled_variance(_FORM),
    variance_text="dispersion",
    constant_variance=True,
    distribution=ResponseDistribution(
        unit_deviance=lambda y, mean, _: np.asarray((y - mean) ** 2),
        tails=_normal_tails,
        draw=_draw,
        is_normal=True,
    ),
    bind=_FORM.bind,
    statsmodels=StatsmodelsFamily("Gaussian"),
)
