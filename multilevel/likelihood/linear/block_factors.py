"""Several grouping factors, evaluated by eliminating one after another.

Held by tests/likelihood/linear/test_prepared.py and
tests/likelihood/linear/test_huge_ratios.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.elimination.effect_products import sum_by_coarsest
from multilevel.likelihood.elimination.eliminate import eliminate
from multilevel.likelihood.elimination.vectors import EffectVectors
from multilevel.likelihood.linear.block_products import BlockProducts, block_products
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
    products : BlockProducts
    """

    products: BlockProducts

    has_exact_hessian = False

    @classmethod
    def from_products(cls, products: CrossProducts) -> BlockFactors:
        """Arrange the products of several grouping factors for elimination."""
        return cls(block_products(products))

    @property
    def n_dense(self) -> int:
        """Effects of the factors that cross the chain of nested ones."""
        return self.products.effects.pattern.n_dense

    @property
    def independent_factor(self) -> int | None:
        """The coarsest of nested factors; None if no partition of the rows is free."""
        plan = self.products.effects.pattern.plan
        return None if plan.rest else plan.chain[-1]

    def point(self, lams: Sequence[FloatMatrix], *, reml: bool) -> SeveralFactorsPoint:
        """Profiled deviance at relative covariance factors (S, S), one a factor."""
        return several_factors_point(self.products, lams, reml=reml)

    def share_left(self, *, enough: float) -> float:
        """Residual sum of squares of all effects, fitted freely, as a share of y'Wy."""
        total = float(self.products.XytXy[-1, -1])
        return share_left_of(_equations(self.products), total, enough=enough)

    def with_response(self, products: CrossProducts) -> BlockFactors:
        """The same arrangement of the random columns for another response."""
        again = replace(
            self.products,
            ZtXy=EffectVectors.of(self.products.effects.pattern, products.ZtXy),
            XytXy=products.XytXy,
            second_pass=None,
        )
        return BlockFactors(again)

    def level_log_dets(self, lams: Sequence[FloatMatrix]) -> FloatVector:
        """log|M| of every level of the independent factor, (J,)."""
        elimination = eliminate(self.products.effects, lams)
        # M is block triangular after elimination: determinants of finer levels multiply
        # into that of the level that they lie in.
        log_dets = {c: step.log_det for c, step in elimination.absorbed.items()}
        return sum_by_coarsest(elimination.pattern.plan, log_dets)


def _equations(products: BlockProducts) -> NormalEquations:
    A, XytXy = products.effects, products.XytXy
    n_fixed, pattern = len(XytXy) - 1, products.effects.pattern
    choice = np.eye(n_fixed + 1)
    columns = products.ZtXy.combined(choice[:, :-1])
    response = products.ZtXy.combined(choice[:, -1:])
    squares = [np.einsum("aaj->aj", block)[:, None] for block in A.diagonal]

    def times(effects: FloatVector) -> FloatVector:
        beta, random = effects[:n_fixed], _unflatten(effects[n_fixed:], response)
        fixed = XytXy[:-1, :-1] @ beta + columns.gram(random)[:, 0]
        spread = columns.combined(beta[:, None])
        return np.concatenate([fixed, _flatten(A.times(random)) + _flatten(spread)])

    return NormalEquations(
        times,
        np.concatenate(
            [np.diag(XytXy)[:-1], _flatten(EffectVectors.of(pattern, squares))]
        ),
        np.concatenate([XytXy[:-1, -1], _flatten(response)]),
    )


def _flatten(vectors: EffectVectors) -> FloatVector:
    return np.concatenate(
        [*(block.ravel() for block in vectors.chain.values()), vectors.dense.ravel()]
    )


def _unflatten(flat: FloatVector, like: EffectVectors) -> EffectVectors:
    chain, start = {}, 0
    for c, block in like.chain.items():
        chain[c] = flat[start : start + block.size].reshape(block.shape)
        start += block.size
    return EffectVectors(chain, flat[start:].reshape(like.dense.shape))
