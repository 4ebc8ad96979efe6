"""Elimination of grouping factors one after another.

Absorbing factor c replaces the weights W by V^-1 with V = V_before + Z_c G_c Z_c':
every product P of the remaining columns becomes P - P_tc K_c P_ct, where
K_c = lambda_c (lambda_c' P_cc lambda_c + I)^-1 lambda_c', and log|M| grows by the log
determinant of the bracket.  lambda may be singular or zero.

References
----------
Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 3 (the
factorization); Harville (1977), JASA 72, section 5 (absorption).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.likelihood.algebra.dense_inverse import (
    DenseInverse,
    invert_dense,
    symmetric,
)
from multilevel.likelihood.algebra.level_blocks import absorb_levels, level_gram
from multilevel.likelihood.elimination.block_system import BlockSystem
from multilevel.likelihood.elimination.sparse_block import SparseBlock


@dataclass(frozen=True, slots=True)
class AbsorbedFactor:
    """Products of one chain factor at the moment it is absorbed.

    Parameters
    ----------
    diagonal : (S, S, J)
        P_cc.
    K : (S, S, J)
    upward : {b: (S, S_b, J)}
        P_cb for the coarser chain factors.
    rest : SparseBlock or None
        P_c,rest.
    log_det : (J,)
        log determinant of each level's bracket.
    """

    diagonal: FloatArray
    K: FloatArray
    upward: dict[int, FloatArray]
    rest: SparseBlock | None
    log_det: FloatVector


@dataclass(frozen=True, slots=True)
class Elimination:
    """All factors absorbed, at one set of relative covariance factors.

    Parameters
    ----------
    system : BlockSystem
    absorbed : {c: AbsorbedFactor}
    dense : (m, m)
        Products of the rest after the chain; Fortran order, lower triangle only.
    K_dense : DenseInverse
        K of the rest, (m, m); empty if there is none.
    log_det : float
        log|M|.
    lams : one (S, S) relative covariance factor for each grouping factor
    """

    system: BlockSystem
    absorbed: dict[int, AbsorbedFactor]
    dense: FloatMatrix
    K_dense: DenseInverse
    log_det: float
    lams: tuple[FloatMatrix, ...]


def sum_by_parent(values: FloatArray, parent: IntVector, n_parents: int) -> FloatArray:
    """Sum the last axis (J_child) into the parents' levels."""
    flat = values.reshape(-1, values.shape[-1])
    sums = np.empty((len(flat), n_parents))
    for row, out in zip(flat, sums, strict=True):
        out[:] = np.bincount(parent, weights=row, minlength=n_parents)
    return sums.reshape(*values.shape[:-1], n_parents)


def level_product(left: FloatArray, right: FloatArray) -> FloatArray:
    """left_j right_j for every level: (a, s, J), (s, b, J) -> (a, b, J)."""
    if left.shape[1] == 1:
        return np.asarray(left[:, 0][:, None] * right[0][None, :])
    return np.asarray(np.einsum("asj,sbj->abj", left, right))


def scale_dense(
    system: BlockSystem, matrix: FloatMatrix, lams: Sequence[FloatMatrix]
) -> FloatMatrix:
    """blockdiag(I x lambda)' applied to the rows (m, c) of the dense rest."""
    scaled = np.empty_like(matrix)
    plan = system.plan
    for k, start, end in zip(plan.rest, plan.offsets, plan.offsets[1:], strict=False):
        rows = matrix[start:end]
        if system.sizes[k] == 1:
            np.multiply(rows, lams[k][0, 0], out=scaled[start:end])
        else:
            blocks = rows.reshape(system.levels[k], system.sizes[k], -1)
            scaled[start:end] = np.einsum("ab,jac->jbc", lams[k], blocks).reshape(
                rows.shape
            )
    return scaled


def _absorb_dense(
    system: BlockSystem, dense: FloatMatrix, lams: Sequence[FloatMatrix]
) -> tuple[float, DenseInverse]:
    """log determinant and K (m, m) of the dense rest."""
    plan = system.plan
    if any(system.sizes[k] > 1 for k in plan.rest):
        return _absorb_dense_blocks(system, dense, lams)
    scale = np.empty(len(dense))
    M = np.empty_like(dense, order="F")
    bounds = list(zip(plan.rest, plan.offsets, plan.offsets[1:], strict=False))
    for k, start, end in bounds:
        scale[start:end] = lams[k][0, 0]
        for other, first, last in bounds:
            if first <= start:
                factor = lams[k][0, 0] * lams[other][0, 0]
                block = (slice(start, end), slice(first, last))
                np.multiply(dense[block], factor, out=M[block])
    M.T.reshape(-1)[:: len(M) + 1] += 1.0
    log_det, inverse = invert_dense(M)
    return log_det, DenseInverse(inverse, scale)


def _absorb_dense_blocks(
    system: BlockSystem, dense: FloatMatrix, lams: Sequence[FloatMatrix]
) -> tuple[float, DenseInverse]:
    """The same with several effects a level, where Lam is not diagonal."""
    full = symmetric(dense)
    half = scale_dense(system, full, lams)
    M = scale_dense(system, np.ascontiguousarray(half.T), lams)
    M.flat[:: len(M) + 1] += 1.0
    log_det, inverse = invert_dense(M.T)
    transposed = [lam.T for lam in lams]
    half = scale_dense(system, symmetric(inverse), transposed)
    K = scale_dense(system, np.ascontiguousarray(half.T), transposed)
    return log_det, DenseInverse(np.asfortranarray(K), np.ones(len(K)))


def eliminate(system: BlockSystem, lams: Sequence[FloatMatrix]) -> Elimination:
    """Absorb every grouping factor.

    Parameters
    ----------
    system : BlockSystem
    lams : one (S, S) relative covariance factor for each grouping factor
    """
    plan = system.plan
    diagonal, upward = dict(system.diagonal), dict(system.upward)
    rest = dict(system.rest)
    dense = system.dense.copy(order="K")
    absorbed, log_det = {}, 0.0
    for position, c in enumerate(plan.chain):
        part, K = absorb_levels(diagonal[c], lams[c])
        log_det += float(part.sum())
        later = plan.chain[position + 1 :]
        own = {b: upward[c, b] for b in later}
        absorbed[c] = AbsorbedFactor(diagonal[c], K, own, rest.get(c), part)
        for b in later:
            KP = level_product(K, own[b])
            parent = plan.parents[c, b]
            diagonal[b] = diagonal[b] - sum_by_parent(
                level_gram(own[b], KP), parent, system.levels[b]
            )
            for d in later[later.index(b) + 1 :]:
                upward[b, d] = upward[b, d] - sum_by_parent(
                    level_gram(KP, own[d]), parent, system.levels[b]
                )
            if plan.rest:
                rest[b] = SparseBlock(
                    rest[b].pattern,
                    rest[b].values - _entry_sums(system, c, b, KP, rest[c]),
                )
        if plan.rest:
            rest[c].subtract_from(dense, K)
    K_dense = DenseInverse(dense, np.zeros(0))
    if plan.rest:
        dense_log_det, K_dense = _absorb_dense(system, dense, lams)
        log_det += dense_log_det
    return Elimination(system, absorbed, dense, K_dense, log_det, tuple(lams))


def _entry_sums(
    system: BlockSystem, c: int, b: int, KP: FloatArray, block: SparseBlock
) -> FloatArray:
    """P_bc K_c P_c,rest on the sparse entries of b, (S_b, nnz_b)."""
    terms = np.einsum("sbe,se->be", KP[:, :, block.pattern.level], block.values)
    n_entries = len(system.rest[b].pattern.level)
    return sum_by_parent(terms, system.entry_parent[c, b], n_entries)


@dataclass(frozen=True, slots=True)
class AbsorbedColumns:
    """Products of some further columns with every factor at its absorption.

    Parameters
    ----------
    chain : {c: (S, r, J)}
    dense : (m, r)
    """

    chain: dict[int, FloatArray]
    dense: FloatMatrix


def absorb_columns(
    elimination: Elimination, chain: dict[int, FloatArray], dense: FloatMatrix
) -> AbsorbedColumns:
    """Carry the products of r further columns with Z through the elimination.

    Parameters
    ----------
    chain : {c: (S, r, J)}
        Products of chain factor c with the columns, before any elimination.
    dense : (m, r)
    """
    system = elimination.system
    plan = system.plan
    current = dict(chain)
    for position, c in enumerate(plan.chain):
        step = elimination.absorbed[c]
        KP = level_product(step.K, current[c])
        for b in plan.chain[position + 1 :]:
            current[b] = current[b] - sum_by_parent(
                level_gram(step.upward[b], KP), plan.parents[c, b], system.levels[b]
            )
        if step.rest is not None:
            dense = dense - step.rest.transposed_times(KP)
    return AbsorbedColumns(current, dense)


def reduced_products(
    elimination: Elimination, left: AbsorbedColumns, right: AbsorbedColumns
) -> FloatMatrix:
    """What elimination takes off the products of two sets of columns, (r, t)."""
    total = left.dense.T @ elimination.K_dense.times(right.dense)
    for c, step in elimination.absorbed.items():
        KP = level_product(step.K, right.chain[c])
        for s in range(len(KP)):
            total = total + left.chain[c][s] @ KP[s].T
    return np.asarray(total)
