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
import scipy.sparse as sp

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.block_elimination import (
    AbsorbedColumns,
    Elimination,
    level_product,
)
from multilevel.likelihood.block_system import BlockSystem, SparseRows
from multilevel.likelihood.dense_inverse import (
    DenseInverse,
    symmetric,
    symmetric_product,
)


@dataclass
class _Adjoint:
    """Theta on the stored pattern; `_go_back` adds the blocks of each factor."""

    fixed: FloatMatrix  # (r, r)
    dense: DenseInverse  # (m, m), without the low-rank part V fixed V'
    low_rank: FloatMatrix  # V = K (Z'V^-1 [X y]) of the dense rest, (m, r)
    dense_fixed: FloatMatrix  # (m, r)
    blocks: dict[tuple[int, int], FloatArray]  # c finer or equal b: (S_c, S_b, J_c)
    sparse: dict[int, FloatArray]  # (S_c, nnz_c)
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
        gamma[c] = _chain_gamma(elimination, columns, adjoint, c)
        if c != plan.chain[0]:
            _go_back(elimination, columns, adjoint, c)
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


def _times_theta(
    system: BlockSystem,
    adjoint: _Adjoint,
    c: int,
    upward: dict[int, FloatArray],
    sparse: FloatArray | None,
    fixed: FloatArray,
    *,
    with_dense: bool,
) -> tuple[dict[int, FloatArray], FloatArray | None, FloatArray]:
    """Rows (of factor c's levels) times Theta, on the pattern of factor c.

    `with_dense` includes the dense-by-dense part in the sparse result.
    """
    plan = system.plan
    chain = [b for b in plan.chain if (c, b) in plan.parents]
    level = system.sparse[c].level if sparse is not None else None
    out_fixed = np.einsum("srj,rt->stj", fixed, adjoint.fixed)
    out_up: dict[int, FloatArray] = {}
    out_sparse = np.zeros_like(sparse) if sparse is not None else None
    if sparse is not None and level is not None and out_sparse is not None:
        pattern = system.sparse[c]
        for s in range(len(sparse)):
            matrix = pattern.matrix(sparse[s])
            out_fixed[s] += (matrix @ adjoint.dense_fixed).T
            if with_dense:
                out_sparse[s] += _sampled(sparse[s], adjoint.dense.full, pattern)
                low_rank = matrix @ adjoint.low_rank @ adjoint.fixed
                out_sparse[s] += np.einsum(
                    "er,er->e", low_rank[level], adjoint.low_rank[pattern.column]
                )
            out_sparse[s] += np.einsum(
                "re,er->e", fixed[s][:, level], adjoint.dense_fixed[pattern.column]
            )
    for b in chain:
        parent = plan.parents[c, b]
        theta_fixed = adjoint.chain_fixed[b][:, :, parent]
        out_fixed += level_product(upward[b], theta_fixed)
        result = level_product(fixed, np.swapaxes(theta_fixed, 0, 1))
        for d in chain:
            theta = _theta_block(system, adjoint, c, d, b)
            result = result + level_product(upward[d], theta)
        if sparse is not None and level is not None and out_sparse is not None:
            theta_sparse = adjoint.sparse[b][:, system.entry_parent[c, b]]
            out_sparse += np.einsum("sbe,be->se", upward[b][:, :, level], theta_sparse)
            for s in range(len(sparse)):
                for t in range(len(theta_sparse)):
                    result[s, t] += np.bincount(
                        level,
                        weights=sparse[s] * theta_sparse[t],
                        minlength=fixed.shape[2],
                    )
        out_up[b] = result
    return out_up, out_sparse, out_fixed


def _sampled(values: FloatArray, dense: FloatMatrix, pattern: SparseRows) -> FloatArray:
    """Entries of (sparse rows) @ dense on the pattern of the rows, (nnz,)."""
    matrix = pattern.matrix(values)
    out = np.empty(len(values))
    n_levels = len(pattern.starts) - 1
    step = max(1, 4_000_000 // max(1, pattern.n_columns))
    for first in range(0, n_levels, step):
        last = min(first + step, n_levels)
        entries = slice(pattern.starts[first], pattern.starts[last])
        product = matrix[first:last] @ dense
        level = pattern.level[entries] - first
        out[entries] = product[level, pattern.column[entries]]
    return out


def _theta_block(
    system: BlockSystem, adjoint: _Adjoint, c: int, d: int, b: int
) -> FloatArray:
    """Theta_db at the ancestors of each level of c, (S_d, S_b, J_c)."""
    parents = system.plan.parents
    if (d, b) in adjoint.blocks:
        return adjoint.blocks[d, b][:, :, parents[c, d]]
    return np.swapaxes(adjoint.blocks[b, d], 0, 1)[:, :, parents[c, b]]


def _chain_gamma(
    elimination: Elimination, columns: AbsorbedColumns, adjoint: _Adjoint, c: int
) -> FloatMatrix:
    system, step = elimination.system, elimination.absorbed[c]
    PK = level_product(step.diagonal, step.K)
    D = step.diagonal - level_product(PK, step.diagonal)

    def shrink(P: FloatArray) -> FloatArray:
        return P - level_product(PK, P)

    upward = {b: shrink(P) for b, P in step.upward.items()}
    fixed = shrink(columns.chain[c])
    sparse = None
    if step.sparse is not None:
        level = system.sparse[c].level
        sparse = step.sparse - np.einsum("ste,te->se", PK[:, :, level], step.sparse)
    theta_up, theta_sparse, theta_fixed = _times_theta(
        system, adjoint, c, upward, sparse, fixed, with_dense=False
    )
    gamma = D.sum(axis=2) - _row_gram(theta_fixed, fixed)
    for b in upward:
        gamma -= _row_gram(theta_up[b], upward[b])
    if sparse is not None and theta_sparse is not None:
        gamma -= theta_sparse @ sparse.T
        shrinkage = np.eye(len(PK))[:, :, None] - PK
        gamma -= _dense_quadratic(system, adjoint, c, sparse, shrinkage)
    return np.asarray((gamma + gamma.T) / 2.0)


def _row_gram(left: FloatArray, right: FloatArray) -> FloatMatrix:
    """Sum over levels of left_j right_j': (S, r, J), (S, r, J) -> (S, S)."""
    return np.asarray(left.reshape(len(left), -1) @ right.reshape(len(right), -1).T)


def _dense_quadratic(
    system: BlockSystem,
    adjoint: _Adjoint,
    c: int,
    sparse: FloatArray,
    shrinkage: FloatArray,
) -> FloatMatrix:
    """Sum over levels of E Theta E' over the dense columns, (S, S).

    E = C P with C = `shrinkage` (S, S, J) and P the products before elimination.
    """
    matrices = [system.sparse[c].matrix(values) for values in sparse]
    low = np.stack([matrix @ adjoint.low_rank for matrix in matrices])
    out = np.einsum("sjr,rt,ujt->su", low, adjoint.fixed, low, optimize=True)
    if system.pair_sums is not None and c == system.plan.chain[0]:
        inner = system.pair_sums.quadratics(adjoint.dense)
        carried = level_product(shrinkage, inner)
        return np.asarray(out + _row_gram(carried, shrinkage))
    for s in range(len(sparse)):
        for t in range(s, len(sparse)):
            value = _sparse_quadratic(
                system.sparse[c], matrices[s], matrices[t], adjoint.dense.full
            )
            out[s, t] += value
            if s != t:
                out[t, s] += value
    return np.asarray(out)


def _sparse_quadratic(
    pattern: SparseRows, left: sp.csr_array, right: sp.csr_array, K: FloatMatrix
) -> float:
    """tr(left K right')."""
    if pattern.is_crowded():
        return float(np.vdot(left.toarray() @ K, right.toarray()))
    product = (left.T @ right).tocoo()
    return float(product.data @ K[product.coords])


def _go_back(
    elimination: Elimination, columns: AbsorbedColumns, adjoint: _Adjoint, c: int
) -> None:
    """Add Theta_c. to the adjoint, for the factors finer than c."""
    system, step = elimination.system, elimination.absorbed[c]
    up, sparse, fixed = _times_theta(
        system,
        adjoint,
        c,
        step.upward,
        step.sparse,
        columns.chain[c],
        with_dense=True,
    )
    K = step.K
    adjoint.chain_fixed[c] = -level_product(K, fixed)
    inner = np.einsum("srj,trj->stj", columns.chain[c], fixed)
    for b, block in up.items():
        adjoint.blocks[c, b] = -level_product(K, block)
        inner = inner + np.einsum("sbj,tbj->stj", step.upward[b], block)
    if sparse is not None and step.sparse is not None:
        level = system.sparse[c].level
        adjoint.sparse[c] = -np.einsum("ste,te->se", K[:, :, level], sparse)
        for s in range(len(sparse)):
            for t in range(len(sparse)):
                inner[s, t] += np.bincount(
                    level,
                    weights=step.sparse[s] * sparse[t],
                    minlength=K.shape[2],
                )
    adjoint.blocks[c, c] = K + level_product(level_product(K, inner), K)
