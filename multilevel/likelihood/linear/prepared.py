"""What evaluates the deviance, whatever the grouping factors: two protocols.

Held by tests/likelihood/linear/test_prepared.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.linear.profiled import ProfiledDeviance
from multilevel.likelihood.products.cross_products import CrossProducts


class LikelihoodPoint(Protocol):
    """The deviance at one set of relative covariance factors."""

    @property
    def profiled(self) -> ProfiledDeviance:
        """Deviance, fixed effects and residual variance."""

    def gradients(self) -> list[FloatMatrix]:
        """Derivative in the entries of G, one (S, S) for each grouping factor."""

    def hessian(self, directions: list[FloatArray]) -> FloatMatrix:
        """Second derivatives, exact or average information, along dG_a, (m, m)."""

    def working_products(
        self, directions: list[FloatArray]
    ) -> tuple[FloatMatrix, FloatMatrix]:
        """f_a'V0^-1 f_b and f_a'V0^-1 [X y] with f_a = Z dG_a g."""

    def modes(self) -> list[FloatArray]:
        """Conditional modes, (S, J) for each factor."""

    def score(self) -> list[FloatArray]:
        """Z'V0^-1 (y - X beta), (S, J) for each factor."""

    def whitened_columns(self) -> list[FloatArray]:
        """Z'V0^-1 [X y], (S, p + 1, J) for each factor."""

    def column_effects(self) -> tuple[FloatArray, ...]:
        """Random effects of X and of y - X beta, (S, p + 1, J) for each factor."""

    def trace_products(self, directions: Sequence[FloatArray]) -> FloatMatrix | None:
        """tr(D dG_a D dG_b), the fixed effects projected out for REML, (m, m).

        None where that would take all of Z'V0^-1 Z.
        """

    def conditional_blocks(self) -> list[FloatArray]:
        """Blocks of Lam M^-1 Lam' by level, (S, S, J) for each factor."""


class Prepared(Protocol):
    """Products arranged once for many evaluations."""

    @property
    def has_exact_hessian(self) -> bool:
        """Whether `LikelihoodPoint.hessian` is exact, not average information."""

    @property
    def n_dense(self) -> int:
        """Columns of the largest block that is factored as one."""

    @property
    def independent_factor(self) -> int | None:
        """The coarsest of nested factors; None if no partition of the rows is free."""

    def point(self, lams: Sequence[FloatMatrix], *, reml: bool) -> LikelihoodPoint:
        """Profiled deviance at relative covariance factors (S, S), one a factor."""

    def share_left(self, *, enough: float) -> float:
        """Residual sum of squares of all effects, fitted freely, as a share of y'Wy.

        Parameters
        ----------
        enough : float
            A smaller share need not be known any better.
        """

    def with_response(self, products: CrossProducts) -> Prepared:
        """The same columns with another response; what is of columns only is kept.

        Parameters
        ----------
        products : CrossProducts
            By `CrossProducts.with_response`.
        """

    def level_log_dets(self, lams: Sequence[FloatMatrix]) -> FloatVector:
        """log|M| of every level of the independent factor, (J,)."""
