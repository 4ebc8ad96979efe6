"""K = Lam M^-1 Lam' where products are stored, and A - A K A, by going back.

With Theta the K of what is left after factor c is absorbed and t running over it,

    K_ct = -K_c P_ct Theta,    K_cc = K_c + K_c P_ct Theta P_tc K_c
    [A - A K A]_cc = R_c P_cc - R_c P_ct Theta P_tc R_c',    R_c = I - P_cc K_c

and Theta is needed only where P is stored: the selected inverse.

References
----------
Takahashi, Fagan & Chen (1973); Erisman & Tinney (1975), Commun. ACM 18, 177-179.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.algebra.dense_inverse import (
    DenseInverse,
    symmetric,
)
from multilevel.likelihood.elimination.block_elimination import (
    AbsorbedFactor,
    Elimination,
    level_product,
)
from multilevel.likelihood.elimination.block_system import BlockSystem
from multilevel.likelihood.elimination.sparse_block import SparseBlock


@dataclass
class _StoredInverse:
    """K on the stored pattern; `_go_back` adds the blocks of each factor."""

    dense: DenseInverse  # (m, m)
    blocks: dict[tuple[int, int], FloatArray]  # c finer or equal b: (S_c, S_b, J_c)
    rest: dict[int, FloatArray]  # (S_c, nnz_c)


def shrunken_sums(elimination: Elimination) -> list[FloatMatrix]:
    """Sum over levels of the blocks of A - A K A, (S, S) for each grouping factor.

    The derivative of log|M| in the factor's G = lambda lambda'.
    """
    plan = elimination.system.plan
    sums: list[FloatMatrix] = [np.zeros((s, s)) for s in elimination.system.sizes]
    for k, start, end in zip(plan.rest, plan.offsets, plan.offsets[1:], strict=False):
        D = _shrunk_diagonal(elimination, k, start, end)
        sums[k] = (D + D.T) / 2.0
    inverse = _StoredInverse(elimination.K_dense, {}, {})
    for c in reversed(plan.chain):
        inner = _go_back(elimination, inverse, c)
        sums[c] = _shrunken_sum(elimination, c, inner)
    return sums


def conditional_blocks(elimination: Elimination) -> list[FloatArray]:
    """Diagonal blocks of K = Lam M^-1 Lam', (S, S, J) for each grouping factor.

    Times sigma^2 they are the conditional covariances of the random effects given
    the data and the fixed effects.
    """
    system = elimination.system
    plan = system.plan
    inverse = _StoredInverse(elimination.K_dense, {}, {})
    blocks: list[FloatArray] = [np.zeros(0)] * len(system.sizes)
    for k, start, end in zip(plan.rest, plan.offsets, plan.offsets[1:], strict=False):
        size = system.sizes[k]
        K = elimination.K_dense.full[start:end, start:end]
        tiles = K.reshape(system.levels[k], size, system.levels[k], size)
        blocks[k] = np.einsum("jajb->abj", tiles)
    for c in reversed(plan.chain):
        _go_back(elimination, inverse, c)
        blocks[c] = inverse.blocks[c, c]
    return blocks


def _shrunk_diagonal(
    elimination: Elimination, k: int, start: int, end: int
) -> FloatMatrix:
    """Sum over levels of the blocks of S - S K S of one dense factor, (S, S).

    Equal to lambda^-T (J I - sum_j (M^-1)_jj) lambda^-1, which needs no product of
    dense matrices but loses digits as lambda comes near to singular.
    """
    S, K, lam = elimination.dense, elimination.K_dense, elimination.lams[k]
    size = len(lam)
    if np.linalg.svd(lam, compute_uv=False)[-1] > 1e-3:
        inverse = np.linalg.inv(lam)
        whitened = inverse @ K.diagonal_sum(start, end, size) @ inverse.T
        n_levels = (end - start) // size
        return np.asarray(inverse.T @ (n_levels * np.eye(size) - whitened) @ inverse)
    rows = symmetric(S)[start:end]
    m = len(S)
    blocks = (rows @ K.full).reshape(-1, size, m), rows.reshape(-1, size, m)
    product = np.einsum("jai,jbi->ab", *blocks)
    unscaled = DenseInverse(S, np.ones(m))
    return np.asarray(unscaled.diagonal_sum(start, end, size) - product)


def _theta_block(
    system: BlockSystem, inverse: _StoredInverse, c: int, d: int, b: int
) -> FloatArray:
    """Theta_db at the ancestors of each level of c, (S_d, S_b, J_c)."""
    parents = system.plan.parents
    if (d, b) in inverse.blocks:
        return inverse.blocks[d, b][:, :, parents[c, d]]
    return np.swapaxes(inverse.blocks[b, d], 0, 1)[:, :, parents[c, b]]


def _shrunken_sum(elimination: Elimination, c: int, inner: FloatArray) -> FloatMatrix:
    """Sum over levels of P - P K P - R P_ct Theta P_tc R' with R = I - P K."""
    step = elimination.absorbed[c]
    PK = level_product(step.diagonal, step.K)
    left = np.eye(len(PK))[:, :, None] - PK
    D = level_product(left, step.diagonal)
    total = D.sum(axis=2) - row_gram(level_product(left, inner), left)
    return np.asarray((total + total.T) / 2.0)


def row_gram(left: FloatArray, right: FloatArray) -> FloatMatrix:
    """Sum over levels of left_j right_j': (S, r, J), (S, r, J) -> (S, S)."""
    return np.asarray(left.reshape(len(left), -1) @ right.reshape(len(right), -1).T)


def _go_back(elimination: Elimination, inverse: _StoredInverse, c: int) -> FloatArray:
    """P_ct Theta P_tc for every level, (S, S, J); adds K_c. to the inverse."""
    step, system = elimination.absorbed[c], elimination.system
    row = _ThetaRow(elimination, inverse, c)
    inner = np.zeros_like(step.K)
    theta_up = {b: row.in_factor(b) for b in step.upward}
    for b, block in theta_up.items():
        inner += np.einsum("sbj,tbj->stj", step.upward[b], block)
    if step.rest is not None:
        inner += row.rest_quadratics(step.rest)
    K = step.K
    inverse.blocks[c, c] = K + level_product(level_product(K, inner), K)
    if c != system.plan.chain[0]:
        for b, block in theta_up.items():
            inverse.blocks[c, b] = -level_product(K, block)
        if step.rest is not None:
            level = step.rest.pattern.level
            inverse.rest[c] = -np.einsum(
                "ste,te->se", K[:, :, level], row.in_rest(step.rest)
            )
    return inner


@dataclass(frozen=True)
class _ThetaRow:
    """The rows P_c. of one chain factor times Theta, block by block."""

    elimination: Elimination
    inverse: _StoredInverse
    c: int

    @property
    def _step(self) -> AbsorbedFactor:
        return self.elimination.absorbed[self.c]

    def in_factor(self, b: int) -> FloatArray:
        """Columns of a coarser chain factor, (S, S_b, J)."""
        step, system = self._step, self.elimination.system
        out = np.zeros((len(step.K), system.sizes[b], step.K.shape[2]))
        for d, P in step.upward.items():
            out += level_product(P, _theta_block(system, self.inverse, self.c, d, b))
        if step.rest is not None:
            out += step.rest.level_sums(self._rest_of(b))
        return out

    def _rest_of(self, b: int) -> FloatArray:
        """Theta_b,rest at the entries of c, (S_b, nnz_c)."""
        entry = self.elimination.system.entry_parent[self.c, b]
        return self.inverse.rest[b][:, entry]

    def in_rest(self, block: SparseBlock) -> FloatArray:
        """Dense columns at the stored entries, (S, nnz)."""
        dense = self.inverse.dense
        out = np.stack([block.sampled(s, dense) for s in block.effects])
        level = block.pattern.level
        for b, P in self._step.upward.items():
            out += np.einsum("sbe,be->se", P[:, :, level], self._rest_of(b))
        return out

    def rest_quadratics(self, block: SparseBlock) -> FloatArray:
        """P_c,rest (Theta P')_rest for every level, (S, S, J)."""
        out = block.quadratics(self.inverse.dense)
        for b, P in self._step.upward.items():
            own = block.level_sums(self._rest_of(b))
            out += np.einsum("sbj,tbj->stj", own, P)
        return out
