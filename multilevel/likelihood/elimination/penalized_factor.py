"""Elimination of the random effects with given weights: log|M| and K = Lam M^-1 Lam'.

M = Lam'A Lam + I with A = Z'WZ. Absorbing chain factor c replaces every product P of
what is left by P - P_tc K_c P_ct with K_c = lambda_c (lambda_c'P_cc lambda_c + I)^-1
lambda_c'; the dense block comes last. lambda may be singular or zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg as sla
import scipy.sparse as sp

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.algebra.covariance_inverse import covariance_inverse
from multilevel.likelihood.algebra.level_blocks import level_gram
from multilevel.likelihood.elimination.penalized_layout import PenalizedLayout
from multilevel.likelihood.elimination.penalized_products import (
    WeightedProducts,
    block_times,
    from_dense,
    sum_by_parent,
    to_dense,
    transposed_block_times,
)

NOT_CONVEX = "the penalized Hessian is not positive definite"


@dataclass(frozen=True, slots=True)
class AbsorbedLevels:
    """One chain factor at the moment it is absorbed.

    Parameters
    ----------
    diagonal, K : (S, S, J)
        P_cc and K_c.
    upward : {b: (S, S_b, J)}
        P_cb for the coarser chain factors.
    cross : (S, nnz) or None
        Products with the dense columns.
    log_det : (J,)
    """

    diagonal: FloatArray
    K: FloatArray
    upward: Mapping[int, FloatArray]
    cross: FloatMatrix | None
    log_det: FloatVector


@dataclass(frozen=True, slots=True)
class PenalizedFactor:
    """All random effects eliminated, at given weights and covariance factors.

    Parameters
    ----------
    products : WeightedProducts
    lams : one (S, S) for each grouping factor
    absorbed : {c: AbsorbedLevels}
    dense, K_dense : (m, m)
        Products of the dense columns after the chain, and their K.
    log_det : float
        log|M|.
    """

    products: WeightedProducts
    lams: tuple[FloatMatrix, ...]
    absorbed: Mapping[int, AbsorbedLevels]
    dense: FloatMatrix
    K_dense: FloatMatrix
    log_det: float

    @property
    def layout(self) -> PenalizedLayout:
        """The order of elimination."""
        return self.products.layout

    def solve(self, rhs: Sequence[FloatMatrix]) -> list[FloatMatrix]:
        """K rhs, (S, J) for each factor."""
        layout = self.layout
        plan = layout.plan
        current = list(rhs)
        dense_rhs = to_dense(layout, rhs) if plan.rest else None
        for position, c in enumerate(plan.chain):
            step = self.absorbed[c]
            if len(plan.chain) == 1 and step.cross is None:
                break
            own = block_times(step.K, current[c])
            for b in plan.chain[position + 1 :]:
                down = transposed_block_times(step.upward[b], own)
                current[b] = current[b] - sum_by_parent(down, layout, c, b)
            if step.cross is not None and dense_rhs is not None:
                for entries, by_level in zip(step.cross, own, strict=True):
                    dense_rhs -= layout.cross[c].matrix(entries).T @ by_level
        return self._back(current, dense_rhs)

    def _back(
        self, current: list[FloatMatrix], dense_rhs: FloatVector | None
    ) -> list[FloatMatrix]:
        layout = self.layout
        solved = list(current)
        none = np.zeros(0)
        dense = none if dense_rhs is None else self.K_dense @ dense_rhs
        for c in reversed(layout.plan.chain):
            step = self.absorbed[c]
            rhs = current[c]
            for b, blocks in step.upward.items():
                parent = layout.plan.parents[c, b]
                rhs = rhs - block_times(blocks, solved[b][:, parent])
            if step.cross is not None:
                cross = layout.cross[c]
                taken = [cross.matrix(entries) @ dense for entries in step.cross]
                rhs = rhs - np.asarray(taken)
            solved[c] = block_times(step.K, rhs)
        for k, block in from_dense(layout, dense).items():
            solved[k] = block
        return solved


def _absorb(diagonal: FloatArray, lam: FloatMatrix) -> tuple[FloatVector, FloatArray]:
    """log determinants (J,) and K (S, S, J)."""
    size = len(lam)
    if size == 1:
        variance = lam[0, 0] ** 2
        grown = variance * diagonal[0, 0]
        if not (grown > -1.0).all():
            raise np.linalg.LinAlgError(NOT_CONVEX)
        return np.log1p(grown), np.asarray(variance / (1.0 + grown))[None, None]
    half = np.einsum("ba,bcj->acj", lam, diagonal)
    N = np.einsum("acj,cd->adj", half, lam)
    # L^-1 lambda' below, by the same elimination.
    root = np.repeat(lam.T[:, :, None], diagonal.shape[2], axis=2)
    product = np.ones(diagonal.shape[2])
    for k in range(size):
        pivot = N[k, k] + 1.0
        if not (pivot > 0.0).all():
            raise np.linalg.LinAlgError(NOT_CONVEX)
        product *= pivot
        for i in range(k + 1, size):
            ratio = N[k, i] / pivot
            N[i, i:] -= ratio * N[k, i:]
            root[i] -= ratio * root[k]
        root[k] /= np.sqrt(pivot)
    return np.log(product), level_gram(root, root)


def penalized_factor(
    products: WeightedProducts, lams: Sequence[FloatMatrix]
) -> PenalizedFactor:
    """Eliminate every random effect.

    Parameters
    ----------
    products : WeightedProducts
    lams : one (S, S) relative covariance factor for each grouping factor

    Raises
    ------
    numpy.linalg.LinAlgError
        If M is not positive definite, as it may be for weights below zero.
    """
    layout = products.layout
    plan = layout.plan
    diagonal = {c: products.diagonal[c] for c in plan.chain}
    upward, cross = dict(products.upward), dict(products.cross)
    dense = products.dense.copy() if plan.rest else products.dense
    absorbed: dict[int, AbsorbedLevels] = {}
    log_det = 0.0
    for position, c in enumerate(plan.chain):
        parts, K = _absorb(diagonal[c], lams[c])
        log_det += float(parts.sum())
        later = plan.chain[position + 1 :]
        own = {b: upward[c, b] for b in later}
        absorbed[c] = AbsorbedLevels(diagonal[c], K, own, cross.get(c), parts)
        for b in later:
            KP = np.einsum("stj,tbj->sbj", K, own[b])
            diagonal[b] = diagonal[b] - sum_by_parent(
                level_gram(own[b], KP), layout, c, b
            )
            for d in later[later.index(b) + 1 :]:
                upward[b, d] = upward[b, d] - sum_by_parent(
                    level_gram(KP, own[d]), layout, c, b
                )
            if plan.rest:
                cross[b] = cross[b] - _entry_sums(layout, c, b, KP, cross[c])
        if plan.rest:
            _update_dense(layout, c, K, cross[c], dense)
    K_dense = dense
    if plan.rest:
        dense_log_det, K_dense = _absorb_dense(layout, dense, lams)
        log_det += dense_log_det
    return PenalizedFactor(products, tuple(lams), absorbed, dense, K_dense, log_det)


def _entry_sums(
    layout: PenalizedLayout, c: int, b: int, KP: FloatArray, values: FloatMatrix
) -> FloatMatrix:
    """P_bc K_c P_c,rest on the entries of b, (S_b, nnz_b)."""
    cross, parent = layout.cross[c], layout.entry_parent[c, b]
    n_entries = layout.cross[b].n_entries
    sums = np.zeros((KP.shape[1], n_entries))
    for t in range(KP.shape[1]):
        terms = sum(cross.by_entry(KP[s, t]) * values[s] for s in range(len(values)))
        sums[t] = np.bincount(parent, weights=terms, minlength=n_entries)
    return sums


def times_levels(
    layout: PenalizedLayout, c: int, blocks: FloatArray, values: FloatMatrix
) -> FloatMatrix:
    """B_j times the entries of every level: (a, S, J), (S, nnz) -> (a, nnz)."""
    cross = layout.cross[c]
    out = np.zeros((len(blocks), values.shape[1]))
    for a, row in enumerate(blocks):
        for block, entries in zip(row, values, strict=True):
            out[a] += cross.by_entry(block) * entries
    return out


def _update_dense(
    layout: PenalizedLayout,
    c: int,
    K: FloatArray,
    values: FloatMatrix,
    dense: FloatMatrix,
) -> None:
    """dense -= P_rest,c K_c P_c,rest."""
    cross = layout.cross[c]
    weighted = times_levels(layout, c, K, values)
    for entries, scaled in zip(values, weighted, strict=True):
        left, right = cross.matrix(entries), cross.matrix(scaled)
        if cross.level is None:
            dense -= np.asarray(left.T @ right)
        else:
            part = sp.coo_array(left.T @ right)
            dense[part.row, part.col] -= part.data


def _scale_dense(
    layout: PenalizedLayout, matrix: FloatMatrix, lams: Sequence[FloatMatrix]
) -> FloatMatrix:
    """blockdiag(I x lambda)' applied to the rows (m, c)."""
    scaled = np.empty_like(matrix)
    plan = layout.plan
    for k, start, end in zip(plan.rest, plan.offsets, plan.offsets[1:], strict=False):
        rows = matrix[start:end]
        if layout.sizes[k] == 1:
            np.multiply(rows, lams[k][0, 0], out=scaled[start:end])
        else:
            blocks = rows.reshape(layout.levels[k], layout.sizes[k], -1)
            product = np.einsum("ab,jac->jbc", lams[k], blocks)
            scaled[start:end] = product.reshape(rows.shape)
    return scaled


def _absorb_dense(
    layout: PenalizedLayout, dense: FloatMatrix, lams: Sequence[FloatMatrix]
) -> tuple[float, FloatMatrix]:
    """log determinant and K (m, m) of the dense block."""
    half = _scale_dense(layout, dense, lams)
    M = _scale_dense(layout, np.ascontiguousarray(half.T), lams)
    M.reshape(-1)[:: len(M) + 1] += 1.0
    factor, info = sla.lapack.dpotrf(M.T, lower=1, clean=1, overwrite_a=1)
    if info:
        raise np.linalg.LinAlgError(NOT_CONVEX)
    log_det = 2.0 * float(np.log(np.diag(factor)).sum())
    inverse, _ = sla.lapack.dpotri(factor, lower=1, overwrite_c=1)
    inverse = inverse + np.tril(inverse, -1).T
    transposed = [lam.T for lam in lams]
    half = _scale_dense(layout, inverse, transposed)
    return log_det, _scale_dense(layout, np.ascontiguousarray(half.T), transposed)


def left_over(diagonal: FloatArray, K: FloatArray, lam: FloatMatrix) -> FloatArray:
    """I - P K of every level, (S, S, J), as G^-1 K, which keeps digits, if it can."""
    if len(lam) == 1:
        return np.asarray(1.0 / (1.0 + lam[0, 0] ** 2 * diagonal))
    G_inverse = covariance_inverse(lam)
    if G_inverse is not None:
        return np.asarray(np.einsum("st,tuj->suj", G_inverse, K))
    own = np.eye(len(lam))[:, :, None]
    return np.asarray(own - np.einsum("stj,tuj->suj", diagonal, K))


def shrunken_gram(diagonal: FloatArray, K: FloatArray, lam: FloatMatrix) -> FloatArray:
    """P - P K P of every level, (S, S, J)."""
    rest = left_over(diagonal, K, lam)
    if len(lam) == 1:
        return rest * diagonal
    product = np.einsum("stj,tuj->suj", rest, diagonal)
    return np.asarray((product + product.swapaxes(0, 1)) / 2.0)
