"""Exponential families by any link: Gaussian, gamma, inverse Gaussian, Poisson.

    log p = core(eta; y) w / phi + norm(y, phi / w)

phi is the dispersion and w the prior weight: Var y = phi V(mu) / w. Counts have no
dispersion, and their weights say how often a row counts: log p is w times its own.
"""

from __future__ import annotations

from collections.abc import Callable
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
from multilevel.likelihood.families.stable_logs import (
    LOG_2PI,
    gamma_norm,
    gamma_norm_slope,
    poisson_norm,
)
from multilevel.likelihood.families.unit_cores import (
    CLOSED_CORES,
    VARIANCES,
    CoreCurve,
    chain_rule,
)

Phi = float | FloatVector


@dataclass(frozen=True, slots=True)
class Norm:
    """norm(y, phi) and its derivative in log(phi), (n,); phi is (n,) or a number."""

    value: Callable[[FloatVector, Phi], FloatVector]
    slope: Callable[[FloatVector, Phi], FloatVector]


def _gaussian_value(y: FloatVector, phi: Phi) -> FloatVector:
    return np.zeros_like(y) - 0.5 * (LOG_2PI + np.log(phi))


def _inverse_gaussian_value(y: FloatVector, phi: Phi) -> FloatVector:
    return np.asarray(-0.5 * (LOG_2PI + np.log(phi) + 3.0 * np.log(y)))


def _minus_half(y: FloatVector, phi: Phi) -> FloatVector:
    return np.full_like(y, -0.5)


def _gamma_value(y: FloatVector, phi: Phi) -> FloatVector:
    return np.asarray(gamma_norm(1.0 / phi) - np.log(y))


def _gamma_slope(y: FloatVector, phi: Phi) -> FloatVector:
    return np.zeros_like(y) - gamma_norm_slope(1.0 / phi)


NORMS: dict[str, Norm] = {
    "gaussian": Norm(_gaussian_value, _minus_half),
    "gamma": Norm(_gamma_value, _gamma_slope),
    "inversegaussian": Norm(_inverse_gaussian_value, _minus_half),
    "poisson": Norm(lambda y, phi: poisson_norm(y), lambda y, phi: np.zeros_like(y)),
}


@dataclass(frozen=True, slots=True)
class ScaledRows(DistinctRows):
    """Rows of one exponential family.

    Parameters
    ----------
    family : {"gaussian", "poisson", "gamma", "inversegaussian"}
    link : InverseLink
    y : (n,)
    prior : (n,) or None
        Prior weights; of counts case weights.
    """

    family: str
    link: InverseLink
    y: FloatVector
    prior: FloatVector | None

    @property
    def has_dispersion(self) -> bool:
        """True but for the Poisson family."""
        return self.family != "poisson"

    def _phi(self, log_dispersion: float) -> float:
        return float(np.exp(log_dispersion)) if self.has_dispersion else 1.0

    def _own_phi(self, log_dispersion: float) -> Phi:
        """phi / w, the dispersion of each row."""
        phi = self._phi(log_dispersion)
        if self.prior is None or not self.has_dispersion:
            return phi
        return phi / self.prior

    def _core(self, eta: FloatArray) -> CoreCurve:
        closed = CLOSED_CORES.get((self.family, self.link.name))
        with np.errstate(all="ignore"):
            if closed is not None:
                return closed(self.y, eta)
            return chain_rule(VARIANCES[self.family], self.link, self.y, eta)

    def _scaled(self, values: FloatArray, log_dispersion: float) -> FloatArray:
        scaled = values / self._phi(log_dispersion)
        return scaled if self.prior is None else self.prior * scaled

    def terms(self, eta: FloatVector, log_dispersion: float) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""
        core = self._core(eta)
        return RowTerms(
            float(self._scaled(core.value, log_dispersion).sum()),
            self._scaled(core.first, log_dispersion),
            self._scaled(-core.second, log_dispersion),
        )

    def third(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """w'."""
        return self._scaled(-self._core(eta).third, log_dispersion)

    def expected_weight(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """mu'^2 / (phi V)."""
        curve = self.link.curve(eta)
        variance = VARIANCES[self.family].variance(curve.mean)[0]
        return self._scaled(curve.first**2 / variance, log_dispersion)

    def density(
        self, eta: FloatArray, log_dispersion: float
    ) -> tuple[FloatArray, FloatArray]:
        """Log p less the normalizer, and l'."""
        core = self._core(eta)
        return (
            self._scaled(core.value, log_dispersion),
            self._scaled(core.first, log_dispersion),
        )

    def normalizer(self, log_dispersion: float) -> FloatVector:
        """norm(y, phi / w); of counts norm(y) times the case weight."""
        norm = NORMS[self.family].value(self.y, self._own_phi(log_dispersion))
        if self.prior is None or self.has_dispersion:
            return norm
        return self.prior * norm

    def dispersion(self, eta: FloatVector, log_dispersion: float) -> DispersionTerms:
        """Derivatives in log(phi)."""
        core = self._core(eta)
        return DispersionTerms(
            float(self._density_slope(core, log_dispersion).sum()),
            self._scaled(-core.first, log_dispersion),
            self._scaled(core.second, log_dispersion),
        )

    def dispersion_density(self, eta: FloatArray, log_dispersion: float) -> FloatArray:
        """Derivative of log p in log(phi)."""
        return self._density_slope(self._core(eta), log_dispersion)

    def _density_slope(self, core: CoreCurve, log_dispersion: float) -> FloatArray:
        slope = NORMS[self.family].slope(self.y, self._own_phi(log_dispersion))
        return slope - self._scaled(core.value, log_dispersion)

    def starting_mean(self) -> FloatVector:
        """Half way from the responses to their mean, but Gaussian ones as they are.

        Logarithms of tiny positive responses would be far below that of any mean.
        """
        if self.family == "poisson":
            return halfway_to_mean(self.y)
        return self.y if self.family == "gaussian" else 0.5 * (self.y + self.y.mean())

    def take(self, rows: IntVector | slice) -> ScaledRows:
        """The same for some rows."""
        prior = None if self.prior is None else self.prior[rows]
        return ScaledRows(self.family, self.link, self.y[rows], prior)
