"""Counts with the log link: Poisson and negative binomial (variance mu + mu^2/size).

References
----------
Lawless (1987), Canadian J. Statistics 15, 209-225 (the negative binomial's
derivatives).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from multilevel.array_types import FloatArray, FloatVector, IntVector
from multilevel.likelihood.families.row_likelihood import (
    DispersionTerms,
    DistinctRows,
    RowTerms,
    halfway_to_mean,
)
from multilevel.likelihood.families.stable_logs import size_core, size_norm, size_slope
from multilevel.likelihood.rows.effect_rows import counted_sums

MANY = 1e5
"""Counts from which the likelihood is written by their ratio to the mean."""

LARGEST = 690.0
"""Logarithm of the largest mean."""


@dataclass(frozen=True, slots=True)
class PoissonLogRows:
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

    @property
    def has_dispersion(self) -> bool:
        """False."""
        return False

    def _weighted(self, values: FloatArray) -> FloatArray:
        return values if self.prior is None else self.prior * values

    def terms(self, eta: FloatVector, log_dispersion: float) -> RowTerms:
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

    def third(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """w' = w."""
        return self._weighted(np.exp(eta))

    def expected_weight(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """The same as the observed weight."""
        return self._weighted(np.exp(eta))

    def density(
        self, eta: FloatArray, log_dispersion: float
    ) -> tuple[FloatArray, FloatArray]:
        """Log p less the normalizer, and l'."""
        # Nodes of a quadrature lie far out: there the density must be tiny, not NaN.
        excess = self.y - np.exp(np.minimum(eta, LARGEST))
        value = self.y * (eta - self.log_y) + excess
        return self._weighted(value), self._weighted(excess)

    def normalizer(self, log_dispersion: float) -> FloatVector:
        """Log density of each count at its own mean."""
        return self.constant

    def dispersion(self, eta: FloatVector, log_dispersion: float) -> DispersionTerms:
        """Zero: there is no dispersion parameter."""
        zero = np.zeros_like(eta)
        return DispersionTerms(0.0, zero, zero)

    def dispersion_density(self, eta: FloatArray, log_dispersion: float) -> FloatArray:
        """Zero."""
        return np.zeros_like(eta)

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


def count_logs(counts: FloatVector) -> FloatVector:
    """log y, zero where the count is; (n,)."""
    return np.log(np.where(counts > 0.0, counts, 1.0))


def _mean_and_beyond(eta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means up to the largest that doubles hold, and what is left of eta."""
    held = np.minimum(eta, LARGEST)
    return np.exp(held), eta - held


@dataclass(frozen=True, slots=True)
class NegativeBinomialLogRows(DistinctRows):
    """Negative binomial counts with the log link; the dispersion is the size.

    Parameters
    ----------
    y, log_y : (n,)
        The logarithm is zero where the count is.
    prior : (n,) or None
        Case weights.
    constant : (n,)
        Poisson log density of each count at its own mean, times the case weight.
    known_size : float or None
        None to estimate it.
    """

    y: FloatVector
    log_y: FloatVector
    prior: FloatVector | None
    constant: FloatVector
    known_size: float | None

    @property
    def has_dispersion(self) -> bool:
        """Whether the size is estimated."""
        return self.known_size is None

    def _size(self, log_dispersion: float) -> float:
        return float(np.exp(log_dispersion)) if self.has_dispersion else self._known()

    def _known(self) -> float:
        return 1.0 if self.known_size is None else self.known_size

    def _weighted(self, values: FloatArray) -> FloatArray:
        return values if self.prior is None else self.prior * values

    def _pieces(
        self, eta: FloatArray, log_dispersion: float
    ) -> tuple[float, FloatArray, FloatArray]:
        """Size, p = mean / (mean + size), and 1 - p."""
        size = self._size(log_dispersion)
        # p = mu/(mu + size) is logistic in eta - log(size): no
        # mean is formed that overflows.
        shifted = eta - np.log(size)
        return size, expit(shifted), expit(-shifted)

    def _value(self, eta: FloatArray, size: float) -> FloatArray:
        """Log p less that at mean y, which huge counts would cancel otherwise."""
        mean, beyond = _mean_and_beyond(eta)
        if self.y.max(initial=0.0) > MANY:
            return self._weighted(size_core(self.y, mean, size) - size * beyond)
        # log((mu + size)/(y + size)), near zero where the count is near its mean.
        # Beyond the largest mean it grows as eta does.
        logs = np.log1p((mean - self.y) / (size + self.y)) + beyond
        return self._weighted(self.y * (eta - self.log_y) - (self.y + size) * logs)

    def terms(self, eta: FloatVector, log_dispersion: float) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""
        size, p, q = self._pieces(eta, log_dispersion)
        value = self._value(eta, size)
        score = self._weighted(self.y * q - size * p)
        return RowTerms(
            float(value.sum()), score, self._weighted((self.y + size) * p * q)
        )

    def third(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """w (1 - 2p) with p = mean / (mean + size)."""
        size, p, q = self._pieces(eta, log_dispersion)
        return self._weighted((self.y + size) * p * q * (q - p))

    def expected_weight(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """size p."""
        size, p, _ = self._pieces(eta, log_dispersion)
        return self._weighted(size * p)

    def density(
        self, eta: FloatArray, log_dispersion: float
    ) -> tuple[FloatArray, FloatArray]:
        """Log p less the normalizer, and l'."""
        size, p, q = self._pieces(eta, log_dispersion)
        return self._value(eta, size), self._weighted(self.y * q - size * p)

    def normalizer(self, log_dispersion: float) -> FloatVector:
        """Log density of each count at its own mean."""
        return self._weighted(size_norm(self.y, self._size(log_dispersion))) + (
            self.constant
        )

    def dispersion(self, eta: FloatVector, log_dispersion: float) -> DispersionTerms:
        """Derivatives in log(size)."""
        size, p, q = self._pieces(eta, log_dispersion)
        total = self.dispersion_density(eta, log_dispersion).sum()
        score = self._weighted(p * (self.y * q - size * p))
        weight = self._weighted(p * q * (size - (self.y + size) * (q - p)))
        return DispersionTerms(float(total), score, weight)

    def dispersion_density(self, eta: FloatArray, log_dispersion: float) -> FloatArray:
        """Derivative of log p in log(size)."""
        size = self._size(log_dispersion)
        mean, beyond = _mean_and_beyond(eta)
        return self._weighted(size_slope(self.y, mean, size) - size * beyond)

    def starting_mean(self) -> FloatVector:
        """Half way from the counts to their mean, or above zero."""
        return halfway_to_mean(self.y)

    def take(self, rows: IntVector | slice) -> NegativeBinomialLogRows:
        """The same for some rows."""
        prior = None if self.prior is None else self.prior[rows]
        return NegativeBinomialLogRows(
            self.y[rows], self.log_y[rows], prior, self.constant[rows], self.known_size
        )
