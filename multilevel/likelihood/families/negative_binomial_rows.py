"""Rows of negative binomial counts, by the log link and by any other.

References
----------
Lawless (1987), Canadian J. Statistics 15, 209-225 (the derivatives).

Held by tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from multilevel.array_types import FloatArray, FloatVector, IntVector
from multilevel.likelihood.families.counts import LARGEST, MANY, halfway_to_mean
from multilevel.likelihood.families.links import InverseLink
from multilevel.likelihood.families.row_likelihood import (
    DistinctRows,
    RowTerms,
    ShapeTerms,
)
from multilevel.likelihood.families.stable_logs import size_core, size_norm, size_slope
from multilevel.likelihood.families.unit_cores import (
    CoreCurve,
    UnitForm,
    VarianceCurve,
    core_curve,
)


def size_variance(mean: FloatArray, size: float) -> VarianceCurve:
    """mu + mu^2 / size."""
    extra = mean**2 / size
    slope = 1.0 + 2.0 * mean / size
    return VarianceCurve(
        mean + extra, slope, np.full_like(mean, 2.0 / size), -extra[None]
    )


def _mean_and_beyond(eta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means up to the largest that doubles hold, and what is left of eta."""
    held = np.minimum(eta, LARGEST)
    return np.exp(held), eta - held


class _SizedRows(DistinctRows):
    """What the rows of both share: the size, case weights."""

    __slots__ = ()

    y: FloatVector
    prior: FloatVector | None
    known_size: float | None

    @property
    def n_shapes(self) -> int:
        """One, the size, if it is estimated."""
        return int(self.known_size is None)

    def _size(self, shapes: FloatVector) -> float:
        if self.known_size is not None:
            return self.known_size
        return float(np.exp(shapes[0]))

    def _weighted(self, values: FloatArray) -> FloatArray:
        return values if self.prior is None else self.prior * values

    def starting_mean(self) -> FloatVector:
        """Half way from the counts to their mean, or above zero."""
        return halfway_to_mean(self.y)


@dataclass(frozen=True, slots=True)
class NegativeBinomialLogRows(_SizedRows):
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

    def _pieces(
        self, eta: FloatArray, shapes: FloatVector
    ) -> tuple[float, FloatArray, FloatArray]:
        """Size, p = mean / (mean + size), and 1 - p."""
        size = self._size(shapes)
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

    def terms(self, eta: FloatVector, shapes: FloatVector) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""
        size, p, q = self._pieces(eta, shapes)
        value = self._value(eta, size)
        score = self._weighted(self.y * q - size * p)
        return RowTerms(
            float(value.sum()), score, self._weighted((self.y + size) * p * q)
        )

    def third(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """w (1 - 2p) with p = mean / (mean + size)."""
        size, p, q = self._pieces(eta, shapes)
        return self._weighted((self.y + size) * p * q * (q - p))

    def expected_weight(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """size p."""
        size, p, _ = self._pieces(eta, shapes)
        return self._weighted(size * p)

    def density(
        self, eta: FloatArray, shapes: FloatVector
    ) -> tuple[FloatArray, FloatArray]:
        """Log p less the normalizer, and l'."""
        size, p, q = self._pieces(eta, shapes)
        return self._value(eta, size), self._weighted(self.y * q - size * p)

    def normalizer(self, shapes: FloatVector) -> FloatVector:
        """Log density of each count at its own mean."""
        return self._weighted(size_norm(self.y, self._size(shapes))) + (self.constant)

    def shape_terms(self, eta: FloatVector, shapes: FloatVector) -> ShapeTerms:
        """Derivatives in log(size)."""
        size, p, q = self._pieces(eta, shapes)
        total = np.array([self._slope(eta, shapes).sum()])
        score = self._weighted(p * (self.y * q - size * p))
        weight = self._weighted(p * q * (size - (self.y + size) * (q - p)))
        return ShapeTerms(total, score[None], weight[None])

    def shape_density(self, eta: FloatArray, shapes: FloatVector) -> FloatArray:
        """Derivative of log p in log(size)."""
        return self._slope(eta, shapes)[None]

    def _slope(self, eta: FloatArray, shapes: FloatVector) -> FloatArray:
        size = self._size(shapes)
        mean, beyond = _mean_and_beyond(eta)
        return self._weighted(size_slope(self.y, mean, size) - size * beyond)

    def take(self, rows: IntVector | slice) -> NegativeBinomialLogRows:
        """The same for some rows."""
        prior = None if self.prior is None else self.prior[rows]
        return NegativeBinomialLogRows(
            self.y[rows], self.log_y[rows], prior, self.constant[rows], self.known_size
        )


@dataclass(frozen=True, slots=True)
class NegativeBinomialRows(_SizedRows):
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

    def _core(self, eta: FloatArray, shapes: FloatVector) -> CoreCurve:
        size = self._size(shapes)
        form = UnitForm(
            variance=lambda mean: size_variance(mean, size),
            core=lambda y, mean: size_core(y, mean, size),
        )
        return core_curve(form, self.link, self.y, eta)

    def terms(self, eta: FloatVector, shapes: FloatVector) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""
        core = self._core(eta, shapes)
        return RowTerms(
            float(self._weighted(core.value).sum()),
            self._weighted(core.first),
            self._weighted(-core.second),
        )

    def third(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """w'."""
        return self._weighted(-self._core(eta, shapes).third)

    def expected_weight(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """mu'^2 / V."""
        curve = self.link.curve(eta)
        size = self._size(shapes)
        variance = size_variance(curve.mean, size).value
        return self._weighted(curve.first**2 / variance)

    def density(
        self, eta: FloatArray, shapes: FloatVector
    ) -> tuple[FloatArray, FloatArray]:
        """Log p less the normalizer, and l'."""
        core = self._core(eta, shapes)
        return self._weighted(core.value), self._weighted(core.first)

    def normalizer(self, shapes: FloatVector) -> FloatVector:
        """Log density of each count at its own mean."""
        norm = size_norm(self.y, self._size(shapes))
        return np.asarray(self._weighted(norm) + self.constant)

    def shape_terms(self, eta: FloatVector, shapes: FloatVector) -> ShapeTerms:
        """Derivatives in log(size)."""
        size = self._size(shapes)
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
        total = np.array([self._slope(eta, shapes).sum()])
        weight = -(a2_slope * curve.first**2 + gap_slope * curve.second)
        score = self._weighted(gap_slope * curve.first)
        return ShapeTerms(total, score[None], self._weighted(weight)[None])

    def shape_density(self, eta: FloatArray, shapes: FloatVector) -> FloatArray:
        """Derivative of log p in log(size)."""
        return self._slope(eta, shapes)[None]

    def _slope(self, eta: FloatArray, shapes: FloatVector) -> FloatArray:
        with np.errstate(all="ignore"):
            slope = size_slope(self.y, self.link.mean(eta), self._size(shapes))
        return self._weighted(slope)

    def take(self, rows: IntVector | slice) -> NegativeBinomialRows:
        """The same for some rows."""
        prior = None if self.prior is None else self.prior[rows]
        return NegativeBinomialRows(
            self.link, self.y[rows], prior, self.constant[rows], self.known_size
        )
