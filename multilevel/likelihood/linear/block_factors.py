"""Several grouping factors, evaluated by eliminating one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector, IntVector
from multilevel.likelihood.elimination.block_elimination import eliminate, sum_by_parent
from multilevel.likelihood.elimination.block_solve import (
    RandomVectors,
    random_gram_product,
)
from multilevel.likelihood.elimination.block_system import BlockSystem, block_system
from multilevel.likelihood.linear.second_pass_columns import vectors_by_factor
from multilevel.likelihood.linear.several_factors import (
    SeveralFactorsPoint,
    several_factors_point,
)
from multilevel.likelihood.linear.share_left import NormalEquations, share_left_of
from multilevel.likelihood.products.cross_products import CrossProducts


@dataclass(frozen=True, slots=True)
class BlockFactors:
    """A `Prepared` for any number of random effects.

    Parameters
    ----------
    system : BlockSystem
    """

    system: BlockSystem

    has_exact_hessian = False

    @classmethod
    def from_products(cls, products: CrossProducts) -> BlockFactors:
        """Arrange the products of several grouping factors for elimination."""
        return cls(block_system(products))

    @property
    def n_dense(self) -> int:
        """Effects of the factors that cross the chain of nested ones."""
        return len(self.system.dense)

    @property
    def independent_factor(self) -> int | None:
        """The coarsest of nested factors; None if no partition of the rows is free."""
        plan = self.system.plan
        return None if plan.rest else plan.chain[-1]

    def point(self, lams: Sequence[FloatMatrix], *, reml: bool) -> SeveralFactorsPoint:
        """Profiled deviance at relative covariance factors (S, S), one a factor."""
        return several_factors_point(self.system, lams, reml=reml)

    def share_left(self, *, enough: float) -> float:
        """Residual sum of squares of all effects, fitted freely, as a share of y'Wy."""
        total = float(self.system.XytXy[-1, -1])
        return share_left_of(_equations(self.system), total, enough=enough)

    def with_response(self, products: CrossProducts) -> BlockFactors:
        """The same arrangement of the random columns for another response."""
        right = vectors_by_factor(self.system, products.ZtXy)
        return BlockFactors(
            replace(
                self.system,
                ZtXy=right.chain,
                ZtXy_rest=right.dense,
                XytXy=products.XytXy,
                second_pass=None,
            )
        )

    def level_log_dets(self, lams: Sequence[FloatMatrix]) -> FloatVector:
        """log|M| of every level of the independent factor, (J,)."""
        plan, elimination = self.system.plan, eliminate(self.system, lams)
        *finer, coarsest = plan.chain
        total = elimination.absorbed[coarsest].log_det.copy()
        # M is block triangular after elimination: determinants of finer levels multiply
        # into that of the level that they lie in.
        for c in finer:
            parent: IntVector = plan.parents[c, coarsest]
            total += sum_by_parent(elimination.absorbed[c].log_det, parent, len(total))
        return total


def _equations(system: BlockSystem) -> NormalEquations:
    n_fixed = len(system.XytXy) - 1
    columns = RandomVectors(
        {c: block[:, :-1] for c, block in system.ZtXy.items()}, system.ZtXy_rest[:, :-1]
    )
    response = RandomVectors(
        {c: block[:, -1:] for c, block in system.ZtXy.items()}, system.ZtXy_rest[:, -1:]
    )
    squares = RandomVectors(
        {c: np.einsum("aaj->aj", b)[:, None] for c, b in system.diagonal.items()},
        np.diag(system.dense)[:, None],
    )

    def times(effects: FloatVector) -> FloatVector:
        beta, random = effects[:n_fixed], _unflatten(effects[n_fixed:], response)
        fixed = system.XytXy[:-1, :-1] @ beta + columns.gram(random)[:, 0]
        spread = np.concatenate(
            [
                *(
                    np.einsum("spj,p->sj", b, beta).ravel()
                    for b in columns.chain.values()
                ),
                columns.dense @ beta,
            ]
        )
        own = _flatten(random_gram_product(system, random))
        return np.concatenate([fixed, own + spread])

    return NormalEquations(
        times,
        np.concatenate([np.diag(system.XytXy)[:-1], _flatten(squares)]),
        np.concatenate([system.XytXy[:-1, -1], _flatten(response)]),
    )


def _flatten(vectors: RandomVectors) -> FloatVector:
    return np.concatenate(
        [*(block.ravel() for block in vectors.chain.values()), vectors.dense.ravel()]
    )


def _unflatten(flat: FloatVector, like: RandomVectors) -> RandomVectors:
    chain, start = {}, 0
    for c, block in like.chain.items():
        chain[c] = flat[start : start + block.size].reshape(block.shape)
        start += block.size
    return RandomVectors(chain, flat[start:].reshape(like.dense.shape))
