"""Poisson counts.

Held by tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import gammainc, gammaincc, xlogy

from multilevel.array_types import FloatArray, FloatVector, IntVector
from multilevel.likelihood.families.counts import (
    LARGEST,
    MANY,
    count_constant,
    count_logs,
    draw_counts,
    halfway_to_mean,
)
from multilevel.likelihood.families.links import LINKS
from multilevel.likelihood.families.row_likelihood import (
    RowLikelihood,
    RowTerms,
    WithoutShapes,
)
from multilevel.likelihood.families.scaled_rows import Norm, ScaledForm, scaled_variance
from multilevel.likelihood.families.stable_logs import log_less, poisson_norm
from multilevel.likelihood.families.traits import (
    Family,
    FamilyTraits,
    ResponseDistribution,
    StatsmodelsFamily,
    Support,
    Tails,
)
from multilevel.likelihood.families.unit_cores import UnitForm, power_variance
from multilevel.likelihood.rows.effect_rows import counted_sums


@dataclass(frozen=True, slots=True)
class PoissonLogRows(WithoutShapes):
    """Poisson counts with the log link.

    Parameters
    ----------
    y : (n,)
    log_y : (n,)
        Zero where the count is.
    prior : (n,) or None
        Case weights.
    constant : (n,)
        Log density of each count at its own mean, times the case weight.
    """

    y: FloatVector
    log_y: FloatVector
    prior: FloatVector | None
    constant: FloatVector

    def _weighted(self, values: FloatArray) -> FloatArray:
        return values if self.prior is None else self.prior * values

    def terms(self, eta: FloatVector, shapes: FloatVector) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""
        with np.errstate(over="ignore"):
            mean = np.exp(eta)
            value, excess = self._value_and_excess(eta, mean)
        total = value.sum() if self.prior is None else self.prior @ value
        return RowTerms(float(total), self._weighted(excess), self._weighted(mean))

    def _value_and_excess(
        self, eta: FloatVector, mean: FloatVector
    ) -> tuple[FloatVector, FloatVector]:
        """log p less that at mean y, which huge counts would cancel, and y - mean."""
        above = eta - self.log_y
        if self.y.max(initial=0.0) > MANY:
            # By their ratio, or the two parts below would still cancel.
            grown = np.expm1(above)
            some = self.y > 0.0
            value = np.where(some, self.y * (above - grown), -mean)
            return value, np.where(some, -self.y * grown, -mean)
        excess = self.y - mean
        above *= self.y
        above += excess
        return above, excess

    def third(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """w' = w."""
        return self._weighted(np.exp(eta))

    def expected_weight(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """The same as the observed weight."""
        return self._weighted(np.exp(eta))

    def density(
        self, eta: FloatArray, shapes: FloatVector
    ) -> tuple[FloatArray, FloatArray]:
        """Log p less the normalizer, and l'."""
        # Nodes of a quadrature lie far out: there the density must be tiny, not NaN.
        excess = self.y - np.exp(np.minimum(eta, LARGEST))
        value = self.y * (eta - self.log_y) + excess
        return self._weighted(value), self._weighted(excess)

    def normalizer(self, shapes: FloatVector) -> FloatVector:
        """Log density of each count at its own mean."""
        return self.constant

    def starting_mean(self) -> FloatVector:
        """Half way from the counts to their mean, or above zero."""
        return halfway_to_mean(self.y)

    @property
    def can_merge(self) -> bool:
        """True: the total is sufficient."""
        return True

    def merge(self, group: IntVector, n_groups: int) -> PoissonLogRows:
        """Mean counts with the sum of the case weights, and sums of the constants."""
        own = self._weighted(np.ones_like(self.y))
        prior, totals, constant = (
            counted_sums(group, values, n_groups)
            for values in (
                own,
                own * self.y,
                self.constant - own * (self.y * self.log_y - self.y),
            )
        )
        # Rows with one eta: the sum of w (y eta - exp(eta)) needs the total
        # and the weight only. What each row's constant was taken at, its
        # own mean, is put back first.
        mean = totals / prior
        logs = count_logs(mean)
        return PoissonLogRows(
            mean, logs, prior, constant + prior * (mean * logs - mean)
        )

    def take(self, rows: IntVector | slice) -> PoissonLogRows:
        """The same for some rows."""
        prior = None if self.prior is None else self.prior[rows]
        return PoissonLogRows(
            self.y[rows], self.log_y[rows], prior, self.constant[rows]
        )


def _core(y: FloatVector, mean: FloatArray) -> FloatArray:
    """log p less that at mean y."""
    safe = np.where(y > 0.0, y, 1.0)
    return np.where(y > 0.0, y * log_less(mean / safe), -mean)


_FORM = ScaledForm(
    unit=UnitForm(variance=power_variance(1), core=_core),
    norm=Norm(lambda y, phi: poisson_norm(y), lambda y, phi: np.zeros_like(y)),
    has_phi=False,
    starting_mean=halfway_to_mean,
)


def _bind(
    family: Family,
    y: FloatVector,
    weights: FloatVector | None,
    trials: FloatVector | None,
) -> RowLikelihood:
    if family.link.name == "log":
        return PoissonLogRows(y, count_logs(y), weights, count_constant(y, weights))
    return _FORM.bind(family, y, weights, trials)


def _deviance(y: FloatArray, mean: FloatArray, _: FloatVector) -> FloatArray:
    return np.asarray(2.0 * (xlogy(y, y / mean) - (y - mean)))


def _tails(y: FloatArray, mean: FloatArray, _: FloatVector, __: FloatArray) -> Tails:
    k = np.floor(y)
    safe = np.maximum(k, 0.0)
    lower = np.where(k >= 0, gammaincc(safe + 1.0, mean), 0.0)
    return Tails(lower, np.where(k >= 0, gammainc(safe + 1.0, mean), 1.0))


def _draw(
    rng: Generator, mean: FloatArray, _: FloatVector, __: FloatArray
) -> FloatArray:
    return draw_counts(rng, mean)


POISSON = FamilyTraits(
    name="poisson",
    spoken_name="Poisson",
    default_link=LINKS["log"],
    canonical_link="log",
    support=Support(low=0.0, closed=True, words="not negative"),
    weights="cases",
    variance=scaled_variance(_FORM),
    distribution=ResponseDistribution(
        unit_deviance=_deviance, tails=_tails, draw=_draw, is_discrete=True
    ),
    bind=_bind,
    statsmodels=StatsmodelsFamily("Poisson"),
    ratios={"log": "rate ratios"},
    model_names={"log": "Poisson model"},
)
