"""Solutions of the mixed-model equations from an elimination."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.algebra.dense_inverse import symmetric_product
from multilevel.likelihood.elimination.block_elimination import (
    AbsorbedColumns,
    Elimination,
    level_product,
    sum_by_parent,
)
from multilevel.likelihood.elimination.block_system import BlockSystem


@dataclass(frozen=True, slots=True)
class RandomVectors:
    """r vectors in the space of all random effects.

    Parameters
    ----------
    chain : {c: (S, r, J)}
    dense : (m, r)
    """

    chain: dict[int, FloatArray]
    dense: FloatMatrix

    def minus(self, other: RandomVectors) -> RandomVectors:
        """Difference."""
        chain = {c: self.chain[c] - other.chain[c] for c in self.chain}
        return RandomVectors(chain, self.dense - other.dense)

    def gram(self, other: RandomVectors) -> FloatMatrix:
        """Inner products (r, t)."""
        total = self.dense.T @ other.dense
        for c, block in self.chain.items():
            for mine, theirs in zip(block, other.chain[c], strict=True):
                total = total + mine @ theirs.T
        return np.asarray(total)


def back_substitute(
    elimination: Elimination, columns: AbsorbedColumns
) -> RandomVectors:
    """Lam M^-1 Lam' Z'W applied to the columns: their shrunken random effects."""
    system = elimination.system
    dense = elimination.K_dense.times(columns.dense)
    solved: dict[int, FloatArray] = {}
    for c in reversed(system.plan.chain):
        step = elimination.absorbed[c]
        rhs = columns.chain[c]
        for b, P in step.upward.items():
            parent = system.plan.parents[c, b]
            rhs = rhs - level_product(P, solved[b][:, :, parent])
        if step.rest is not None:
            rhs = rhs - step.rest.times(dense)
        solved[c] = level_product(step.K, rhs)
    return RandomVectors(solved, dense)


def random_gram_product(system: BlockSystem, vectors: RandomVectors) -> RandomVectors:
    """A v = Z'W Z v, with the products before elimination."""
    plan = system.plan
    dense = symmetric_product(system.dense, vectors.dense)
    chain = {c: level_product(system.diagonal[c], vectors.chain[c]) for c in plan.chain}
    for (c, b), P in system.upward.items():
        parent = plan.parents[c, b]
        chain[c] += level_product(P, vectors.chain[b][:, :, parent])
        down = np.einsum("sbj,srj->brj", P, vectors.chain[c])
        chain[b] += sum_by_parent(down, parent, system.levels[b])
    for c, block in system.rest.items():
        chain[c] += block.times(vectors.dense)
        dense += block.transposed_times(vectors.chain[c])
    return RandomVectors(chain, dense)
