"""Negative binomial counts (variance mu + mu^2/size) by any link but the log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatVector, IntVector
from multilevel.likelihood.families.links import InverseLink
from multilevel.likelihood.families.row_likelihood import (
    DispersionTerms,
    DistinctRows,
    RowTerms,
    halfway_to_mean,
)
from multilevel.likelihood.families.stable_logs import size_norm, size_slope
from multilevel.likelihood.families.unit_cores import (
    CoreCurve,
    chain_rule,
    negative_binomial_variance,
)


@dataclass(frozen=True, slots=True)
class NegativeBinomialRows(DistinctRows):
    """Negative binomial rows; the dispersion is the size.

    Parameters
    ----------
    link : InverseLink
    y : (n,)
    prior : (n,) or None
        Case weights.
    constant : (n,)
        Poisson log density of each count at its own mean, times the case weight.
    known_size : float or None
        None to estimate it.
    """

    link: InverseLink
    y: FloatVector
    prior: FloatVector | None
    constant: FloatVector
    known_size: float | None

    @property
    def has_dispersion(self) -> bool:
        """Whether the size is estimated."""
        return self.known_size is None

    def _size(self, log_dispersion: float) -> float:
        if self.known_size is not None:
            return self.known_size
        return float(np.exp(log_dispersion))

    def _weighted(self, values: FloatArray) -> FloatArray:
        return values if self.prior is None else self.prior * values

    def _core(self, eta: FloatArray, log_dispersion: float) -> CoreCurve:
        variance = negative_binomial_variance(self._size(log_dispersion))
        with np.errstate(all="ignore"):
            return chain_rule(variance, self.link, self.y, eta)

    def terms(self, eta: FloatVector, log_dispersion: float) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""
        core = self._core(eta, log_dispersion)
        return RowTerms(
            float(self._weighted(core.value).sum()),
            self._weighted(core.first),
            self._weighted(-core.second),
        )

    def third(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """w'."""
        return self._weighted(-self._core(eta, log_dispersion).third)

    def expected_weight(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """mu'^2 / V."""
        curve = self.link.curve(eta)
        size = self._size(log_dispersion)
        variance = curve.mean + curve.mean**2 / size
        return self._weighted(curve.first**2 / variance)

    def density(
        self, eta: FloatArray, log_dispersion: float
    ) -> tuple[FloatArray, FloatArray]:
        """Log p less the normalizer, and l'."""
        core = self._core(eta, log_dispersion)
        return self._weighted(core.value), self._weighted(core.first)

    def normalizer(self, log_dispersion: float) -> FloatVector:
        """Log density of each count at its own mean."""
        norm = size_norm(self.y, self._size(log_dispersion))
        return np.asarray(self._weighted(norm) + self.constant)

    def dispersion(self, eta: FloatVector, log_dispersion: float) -> DispersionTerms:
        """Derivatives in log(size)."""
        size = self._size(log_dispersion)
        with np.errstate(all="ignore"):
            curve = self.link.curve(eta)
            mu = np.where(curve.mean > 0.0, curve.mean, np.nan)
            V, V1 = mu + mu**2 / size, 1.0 + 2.0 * mu / size
            # dV/dlog(size) and dV'/dlog(size)
            Vs, V1s = -(mu**2) / size, -2.0 * mu / size
            # The score in mu is gap = (y - mu)/V and its derivative a2 = -(1 + gap
            # V')/V; both through V and V' in log(size).
            gap = (self.y - mu) / V
            gap_slope = -gap * Vs / V
            a2_slope = Vs / V**2 - gap * V1s / V + 2.0 * gap * V1 * Vs / V**2
        total = float(self.dispersion_density(eta, log_dispersion).sum())
        weight = -(a2_slope * curve.first**2 + gap_slope * curve.second)
        return DispersionTerms(
            total, self._weighted(gap_slope * curve.first), self._weighted(weight)
        )

    def dispersion_density(self, eta: FloatArray, log_dispersion: float) -> FloatArray:
        """Derivative of log p in log(size)."""
        with np.errstate(all="ignore"):
            slope = size_slope(self.y, self.link.mean(eta), self._size(log_dispersion))
        return self._weighted(slope)

    def starting_mean(self) -> FloatVector:
        """Half way from the counts to their mean, or above zero."""
        return halfway_to_mean(self.y)

    def take(self, rows: IntVector | slice) -> NegativeBinomialRows:
        """The same for some rows."""
        prior = None if self.prior is None else self.prior[rows]
        return NegativeBinomialRows(
            self.link, self.y[rows], prior, self.constant[rows], self.known_size
        )
