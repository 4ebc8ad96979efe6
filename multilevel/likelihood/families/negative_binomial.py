"""Negative binomial counts: Var y = mu + mu^2 / size.

Held by tests/likelihood/families/test_response_distribution.py and
tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.special import betainc, betaincc, xlogy

from multilevel.array_types import FloatArray, FloatVector
from multilevel.likelihood.families.counts import (
    count_constant,
    count_logs,
    draw_counts,
)
from multilevel.likelihood.families.links import LINKS
from multilevel.likelihood.families.negative_binomial_rows import (
    NegativeBinomialLogRows,
    NegativeBinomialRows,
    size_variance,
)
from multilevel.likelihood.families.row_likelihood import RowLikelihood
from multilevel.likelihood.families.traits import (
    Family,
    FamilyTraits,
    ResponseDistribution,
    ShapeEdge,
    ShapeParameter,
    StatsmodelsFamily,
    Support,
    Tails,
)

SIZE = ShapeParameter(
    "size",
    search=(-12.0, 12.0),
    is_scale=False,
    edge=ShapeEdge(
        family="poisson",
        is_reached=lambda size, mu: bool(mu.max(initial=0.0) < 1e-5 * size),
        words="the counts vary no more than Poisson counts do",
    ),
)


def _bind(
    family: Family,
    y: FloatVector,
    weights: FloatVector | None,
    trials: FloatVector | None,
) -> RowLikelihood:
    known, constant = family.known_shapes, count_constant(y, weights)
    size = None if known is None else known[0]
    if family.link.name == "log":
        return NegativeBinomialLogRows(y, count_logs(y), weights, constant, size)
    return NegativeBinomialRows(family.link, y, weights, constant, size)


def _deviance(y: FloatArray, mean: FloatArray, values: FloatVector) -> FloatArray:
    size = values[0]
    return np.asarray(
        2.0 * (xlogy(y, y / mean) - (y + size) * np.log((y + size) / (mean + size)))
    )


def _tails(
    y: FloatArray, mean: FloatArray, values: FloatVector, _: FloatArray
) -> Tails:
    k, size = np.floor(y), values[0]
    safe = np.maximum(k, 0.0)
    failing = mean / (size + mean)
    lower = np.where(k >= 0, betaincc(safe + 1.0, size, failing), 0.0)
    return Tails(lower, np.where(k >= 0, betainc(safe + 1.0, size, failing), 1.0))


def _draw(
    rng: Generator, mean: FloatArray, values: FloatVector, _: FloatArray
) -> FloatArray:
    # Poisson counts whose means vary as a gamma distribution.
    return draw_counts(rng, mean * rng.gamma(values[0], size=mean.shape) / values[0])


NEGATIVE_BINOMIAL = FamilyTraits(
    name="negativebinomial",
    spoken_name="negative binomial",
    default_link=LINKS["log"],
    support=Support(low=0.0, closed=True, words="not negative"),
    weights="cases",
    shapes=(SIZE,),
    variance=lambda mean, values: size_variance(mean, values[0]),
    variance_text="mu + mu^2/size",
    distribution=ResponseDistribution(
        unit_deviance=_deviance, tails=_tails, draw=_draw, is_discrete=True
    ),
    bind=_bind,
    statsmodels=StatsmodelsFamily(
        "NegativeBinomial",
        inverse_shape="alpha",
        joint_model="NegativeBinomial",
        joint_link="log",
    ),
    ratios={"log": "rate ratios"},
    model_names={"log": "neg. binomial model"},
)
