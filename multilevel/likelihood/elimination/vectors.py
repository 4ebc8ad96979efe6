"""Vectors in the space of all random effects, in elimination order.

Held by tests/likelihood/elimination/test_eliminate.py and
tests/likelihood/linear/test_huge_ratios.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.elimination.pattern import EffectPattern


@dataclass(frozen=True, slots=True)
class EffectVectors:
    """r vectors of random effects, or of their products with r columns.

    Parameters
    ----------
    chain : {c: (S, r, J)}
    dense : (m, r)
        Effect s of level j of a dense factor follows effect s - 1.
    """

    chain: Mapping[int, FloatArray]
    dense: FloatMatrix

    @classmethod
    def of(cls, pattern: EffectPattern, blocks: Sequence[FloatArray]) -> EffectVectors:
        """From one (S, r, J) for each grouping factor."""
        plan, r = pattern.plan, blocks[0].shape[1]
        dense = [blocks[k].transpose(2, 0, 1).reshape(-1, r) for k in plan.rest]
        return cls(
            {c: blocks[c] for c in plan.chain},
            np.concatenate(dense) if dense else np.empty((0, r)),
        )

    def by_factor(self, pattern: EffectPattern) -> list[FloatArray]:
        """One (S, r, J) for each grouping factor."""
        blocks = dict(self.chain)
        for k, own in pattern.dense_slices.items():
            shape = (pattern.levels[k], pattern.sizes[k], -1)
            blocks[k] = self.dense[own].reshape(shape).transpose(1, 2, 0)
        return [blocks[k] for k in range(len(pattern.sizes))]

    def minus(self, other: EffectVectors) -> EffectVectors:
        """Difference."""
        chain = {c: self.chain[c] - other.chain[c] for c in self.chain}
        return EffectVectors(chain, self.dense - other.dense)

    def beside(self, other: EffectVectors) -> EffectVectors:
        """The vectors of both, (q, r + t)."""
        chain = {
            c: np.concatenate([block, other.chain[c]], axis=1)
            for c, block in self.chain.items()
        }
        return EffectVectors(chain, np.hstack([self.dense, other.dense]))

    def combined(self, coefficients: FloatMatrix) -> EffectVectors:
        """Linear combinations: coefficients (r, t) -> (q, t)."""
        chain = {
            c: np.einsum("srj,rt->stj", block, coefficients)
            for c, block in self.chain.items()
        }
        return EffectVectors(chain, self.dense @ coefficients)

    def gram(self, other: EffectVectors) -> FloatMatrix:
        """Inner products (r, t)."""
        total = self.dense.T @ other.dense
        for c, block in self.chain.items():
            for mine, theirs in zip(block, other.chain[c], strict=True):
                total = total + mine @ theirs.T
        return np.asarray(total)
