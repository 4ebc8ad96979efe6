"""A family with two shape parameters, which only tests have: the generalized gamma.

(y / mu)^k is gamma with mean one and shape a. With z = k (log y - log mu),

    log p = log k - log y + a (z - exp(z)) + a log a - log gamma(a)

The logarithms of a and k are estimated. With k = 1 it is the gamma family, phi = 1/a.

References
----------
Stacy (1962), Annals of Mathematical Statistics 33, 1187-1192.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammainc, gammaincc, gammaln

from multilevel.array_types import FloatArray, FloatVector, IntVector
from multilevel.likelihood.families.links import LINKS
from multilevel.likelihood.families.row_likelihood import (
    DistinctRows,
    RowTerms,
    ShapeTerms,
)
from multilevel.likelihood.families.traits import (
    Family,
    FamilyTraits,
    ResponseDistribution,
    ShapeParameter,
    Support,
    Tails,
)
from multilevel.likelihood.families.unit_cores import VarianceCurve


@dataclass(frozen=True, slots=True)
class GeneralizedGammaRows(DistinctRows):
    """Rows by the log link, without weights."""

    log_y: FloatVector

    @property
    def n_shapes(self) -> int:
        return 2

    def _pieces(self, eta: FloatArray, shapes: FloatVector):
        a, k = np.exp(shapes)
        z = k * (self.log_y - eta)
        return a, k, z, np.exp(z)

    def terms(self, eta: FloatVector, shapes: FloatVector) -> RowTerms:
        a, k, z, power = self._pieces(eta, shapes)
        total = float((a * (z - power)).sum())
        return RowTerms(total, a * k * (power - 1.0), a * k**2 * power)

    def third(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        a, k, _, power = self._pieces(eta, shapes)
        return -a * k**3 * power

    def expected_weight(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        a, k = np.exp(shapes)
        return np.full_like(eta, a * k**2)

    def density(
        self, eta: FloatArray, shapes: FloatVector
    ) -> tuple[FloatArray, FloatArray]:
        a, k, z, power = self._pieces(eta, shapes)
        return a * (z - power), a * k * (power - 1.0)

    def normalizer(self, shapes: FloatVector) -> FloatVector:
        a = np.exp(shapes[0])
        return shapes[1] - self.log_y + a * shapes[0] - gammaln(a)

    def shape_terms(self, eta: FloatVector, shapes: FloatVector) -> ShapeTerms:
        a, k, z, power = self._pieces(eta, shapes)
        score = np.array([a * k * (power - 1.0), a * k * (power * (1.0 + z) - 1.0)])
        weight = a * k**2 * power * np.array([np.ones_like(z), 2.0 + z])
        return ShapeTerms(self.shape_density(eta, shapes).sum(axis=1), score, weight)

    def shape_density(self, eta: FloatArray, shapes: FloatVector) -> FloatArray:
        a, _, z, power = self._pieces(eta, shapes)
        own = a * (shapes[0] + 1.0 - digamma(a))
        return np.array([a * (z - power) + own, 1.0 + a * z * (1.0 - power)])

    def starting_mean(self) -> FloatVector:
        y = np.exp(self.log_y)
        return 0.5 * (y + y.mean())

    def take(self, rows: IntVector | slice) -> GeneralizedGammaRows:
        return GeneralizedGammaRows(self.log_y[rows])


def _tails(
    y: FloatArray, mean: FloatArray, values: FloatVector, _: FloatArray
) -> Tails:
    a, k = values
    x = a * (np.maximum(y, 0.0) / mean) ** k
    return Tails(gammainc(a, x), gammaincc(a, x))


def _draw(
    rng: np.random.Generator, mean: FloatArray, values: FloatVector, _: FloatArray
) -> FloatArray:
    a, k = values
    return mean * (rng.gamma(a, size=mean.shape) / a) ** (1.0 / k)


def _variance(mean: FloatArray, values: FloatVector) -> VarianceCurve:
    return VarianceCurve(mean**2, 2.0 * mean, np.full_like(mean, 2.0))


GENERALIZED_GAMMA = Family(
    FamilyTraits(
        name="generalizedgamma",
        spoken_name="generalized gamma",
        default_link=LINKS["log"],
        support=Support(low=0.0, words="positive"),
        weights="precision",
        shapes=(
            ShapeParameter("shape", search=(-6.0, 6.0), is_scale=False),
            ShapeParameter("power", search=(-3.0, 3.0), is_scale=False),
        ),
        variance=_variance,
        variance_text="mu^2 c(shape, power)",
        distribution=ResponseDistribution(
            unit_deviance=lambda y, mean, _: np.log(y / mean) ** 2,
            tails=_tails,
            draw=_draw,
        ),
        bind=lambda family, y, weights, trials: GeneralizedGammaRows(np.log(y)),
    ),
    LINKS["log"],
)
