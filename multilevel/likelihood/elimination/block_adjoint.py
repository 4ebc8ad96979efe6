"""Derivatives of the deviance in the covariances, by going back through elimination.

Let Theta be the derivative of the deviance in the products P of the columns that are
left after factor c is absorbed.  Then with E = (I - P_cc K_c) P_ct, for each level,

    Gamma_c  = sum_j ( P_cc - P_cc K_c P_cc - E Theta E' )       (derivative in G_c)
    Theta_ct = -K_c P_ct Theta,     Theta_cc = K_c + K_c P_ct Theta P_tc K_c

and Theta is needed only where P is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, IntVector
from multilevel.likelihood.algebra.dense_inverse import (
    DenseInverse,
    symmetric,
    symmetric_product,
)
from multilevel.likelihood.elimination.block_elimination import (
    AbsorbedColumns,
    AbsorbedFactor,
    Elimination,
    level_product,
)
from multilevel.likelihood.elimination.block_system import BlockSystem
from multilevel.likelihood.elimination.sparse_block import SparseBlock


@dataclass
class _Adjoint:
    """Theta on the stored pattern; `_go_back` adds the blocks of each factor."""

    fixed: FloatMatrix  # (r, r)
    dense: DenseInverse  # (m, m), without the low-rank part V fixed V'
    low_rank: FloatMatrix  # V = K (Z'V^-1 [X y]) of the dense rest, (m, r)
    dense_fixed: FloatMatrix  # (m, r)
    blocks: dict[tuple[int, int], FloatArray]  # c finer or equal b: (S_c, S_b, J_c)
    rest: dict[int, FloatArray]  # (S_c, nnz_c)
    chain_fixed: dict[int, FloatArray]  # (S_c, r, J_c)


def covariance_gradient(
    elimination: Elimination, columns: AbsorbedColumns, outer: FloatMatrix
) -> list[FloatMatrix]:
    """Gamma for every grouping factor: derivative in its G = lambda lambda', (S, S).

    Parameters
    ----------
    elimination : Elimination
    columns : AbsorbedColumns
        Of [X y].
    outer : (p + 1, p + 1)
        Derivative of the deviance in [X y]'V0^-1 [X y].
    """
    system = elimination.system
    plan = system.plan
    gamma: list[FloatMatrix] = [np.zeros((s, s)) for s in system.sizes]
    KS = elimination.K_dense.times(columns.dense)
    adjoint = _start_adjoint(elimination, KS, outer)
    if plan.rest:
        _dense_gamma(elimination, columns, KS, outer, gamma)
    for c in reversed(plan.chain):
        inner = _go_back(elimination, columns, adjoint, c)
        gamma[c] = _chain_gamma(elimination, c, inner)
    return gamma


def _start_adjoint(
    elimination: Elimination, KS: FloatMatrix, outer: FloatMatrix
) -> _Adjoint:
    return _Adjoint(outer, elimination.K_dense, KS, -KS @ outer, {}, {}, {})


def conditional_blocks(
    elimination: Elimination, columns: AbsorbedColumns
) -> list[FloatArray]:
    """Diagonal blocks of Lam M^-1 Lam', (S, S, J) for each grouping factor.

    Times sigma^2 they are the conditional covariances of the random effects given
    the data and the fixed effects.
    """
    system = elimination.system
    plan = system.plan
    n_rhs = columns.dense.shape[1]
    none = np.zeros((n_rhs, n_rhs))
    adjoint = _start_adjoint(elimination, np.zeros_like(columns.dense), none)
    blocks: list[FloatArray] = [np.zeros(0)] * len(system.sizes)
    for k, start, end in zip(plan.rest, plan.offsets, plan.offsets[1:], strict=False):
        size = system.sizes[k]
        K = elimination.K_dense.full[start:end, start:end]
        tiles = K.reshape(system.levels[k], size, system.levels[k], size)
        blocks[k] = np.einsum("jajb->abj", tiles)
    for c in reversed(plan.chain):
        _go_back(elimination, columns, adjoint, c)
        blocks[c] = adjoint.blocks[c, c]
    return blocks


def _dense_gamma(
    elimination: Elimination,
    columns: AbsorbedColumns,
    KS: FloatMatrix,
    outer: FloatMatrix,
    gamma: list[FloatMatrix],
) -> None:
    system, S = elimination.system, elimination.dense
    plan = system.plan
    E = columns.dense - symmetric_product(S, KS)
    for k, start, end in zip(plan.rest, plan.offsets, plan.offsets[1:], strict=False):
        size = system.sizes[k]
        rows = E[start:end].reshape(-1, size, E.shape[1])
        fixed = np.einsum("jar,rt,jbt->ab", rows, outer, rows, optimize=True)
        D = _shrunk_diagonal(elimination, k, start, end)
        gamma[k] = (D + D.T) / 2.0 - fixed


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
    system: BlockSystem, adjoint: _Adjoint, c: int, d: int, b: int
) -> FloatArray:
    """Theta_db at the ancestors of each level of c, (S_d, S_b, J_c)."""
    parents = system.plan.parents
    if (d, b) in adjoint.blocks:
        return adjoint.blocks[d, b][:, :, parents[c, d]]
    return np.swapaxes(adjoint.blocks[b, d], 0, 1)[:, :, parents[c, b]]


def _chain_gamma(elimination: Elimination, c: int, inner: FloatArray) -> FloatMatrix:
    """Gamma_c = sum_j (P - P K P - C P_ct Theta P_tc C') with C = I - P K."""
    step = elimination.absorbed[c]
    PK = level_product(step.diagonal, step.K)
    shrinkage = np.eye(len(PK))[:, :, None] - PK
    D = level_product(shrinkage, step.diagonal)
    gamma = D.sum(axis=2) - row_gram(level_product(shrinkage, inner), shrinkage)
    return np.asarray((gamma + gamma.T) / 2.0)


def row_gram(left: FloatArray, right: FloatArray) -> FloatMatrix:
    """Sum over levels of left_j right_j': (S, r, J), (S, r, J) -> (S, S)."""
    return np.asarray(left.reshape(len(left), -1) @ right.reshape(len(right), -1).T)


def _go_back(
    elimination: Elimination, columns: AbsorbedColumns, adjoint: _Adjoint, c: int
) -> FloatArray:
    """P_ct Theta P_tc for every level, (S, S, J); adds Theta_c. to the adjoint."""
    step, fixed = elimination.absorbed[c], columns.chain[c]
    row = _ThetaRow(elimination, adjoint, c, fixed)
    theta_fixed = row.in_fixed()
    inner: FloatArray = np.einsum("srj,trj->stj", fixed, theta_fixed)
    theta_up = {b: row.in_factor(b) for b in step.upward}
    for b, block in theta_up.items():
        inner += np.einsum("sbj,tbj->stj", step.upward[b], block)
    if step.rest is not None:
        inner += row.rest_quadratics(step.rest)
    K = step.K
    adjoint.blocks[c, c] = K + level_product(level_product(K, inner), K)
    if c != elimination.system.plan.chain[0]:
        adjoint.chain_fixed[c] = -level_product(K, theta_fixed)
        for b, block in theta_up.items():
            adjoint.blocks[c, b] = -level_product(K, block)
        if step.rest is not None:
            entries = row.in_rest(step.rest)
            level = step.rest.pattern.level
            adjoint.rest[c] = -np.einsum("ste,te->se", K[:, :, level], entries)
    return inner


@dataclass(frozen=True)
class _ThetaRow:
    """The rows P_c. of one chain factor times Theta, block by block."""

    elimination: Elimination
    adjoint: _Adjoint
    c: int
    fixed: FloatArray  # (S, r, J)

    @property
    def _step(self) -> AbsorbedFactor:
        return self.elimination.absorbed[self.c]

    def _parent(self, b: int) -> IntVector:
        return self.elimination.system.plan.parents[self.c, b]

    def in_fixed(self) -> FloatArray:
        """Columns of [X y], (S, r, J)."""
        step, adjoint = self._step, self.adjoint
        out = np.einsum("srj,rt->stj", self.fixed, adjoint.fixed)
        for b, P in step.upward.items():
            out += level_product(P, adjoint.chain_fixed[b][:, :, self._parent(b)])
        if step.rest is not None:
            out += step.rest.times(adjoint.dense_fixed)
        return np.asarray(out)

    def in_factor(self, b: int) -> FloatArray:
        """Columns of a coarser chain factor, (S, S_b, J)."""
        step, adjoint, system = self._step, self.adjoint, self.elimination.system
        theta_fixed = adjoint.chain_fixed[b][:, :, self._parent(b)]
        out = level_product(self.fixed, np.swapaxes(theta_fixed, 0, 1))
        for d, P in step.upward.items():
            out = out + level_product(P, _theta_block(system, adjoint, self.c, d, b))
        if step.rest is not None:
            out = out + step.rest.level_sums(self._rest_of(b))
        return out

    def _rest_of(self, b: int) -> FloatArray:
        """Theta_b,rest at the entries of c, (S_b, nnz_c)."""
        entry = self.elimination.system.entry_parent[self.c, b]
        return self.adjoint.rest[b][:, entry]

    def _rest_without_dense(self, block: SparseBlock) -> FloatArray:
        """Dense columns at the stored entries, less the dense-dense part."""
        pattern, step = block.pattern, self._step
        out = np.einsum(
            "sre,er->se",
            self.fixed[:, :, pattern.level],
            self.adjoint.dense_fixed[pattern.column],
        )
        for b, P in step.upward.items():
            out += np.einsum("sbe,be->se", P[:, :, pattern.level], self._rest_of(b))
        return np.asarray(out)

    def in_rest(self, block: SparseBlock) -> FloatArray:
        """Dense columns at the stored entries, (S, nnz)."""
        pattern, adjoint = block.pattern, self.adjoint
        dense = np.stack([block.sampled(s, adjoint.dense) for s in block.effects])
        low = np.einsum("srj,rt->stj", block.times(adjoint.low_rank), adjoint.fixed)
        dense += np.einsum(
            "sre,er->se", low[:, :, pattern.level], adjoint.low_rank[pattern.column]
        )
        return self._rest_without_dense(block) + dense

    def rest_quadratics(self, block: SparseBlock) -> FloatArray:
        """P_c,rest (Theta P')_rest for every level, (S, S, J)."""
        adjoint = self.adjoint
        low = block.times(adjoint.low_rank)
        out: FloatArray = np.einsum(
            "srj,rt,utj->suj", low, adjoint.fixed, low, optimize=True
        )
        # fixed Theta_fixed,rest P_rest needs no entries: (P_rest Theta_rest,fixed)'.
        spread = block.times(adjoint.dense_fixed)
        out += np.einsum("srj,trj->stj", spread, self.fixed)
        for b, P in self._step.upward.items():
            own = block.level_sums(self._rest_of(b))
            out += np.einsum("sbj,tbj->stj", own, P)
        return out + block.quadratics(adjoint.dense)
