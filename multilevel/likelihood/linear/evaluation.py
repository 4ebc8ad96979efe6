"""One way to evaluate the deviance, whatever the grouping factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.elimination.block_system import BlockSystem, block_system
from multilevel.likelihood.linear.dense_point import dense_point
from multilevel.likelihood.linear.dense_system import (
    MAX_EFFECTS,
    MAX_SECOND_PASS_EFFECTS,
    DenseSystem,
    dense_system,
    has_several_effects,
    n_random_effects,
)
from multilevel.likelihood.linear.profiled import ProfiledDeviance
from multilevel.likelihood.linear.several_factors import several_factors_point
from multilevel.likelihood.linear.single_factor import (
    RotatedLevels,
    single_factor_point,
)
from multilevel.likelihood.products.cross_products import CrossProducts

PreparedProducts: TypeAlias = RotatedLevels | BlockSystem | DenseSystem


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

    def whitened_fixed(self) -> list[FloatArray]:
        """Z'V0^-1 [X y], (S, p + 1, J) for each factor."""

    def conditional_blocks(self) -> list[FloatArray]:
        """Blocks of Lam M^-1 Lam' by level, (S, S, J) for each factor."""


def prepare_products(products: CrossProducts) -> PreparedProducts:
    """What can be done once, before any theta is known."""
    if len(products.diagonal) == 1:
        return RotatedLevels.from_products(products)
    return prepare_several(products)


def prepare_several(
    products: CrossProducts, *, for_second_pass: bool = False
) -> BlockSystem | DenseSystem:
    """Full matrices for few random effects, blocks to eliminate for many.

    `for_second_pass` says that the random effects explain nearly all of the response.
    """
    dear = has_several_effects(products) and (
        for_second_pass or products.second_pass is not None
    )
    if n_random_effects(products) <= (MAX_SECOND_PASS_EFFECTS if dear else MAX_EFFECTS):
        return dense_system(products)
    return block_system(products)


def has_exact_hessian(prepared: PreparedProducts) -> bool:
    """Whether `LikelihoodPoint.hessian` is exact, not average information."""
    return not isinstance(prepared, BlockSystem)


def evaluate_point(
    prepared: PreparedProducts, lams: Sequence[FloatMatrix], *, reml: bool
) -> LikelihoodPoint:
    """Profiled deviance and its derivatives at relative covariance factors."""
    if isinstance(prepared, RotatedLevels):
        return single_factor_point(prepared, lams[0], reml=reml)
    if isinstance(prepared, DenseSystem):
        return dense_point(prepared, lams, reml=reml)
    return several_factors_point(prepared, lams, reml=reml)
