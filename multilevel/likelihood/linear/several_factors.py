"""Deviance, gradient and average information with several grouping factors.

Held by tests/likelihood/linear/test_dense_likelihood.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.elimination.eliminate import Elimination, eliminate
from multilevel.likelihood.elimination.pattern import EffectPattern
from multilevel.likelihood.elimination.selected_inverse import (
    LevelInverse,
    inverse_by_level,
)
from multilevel.likelihood.elimination.solve import (
    absorb_columns,
    back_substitute,
    reduced_products,
)
from multilevel.likelihood.elimination.vectors import EffectVectors
from multilevel.likelihood.linear.block_products import BlockProducts
from multilevel.likelihood.linear.profiled import (
    ProfiledDeviance,
    profile_deviance,
    profiled_curvature,
)
from multilevel.likelihood.linear.second_pass_columns import (
    SecondPassColumns,
    WhitenedColumns,
    whiten_columns,
)


@dataclass(frozen=True)
class SeveralFactorsPoint:
    """The deviance at one set of covariance factors, with what derivatives need."""

    products: BlockProducts
    elimination: Elimination
    columns: EffectVectors
    profiled: ProfiledDeviance
    whitened_again: WhitenedColumns | None = None

    @property
    def _pattern(self) -> EffectPattern:
        return self.elimination.pattern

    @cached_property
    def shrunken(self) -> EffectVectors:
        """Random effects of every column of [X y], (q, p + 1)."""
        if self.whitened_again is not None:
            return self.whitened_again.shrunken
        return back_substitute(self.elimination, self.columns)

    @cached_property
    def whitened(self) -> EffectVectors:
        """E = Z'V0^-1 [X y], (q, p + 1)."""
        if self.whitened_again is not None:
            return self.whitened_again.score
        return self.products.ZtXy.minus(self.products.effects.times(self.shrunken))

    @cached_property
    def inverse(self) -> LevelInverse:
        """K = Lam M^-1 Lam' and A - A K A by level."""
        return inverse_by_level(self.elimination)

    def modes(self) -> list[FloatArray]:
        """Conditional modes b / (working scale), (S, J) for each factor."""
        return self._of_residual(self.shrunken)

    def score(self) -> list[FloatArray]:
        """g = Z'V0^-1 (y - X beta), (S, J) for each factor."""
        return self._of_residual(self.whitened)

    def _of_residual(self, vectors: EffectVectors) -> list[FloatArray]:
        combined = vectors.combined(self.profiled.residual[:, None])
        return [block[:, 0] for block in combined.by_factor(self._pattern)]

    def whitened_columns(self) -> list[FloatArray]:
        """Z'V0^-1 [X y], (S, p + 1, J) for each factor."""
        return self.whitened.by_factor(self._pattern)

    def column_effects(self) -> tuple[FloatArray, ...]:
        """Random effects of X and of y - X beta, (S, p + 1, J) for each factor."""
        blocks = [block.copy() for block in self.shrunken.by_factor(self._pattern)]
        for block, modes in zip(blocks, self.modes(), strict=True):
            block[:, -1] = modes
        return tuple(blocks)

    def conditional_blocks(self) -> list[FloatArray]:
        """Blocks of Lam M^-1 Lam' by level, (S, S, J) for each factor."""
        return self.inverse.blocks

    def gradients(self) -> list[FloatMatrix]:
        """Gamma: derivative of the deviance in the entries of each G."""
        # d log|M| / dG is the sum of the blocks of A - A K A; the rest of the
        # deviance depends on G through [X y]'V0^-1 [X y], whose derivative is
        # -E_j'dG E_j, level by level.
        outer = self.profiled.outer()
        by_factor = zip(self.inverse.shrunken, self.whitened_columns(), strict=True)
        return [
            D.sum(axis=2) - np.einsum("arj,rt,btj->ab", E, outer, E, optimize=True)
            for D, E in by_factor
        ]

    def hessian(self, directions: Sequence[FloatArray]) -> FloatMatrix:
        """Average information along dG_a: mean of observed and expected, (m, m).

        References
        ----------
        Gilmour, Thompson & Cullis (1995), Biometrics 51, section 3.4.
        """
        products = self.working_products(directions)
        quadratic, correction = profiled_curvature(self.profiled, *products)
        # Traces stand in the observed and in the expected information with opposite
        # signs: in their mean there are none, and no inverse is needed.
        return quadratic - correction

    def trace_products(self, directions: Sequence[FloatArray]) -> None:
        """Nothing: Z'V0^-1 Z is never formed."""

    def working_products(
        self, directions: Sequence[FloatArray]
    ) -> tuple[FloatMatrix, FloatMatrix]:
        """f_a'V0^-1 f_b and f_a'V0^-1 [X y] with f_a = Z dG_a g."""
        vectors = self._working_variates(directions)
        if self.products.second_pass is not None:
            return self._second_pass_products(vectors, self.products.second_pass)
        products = self.products.effects.times(vectors)
        columns = absorb_columns(self.elimination, products)
        quadratic = vectors.gram(products) - reduced_products(
            self.elimination, columns, columns
        )
        cross = vectors.gram(self.products.ZtXy) - reduced_products(
            self.elimination, columns, self.columns
        )
        return quadratic, cross

    def _second_pass_products(
        self, vectors: EffectVectors, second_pass: SecondPassColumns
    ) -> tuple[FloatMatrix, FloatMatrix]:
        both = self.products.effects.times(vectors).beside(self.products.ZtXy)
        columns = absorb_columns(self.elimination, both)
        left = second_pass.beside(vectors)
        whitened = whiten_columns(self.elimination, columns, left).whitened
        size = vectors.dense.shape[1]
        return whitened[:size, :size], whitened[:size, size:]

    def _working_variates(self, directions: Sequence[FloatArray]) -> EffectVectors:
        """dG_a g for every direction a, as vectors of random effects (q, m)."""
        moved = [
            np.einsum("mab,bj->amj", dG, g)
            for dG, g in zip(directions, self.score(), strict=True)
        ]
        return EffectVectors.of(self._pattern, moved)


def several_factors_point(
    products: BlockProducts, lams: Sequence[FloatMatrix], *, reml: bool
) -> SeveralFactorsPoint:
    """Evaluate the profiled deviance.

    Parameters
    ----------
    products : BlockProducts
    lams : one (S, S) relative covariance factor for each grouping factor
    reml : bool
    """
    elimination = eliminate(products.effects, lams)
    columns = absorb_columns(elimination, products.ZtXy)
    whitened_again = None
    if products.second_pass is not None:
        whitened_again = whiten_columns(elimination, columns, products.second_pass)
        whitened = whitened_again.whitened
    else:
        whitened = products.XytXy - reduced_products(elimination, columns, columns)
    profiled = profile_deviance(
        (whitened + whitened.T) / 2.0,
        elimination.log_det,
        products.n_rows,
        reml=reml,
    )
    return SeveralFactorsPoint(
        products=products,
        elimination=elimination,
        columns=columns,
        profiled=profiled,
        whitened_again=whitened_again,
    )
