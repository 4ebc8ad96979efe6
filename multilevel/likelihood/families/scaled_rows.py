"""Exponential families by any link.

    log p = core(eta; y) w / phi + norm(y, phi / w)

phi is the dispersion and w the prior weight: Var y = phi V(mu) / w. Counts have no
dispersion, and their weights say how often a row counts: log p is w times its own.

Held by tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatVector, IntVector
from multilevel.likelihood.families.links import InverseLink
from multilevel.likelihood.families.row_likelihood import (
    DistinctRows,
    RowTerms,
    ShapeTerms,
)
from multilevel.likelihood.families.traits import Family
from multilevel.likelihood.families.unit_cores import (
    CoreCurve,
    UnitForm,
    VarianceCurve,
    core_curve,
)

Phi = float | FloatVector


@dataclass(frozen=True, slots=True)
class Norm:
    """norm(y, phi) and its derivative in log(phi), (n,); phi is (n,) or a number."""

    value: Callable[[FloatVector, Phi], FloatVector]
    slope: Callable[[FloatVector, Phi], FloatVector]


def minus_half(y: FloatVector, phi: Phi) -> FloatVector:
    """The slope of a norm that is -log(phi) / 2."""
    return np.full_like(y, -0.5)


def halfway_to_their_mean(y: FloatVector) -> FloatVector:
    """Where means start, (n,): logarithms of tiny responses would be far below any."""
    return np.asarray(0.5 * (y + y.mean()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledForm:
    """What a family needs to be one of these.

    Parameters
    ----------
    unit : UnitForm
    norm : Norm
    has_phi : bool
        Whether there is a dispersion to estimate.
    starting_mean : callable
        y (n,) -> means (n,) to start from.
    """

    unit: UnitForm
    norm: Norm
    has_phi: bool = True
    starting_mean: Callable[[FloatVector], FloatVector] = halfway_to_their_mean

    def bind(
        self,
        family: Family,
        y: FloatVector,
        weights: FloatVector | None,
        trials: FloatVector | None,
    ) -> ScaledRows:
        """Rows by the family's link; none has trials."""
        return ScaledRows(self, family.link, y, weights)


def scaled_variance(
    form: ScaledForm,
) -> Callable[[FloatArray, FloatVector], VarianceCurve]:
    """V(mu), whatever the dispersion."""
    return lambda mean, _: form.unit.variance(mean)


@dataclass(frozen=True, slots=True)
class ScaledRows(DistinctRows):
    """Rows of one exponential family.

    Parameters
    ----------
    form : ScaledForm
    link : InverseLink
    y : (n,)
    prior : (n,) or None
        Prior weights; of counts case weights.
    """

    form: ScaledForm
    link: InverseLink
    y: FloatVector
    prior: FloatVector | None

    @property
    def n_shapes(self) -> int:
        """One, the dispersion, if there is one to estimate."""
        return int(self.form.has_phi)

    def _phi(self, shapes: FloatVector) -> float:
        return float(np.exp(shapes[0])) if self.n_shapes else 1.0

    def _own_phi(self, shapes: FloatVector) -> Phi:
        """phi / w, the dispersion of each row."""
        phi = self._phi(shapes)
        if self.prior is None or not self.n_shapes:
            return phi
        return phi / self.prior

    def _core(self, eta: FloatArray) -> CoreCurve:
        return core_curve(self.form.unit, self.link, self.y, eta)

    def _scaled(self, values: FloatArray, shapes: FloatVector) -> FloatArray:
        scaled = values / self._phi(shapes)
        return scaled if self.prior is None else self.prior * scaled

    def terms(self, eta: FloatVector, shapes: FloatVector) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""
        core = self._core(eta)
        return RowTerms(
            float(self._scaled(core.value, shapes).sum()),
            self._scaled(core.first, shapes),
            self._scaled(-core.second, shapes),
        )

    def third(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """w'."""
        return self._scaled(-self._core(eta).third, shapes)

    def expected_weight(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """mu'^2 / (phi V)."""
        curve = self.link.curve(eta)
        variance = self.form.unit.variance(curve.mean).value
        return self._scaled(curve.first**2 / variance, shapes)

    def density(
        self, eta: FloatArray, shapes: FloatVector
    ) -> tuple[FloatArray, FloatArray]:
        """Log p less the normalizer, and l'."""
        core = self._core(eta)
        return (
            self._scaled(core.value, shapes),
            self._scaled(core.first, shapes),
        )

    def normalizer(self, shapes: FloatVector) -> FloatVector:
        """norm(y, phi / w); of counts norm(y) times the case weight."""
        norm = self.form.norm.value(self.y, self._own_phi(shapes))
        if self.prior is None or self.n_shapes:
            return norm
        return self.prior * norm

    def shape_terms(self, eta: FloatVector, shapes: FloatVector) -> ShapeTerms:
        """Derivatives in log(phi)."""
        n, core = self.n_shapes, self._core(eta)
        return ShapeTerms(
            np.array([self._density_slope(core, shapes).sum()])[:n],
            self._scaled(-core.first, shapes)[None][:n],
            self._scaled(core.second, shapes)[None][:n],
        )

    def shape_density(self, eta: FloatArray, shapes: FloatVector) -> FloatArray:
        """Derivative of log p in log(phi)."""
        return self._density_slope(self._core(eta), shapes)[None][: self.n_shapes]

    def _density_slope(self, core: CoreCurve, shapes: FloatVector) -> FloatArray:
        slope = self.form.norm.slope(self.y, self._own_phi(shapes))
        return slope - self._scaled(core.value, shapes)

    def starting_mean(self) -> FloatVector:
        """Means that the responses are moved to."""
        return self.form.starting_mean(self.y)

    def take(self, rows: IntVector | slice) -> ScaledRows:
        """The same for some rows."""
        prior = None if self.prior is None else self.prior[rows]
        return ScaledRows(self.form, self.link, self.y[rows], prior)
