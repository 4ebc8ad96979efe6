"""Random terms in well-conditioned columns, and the way back to the user's.

An optimizer works in columns Z T, one T for each term, in which nothing depends on
units and origins. What it finds is carried back here: with b the effects of the user's
columns, those of the working ones are T^-1 b, so that a factor F of their covariance
becomes T F and their modes T b.

Held by tests/optimize/common/test_working_terms.py and
tests/optimize/common/test_fitted_model.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.errors import FitError


@dataclass(frozen=True)
class WorkingTheta:
    """theta of the working columns: the structures act on them directly."""

    terms: StackedTerms

    def lams(self, theta: FloatVector) -> list[FloatMatrix]:
        """lambda (S, S) for each grouping factor."""
        return self.terms.stack(self.terms.term_factors(theta))

    def jacobians(self, theta: FloatVector) -> list[FloatArray]:
        """dlambda/dtheta (m, S, S) for each grouping factor."""
        return self.terms.jacobians(theta)

    def curvature(
        self, theta: FloatVector, weights: Sequence[FloatMatrix]
    ) -> FloatMatrix:
        """Second derivatives of sum(weights * lambda), (m, m)."""
        return self.terms.curvature(theta, weights)


@dataclass(frozen=True)
class UserTheta:
    """theta of the user's columns: lambda = T^-1 (factor of the structure)."""

    terms: StackedTerms
    inverses: tuple[FloatMatrix, ...]

    def lams(self, theta: FloatVector) -> list[FloatMatrix]:
        """lambda (S, S) of the working columns for each grouping factor."""
        stacked = self.terms.stack(self.terms.term_factors(theta))
        return [T @ lam for T, lam in zip(self.inverses, stacked, strict=True)]

    def jacobians(self, theta: FloatVector) -> list[FloatArray]:
        """dlambda/dtheta (m, S, S) for each grouping factor."""
        plain = self.terms.jacobians(theta)
        return [T @ dlam for T, dlam in zip(self.inverses, plain, strict=True)]

    def curvature(
        self, theta: FloatVector, weights: Sequence[FloatMatrix]
    ) -> FloatMatrix:
        """Second derivatives of sum(weights * lambda), (m, m)."""
        carried = [T.T @ w for T, w in zip(self.inverses, weights, strict=True)]
        return self.terms.curvature(theta, carried)


@dataclass(frozen=True, kw_only=True)
class WorkingTerms:
    """The random terms of a model, and the transforms of their columns.

    Parameters
    ----------
    terms : StackedTerms
    transforms : one (k, k) for each term
        T with (the working columns) = (the user's columns) T.
    """

    terms: StackedTerms
    transforms: tuple[FloatMatrix, ...]

    def user_factors(self, theta: FloatVector) -> list[FloatMatrix]:
        """Factors (k, k) of the user's columns from theta of the working ones.

        They are square roots, not triangles.
        """
        factors = self.terms.term_factors(theta)
        return [T @ F for T, F in zip(self.transforms, factors, strict=True)]

    def user_theta(self, theta: FloatVector) -> FloatVector:
        """theta (m,) of the user's columns from that of the working ones."""
        return self.terms.theta_of(self.user_factors(theta))

    def working_theta(self, theta: FloatVector) -> FloatVector:
        """theta (m,) of the working columns from that of the user's."""
        factors = self.terms.term_factors(theta)
        return self.terms.theta_of(
            [
                np.asarray(np.linalg.solve(T, F))
                for T, F in zip(self.transforms, factors, strict=True)
            ]
        )

    def user_modes(self, by_factor: Sequence[FloatArray]) -> tuple[FloatMatrix, ...]:
        """Modes (J, k) of each term's user columns from working ones (S, J)."""
        terms = self.terms
        return tuple(
            (T @ by_factor[factor][block]).T
            for T, factor, block in zip(
                self.transforms, terms.factor_of_term, terms.blocks, strict=True
            )
        )

    def user_covariances(self, blocks: Sequence[FloatArray]) -> tuple[FloatArray, ...]:
        """Covariances (J, S, S) of the user's effects from working ones (S, S, J).

        One for each grouping factor; terms on one factor are stacked.
        """
        return tuple(
            np.einsum("ab,bcj,dc->jad", T, block, T)
            for T, block in zip(self.terms.stack(self.transforms), blocks, strict=True)
        )


class WorkingProblem(ABC):
    """A model whose random columns were transformed before it was fitted.

    Attributes
    ----------
    factor_names : name of each grouping factor
    undetermined : names of the standard deviations and correlations left open
    """

    factor_names: tuple[str, ...]
    undetermined: frozenset[str]

    @property
    @abstractmethod
    def working_terms(self) -> WorkingTerms:
        """The random terms and the transforms of their columns."""

    @property
    @abstractmethod
    def _outermost_factor(self) -> int | None:
        """The factor that all others are nested in, if they are nested."""

    def independent_factor(self) -> int:
        """Position of the factor whose levels are independent of one another.

        Raises
        ------
        FitError
            If grouping factors are crossed, so that no partition of the rows is.
        """
        factor = self._outermost_factor
        if factor is None:
            crossed = ", ".join(self.factor_names)
            raise FitError(
                f"the grouping factors {crossed} are crossed: the rows do not fall "
                "into independent groups, so there is no log-likelihood of a group. "
                "Use llf."
            )
        return factor

    @cached_property
    def working(self) -> WorkingTheta:
        """theta of the working columns, in which the optimizer moves."""
        return WorkingTheta(self.working_terms.terms)

    @cached_property
    def user(self) -> UserTheta:
        """theta of the user's columns, which is reported."""
        terms = self.working_terms
        inverses = [np.asarray(np.linalg.inv(T)) for T in terms.transforms]
        return UserTheta(terms.terms, tuple(terms.terms.stack(inverses)))

    @property
    def column_scales(self) -> list[FloatVector]:
        """Root mean square (k,) of the user's random columns, by term."""
        transforms = self.working_terms.transforms
        return [np.sqrt((np.linalg.inv(T) ** 2).sum(axis=0)) for T in transforms]
