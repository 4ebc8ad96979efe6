"""A fitted model as a value: what all that follows a fit takes, linear or not.

Covariances of random effects are told on one scale, that of the linear predictor:
``Cov(b) = F F'`` with F from `FittedModel.effect_factors`. The records of the fits keep
what their optimizers found, which in a linear model is relative to sigma.

Held by tests/optimize/common/test_fitted_model.py and
tests/models/test_rows_are_read_once.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.design.formula_text import formula_text
from multilevel.methods import ModelKind
from multilevel.optimize.common.fit_record import FitRecord
from multilevel.optimize.common.working_terms import WorkingProblem

if TYPE_CHECKING:
    from typing_extensions import Self

    from multilevel.design.model_design import ModelDesign
    from multilevel.likelihood.families.links import InverseLink
    from multilevel.likelihood.families.traits import Family


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedModel(ABC):
    """A design and the estimates that belong to it.

    Parameters
    ----------
    design : ModelDesign
    fit : FitRecord
    ddf : str
        How denominator degrees of freedom of tests are computed.
    family : Family
        Distribution of the response and its link.
    """

    kind: ClassVar[ModelKind]

    design: ModelDesign
    fit: FitRecord
    ddf: str
    family: Family

    @property
    @abstractmethod
    def problem(self) -> WorkingProblem:
        """The design in well-conditioned columns, reduced to what a fit needs."""

    # -- estimates -------------------------------------------------------------

    @property
    def criterion(self) -> str:
        """What was maximized: ``"REML"``, ``"ML"``, ``"Laplace"`` or ``"AGQ(7)"``."""
        return self.fit.criterion

    @property
    def llf(self) -> float:
        """Maximized log-likelihood, restricted or approximate."""
        return self.fit.llf

    @property
    def n_parameters(self) -> int:
        """Number of parameters, variance parameters included."""
        return self.fit.n_parameters

    @property
    def deviance(self) -> float:
        """-2 `llf`."""
        return -2.0 * self.llf

    @property
    def aic(self) -> float:
        """-2 `llf` + 2 `n_parameters`."""
        return self.deviance + 2.0 * self.n_parameters

    @property
    def bic(self) -> float:
        """-2 `llf` + log(n) `n_parameters`."""
        return float(self.deviance + np.log(self.design.nobs) * self.n_parameters)

    @property
    def aicc(self) -> float:
        """AIC with the small-sample correction of Hurvich and Tsai."""
        k, left = self.n_parameters, self.design.nobs - self.n_parameters - 1
        return self.aic + 2.0 * k * (k + 1) / left if left > 0 else float("inf")

    @property
    def formula(self) -> str:
        """The formula as written, or one that says what the arrays were."""
        return formula_text(self.design)

    @property
    def beta(self) -> FloatVector:
        """Fixed effects (p,) of the columns that are not aliased."""
        return self.fit.beta

    @property
    def cov_beta(self) -> FloatMatrix:
        """Their covariance matrix, (p, p)."""
        return self.fit.cov_beta

    @property
    @abstractmethod
    def fixed_root(self) -> FloatMatrix:
        """A square root (p, p) of `cov_beta`."""

    @property
    def modes(self) -> tuple[FloatMatrix, ...]:
        """Conditional modes, one (J, k) for each term."""
        return self.fit.modes

    @property
    def effect_factors(self) -> tuple[FloatMatrix, ...]:
        """One (k, k) for each term: Cov(b) = F F', in units of the linear predictor."""
        return tuple(self.fit.sigma * factor for factor in self.fit.factors)

    @property
    def link(self) -> InverseLink:
        """The link of the family."""
        return self.family.link

    @property
    @abstractmethod
    def scale(self) -> float:
        """phi in Var(y) = phi V(mu) / weight; one where it is not estimated."""

    @property
    @abstractmethod
    def shape_values(self) -> FloatVector:
        """phi, or the size of a negative binomial, estimated or given, (s,)."""

    @property
    def dispersion(self) -> float:
        """The first of them; one if there is none."""
        return float(self.shape_values[0]) if len(self.shape_values) else 1.0

    @property
    def sigma(self) -> float:
        """Square root of `scale`."""
        return float(np.sqrt(self.scale))

    @property
    @abstractmethod
    def params(self) -> FloatVector:
        """All parameters, as the model's log-likelihood takes them."""

    @property
    def uses_t(self) -> bool:
        """Whether tests are by Student's t rather than the normal distribution."""
        return self.ddf != "normal"

    # -- the rows of the fit ---------------------------------------------------

    def linear_predictor(self, factors: Iterable[int] | None = None) -> FloatVector:
        """X beta + offset + Z b of every row, (n,).

        Parameters
        ----------
        factors : iterable of int, optional
            Positions of the grouping factors whose effects are added; all by default.
        """
        design = self.design
        eta = design.X @ self.beta
        if design.offset is not None:
            eta += design.offset
        wanted = range(len(design.factors)) if factors is None else set(factors)
        for term, b in zip(design.terms, self.modes, strict=True):
            if term.factor_index in wanted:
                codes = design.factors[term.factor_index].codes
                for column, effects in zip(term.columns.T, b.T, strict=True):
                    eta += column * effects[codes]
        return np.asarray(eta)

    @property
    @abstractmethod
    def eta(self) -> FloatVector:
        """Linear predictor of every row, random effects included, (n,)."""

    @property
    @abstractmethod
    def mean(self) -> FloatVector:
        """Mean of the response of every row given the random effects, (n,)."""

    @abstractmethod
    def row_information(self) -> FloatVector:
        """Information of each row about its linear predictor, (n,).

        The prior weight over sigma^2 in a linear model; in a generalized one minus the
        second derivative of the row's log density, which can be negative.
        """

    @abstractmethod
    def conditional_covariances(self) -> tuple[FloatArray, ...]:
        """Cov(b_j | y) at the estimates: (J, S, S) for each grouping factor.

        Terms on one factor are stacked in formula order. The uncertainty of the
        estimates is left out, as it is in the conditional variances of other software.
        """

    @abstractmethod
    def loglike_groups(self) -> FloatVector:
        """Log-likelihood (ML) of each level of the problem's independent factor, (J,).

        Raises
        ------
        FitError
            If grouping factors are crossed.
        """

    # -- the same model again --------------------------------------------------

    @abstractmethod
    def _of(self, design: ModelDesign) -> Self:
        """These estimates with a design of the same columns and groups."""

    def with_response(self, y: FloatVector) -> Self:
        """The same model of another response (n,), at these estimates until `refit`."""
        return self._of(replace(self.design, y=np.array(y, dtype=float)))

    def with_responses(self, responses: FloatMatrix) -> Iterator[Self]:
        """`with_response` of each column of `responses` (n, r)."""
        return map(self.with_response, np.asarray(responses).T)

    def with_offset(self, offset: FloatVector | None) -> Self:
        """The same model with another offset (n,), at these estimates until `refit`."""
        own = None if offset is None else np.array(offset, dtype=float)
        return self._of(replace(self.design, offset=own))

    @abstractmethod
    def of_rows(self, rows: IntVector) -> Self:
        """The same model of some of its rows (r,), at these estimates until `refit`.

        Raises
        ------
        DataError
            If these rows cannot tell of all that was estimated.
        """

    @abstractmethod
    def refit(self) -> Self:
        """Fitted by the same criterion again, from these estimates on."""
