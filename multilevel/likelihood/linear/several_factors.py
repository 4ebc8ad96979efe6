"""Deviance, gradient and average information with several grouping factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.elimination.block_elimination import (
    AbsorbedColumns,
    Elimination,
    absorb_columns,
    eliminate,
    reduced_products,
)
from multilevel.likelihood.elimination.block_inverse import (
    conditional_blocks,
    shrunken_sums,
)
from multilevel.likelihood.elimination.block_solve import (
    RandomVectors,
    back_substitute,
    random_gram_product,
)
from multilevel.likelihood.elimination.block_system import BlockSystem
from multilevel.likelihood.linear.profiled import (
    ProfiledDeviance,
    profile_deviance,
    profiled_curvature,
)
from multilevel.likelihood.linear.second_pass_columns import (
    SecondPassColumns,
    WhitenedColumns,
    side_by_side,
    vectors_by_factor,
    whiten_columns,
)
from multilevel.likelihood.products.cross_products import SecondPass


@dataclass(frozen=True)
class SeveralFactorsPoint:
    """The deviance at one set of covariance factors, with what derivatives need."""

    elimination: Elimination
    columns: AbsorbedColumns
    profiled: ProfiledDeviance
    whitened_again: WhitenedColumns | None = None

    @property
    def system(self) -> BlockSystem:
        """The products before elimination."""
        return self.elimination.system

    @cached_property
    def shrunken(self) -> RandomVectors:
        """Random effects of every column of [X y], (q, p + 1)."""
        if self.whitened_again is not None:
            return self.whitened_again.shrunken
        return back_substitute(self.elimination, self.columns)

    def _fixed_columns(self) -> RandomVectors:
        return RandomVectors(dict(self.system.ZtXy), self.system.ZtXy_rest)

    @cached_property
    def whitened(self) -> RandomVectors:
        """E = Z'V0^-1 [X y], (q, p + 1)."""
        if self.whitened_again is not None:
            return self.whitened_again.score
        fitted = random_gram_product(self.system, self.shrunken)
        return self._fixed_columns().minus(fitted)

    def modes(self) -> list[FloatArray]:
        """Conditional modes b / (working scale), (S, J) for each factor."""
        return self._by_factor(_times(self.shrunken, self.profiled.residual))

    def score(self) -> list[FloatArray]:
        """g = Z'V0^-1 (y - X beta), (S, J) for each factor."""
        return self._by_factor(_times(self.whitened, self.profiled.residual))

    def whitened_fixed(self) -> list[FloatArray]:
        """Z'V0^-1 [X y], (S, p + 1, J) for each factor."""
        return self._blocks(self.whitened)

    def column_effects(self) -> tuple[FloatArray, ...]:
        """Random effects of X and of y - X beta, (S, p + 1, J) for each factor."""
        blocks = [block.copy() for block in self._blocks(self.shrunken)]
        for block, modes in zip(blocks, self.modes(), strict=True):
            block[:, -1] = modes
        return tuple(blocks)

    def conditional_blocks(self) -> list[FloatArray]:
        """Blocks of Lam M^-1 Lam' by level, (S, S, J) for each factor."""
        return conditional_blocks(self.elimination)

    def _by_factor(self, vector: RandomVectors) -> list[FloatArray]:
        return [block[:, 0] for block in self._blocks(vector)]

    def _blocks(self, vectors: RandomVectors) -> list[FloatArray]:
        """Vectors (q, r) as (S, r, J) for each factor."""
        system = self.system
        plan = system.plan
        out: list[FloatArray] = [np.zeros(0)] * len(system.sizes)
        for c, block in vectors.chain.items():
            out[c] = block
        for k, start, end in zip(
            plan.rest, plan.offsets, plan.offsets[1:], strict=False
        ):
            rows = vectors.dense[start:end]
            shape = (system.levels[k], system.sizes[k], -1)
            out[k] = rows.reshape(shape).transpose(1, 2, 0)
        return out

    def gradients(self) -> list[FloatMatrix]:
        """Gamma: derivative of the deviance in the entries of each G."""
        # d log|M| / dG is the sum of the blocks of A - A K A; the rest of the
        # deviance depends on G through [X y]'V0^-1 [X y], whose derivative is
        # -E_j'dG E_j, level by level.
        outer = self.profiled.outer()
        return [
            D - np.einsum("arj,rt,btj->ab", E, outer, E, optimize=True)
            for D, E in zip(
                shrunken_sums(self.elimination), self.whitened_fixed(), strict=True
            )
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
        if self.system.second_pass is not None:
            return self._second_pass_working_products(vectors, self.system.second_pass)
        products = random_gram_product(self.system, vectors)
        columns = absorb_columns(self.elimination, products.chain, products.dense)
        quadratic = vectors.gram(products) - reduced_products(
            self.elimination, columns, columns
        )
        cross = vectors.gram(self._fixed_columns()) - reduced_products(
            self.elimination, columns, self.columns
        )
        return quadratic, cross

    def _second_pass_working_products(
        self, vectors: RandomVectors, second_pass: SecondPass
    ) -> tuple[FloatMatrix, FloatMatrix]:
        left = _second_pass_columns(self.system, second_pass).beside(vectors)
        products = random_gram_product(self.system, vectors)
        both = side_by_side(products, self._fixed_columns())
        columns = absorb_columns(self.elimination, both.chain, both.dense)
        whitened = whiten_columns(self.elimination, columns, left).whitened
        size = vectors.dense.shape[1]
        return whitened[:size, :size], whitened[:size, size:]

    def _working_variates(self, directions: Sequence[FloatArray]) -> RandomVectors:
        """dG_a g for every direction a, as vectors of random effects (q, m)."""
        system, g = self.system, self.score()
        plan = system.plan
        chain = {c: np.einsum("mab,bj->amj", directions[c], g[c]) for c in plan.chain}
        blocks = [
            np.einsum("mab,bj->jam", directions[k], g[k]).reshape(
                -1, len(directions[k])
            )
            for k in plan.rest
        ]
        empty = np.zeros((0, len(directions[0])))
        return RandomVectors(chain, np.concatenate(blocks) if blocks else empty)


def _times(vectors: RandomVectors, coefficients: FloatArray) -> RandomVectors:
    chain = {
        c: np.einsum("srj,r->sj", block, coefficients)[:, None]
        for c, block in vectors.chain.items()
    }
    return RandomVectors(chain, (vectors.dense @ coefficients)[:, None])


def _second_pass_columns(
    system: BlockSystem, second_pass: SecondPass
) -> SecondPassColumns:
    return SecondPassColumns(
        vectors_by_factor(system, second_pass.effects),
        vectors_by_factor(system, second_pass.ZtXy),
        second_pass.XytXy,
    )


def several_factors_point(
    system: BlockSystem, lams: Sequence[FloatMatrix], *, reml: bool
) -> SeveralFactorsPoint:
    """Evaluate the profiled deviance.

    Parameters
    ----------
    system : BlockSystem
    lams : one (S, S) relative covariance factor for each grouping factor
    reml : bool
    """
    elimination = eliminate(system, lams)
    columns = absorb_columns(elimination, dict(system.ZtXy), system.ZtXy_rest)
    whitened_again = None
    if system.second_pass is not None:
        left = _second_pass_columns(system, system.second_pass)
        whitened_again = whiten_columns(elimination, columns, left)
        whitened = whitened_again.whitened
    else:
        whitened = system.XytXy - reduced_products(elimination, columns, columns)
    profiled = profile_deviance(
        (whitened + whitened.T) / 2.0,
        elimination.log_det,
        system.n_rows,
        reml=reml,
    )
    return SeveralFactorsPoint(elimination, columns, profiled, whitened_again)
