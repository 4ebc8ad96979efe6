"""K = Lam M^-1 Lam' where rows meet, and A - A K A by level, by going back.

With Theta the K of what is left after factor c is absorbed and t running over it,

    K_ct = -K_c P_ct Theta,    K_cc = K_c + K_c X_c K_c,    X_c = P_ct Theta P_tc
    [A - A K A]_cc = R_c P_cc - R_c X_c R_c',    R_c = I - P_cc K_c

and Theta is needed only where P is stored: the selected inverse.  Where the rows know
much more than the prior, A - A K A is the small rest of huge numbers; by R_c = G^-1 K_c
and, for dense columns, A - A K A = A K G^-1, nothing is taken off that nearly cancels.

References
----------
Takahashi, Fagan & Chen (1973); Erisman & Tinney (1975), Commun. ACM 18, 177-179.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.algebra.covariance_inverse import covariance_inverse
from multilevel.likelihood.elimination.penalized_factor import (
    PenalizedFactor,
    left_over,
    shrunken_gram,
    times_levels,
)
from multilevel.likelihood.elimination.penalized_layout import (
    CrossLayout,
    PenalizedLayout,
)


@dataclass(frozen=True, slots=True)
class PatternInverse:
    """K where rows meet.

    Parameters
    ----------
    layout : PenalizedLayout
    blocks : one (S, S, J) for each factor
        Diagonal blocks of K: conditional covariances of the effects of each level.
    upward : {(c, b): (S_c, S_b, J_c)}
    cross : {c: (S_c, nnz_c)}
    dense : (m, m)
    shrunken : one (S, S, J) for each factor
        Diagonal blocks of A - A K A.
    """

    layout: PenalizedLayout
    blocks: list[FloatArray]
    upward: dict[tuple[int, int], FloatArray]
    cross: dict[int, FloatMatrix]
    dense: FloatMatrix
    shrunken: list[FloatArray]

    def leverages(self) -> FloatVector:
        """s_i = z_i'K z_i of every row, (n,)."""
        layout = self.layout
        factors = layout.rows.factors
        total = factors[0].quadratic(self.blocks[0])
        for factor, blocks in zip(factors[1:], self.blocks[1:], strict=True):
            total += factor.quadratic(blocks)
        twice = [self._between_chain(), self._across(), self._within_rest()]
        for part in twice:
            if part is not None:
                total += 2.0 * part
        return total

    def _between_chain(self) -> FloatVector | None:
        total: FloatVector | None = None
        for (c, b), columns in self.layout.upward.items():
            index = self.layout.rows.factors[c].index
            for (s, t), product in columns.items():
                values = index.spread(self.upward[c, b][s, t])
                total = _accumulate(total, values, product)
        return total

    def _across(self) -> FloatVector | None:
        total: FloatVector | None = None
        for c, cross in self.layout.cross.items():
            for part in cross.parts:
                for (s, t), product in part.columns.items():
                    values = cross.row_values(self.cross[c][s], part, t)
                    total = _accumulate(total, values, product)
        return total

    def _within_rest(self) -> FloatVector | None:
        total: FloatVector | None = None
        for part in self.layout.rest:
            for (s, t), product in part.columns.items():
                cells = self.dense[part.rows + s, part.cols + t]
                total = _accumulate(total, part.index.spread(cells), product)
        return total


def _accumulate(
    total: FloatVector | None, values: FloatVector, product: FloatVector | None
) -> FloatVector:
    part = values if product is None else values * product
    return part if total is None else total + part


def pattern_inverse(factor: PenalizedFactor) -> PatternInverse:
    """Selected entries of K and the blocks of A - A K A."""
    layout = factor.layout
    n_factors = len(layout.sizes)
    inverse = PatternInverse(
        layout,
        [np.zeros(0)] * n_factors,
        {},
        {},
        factor.K_dense,
        [np.zeros(0)] * n_factors,
    )
    _read_dense(factor, inverse)
    for c in reversed(layout.plan.chain):
        _go_back(factor, inverse, c)
    return inverse


def _read_dense(factor: PenalizedFactor, inverse: PatternInverse) -> None:
    layout = factor.layout
    plan = layout.plan
    for k, start, end in zip(plan.rest, plan.offsets, plan.offsets[1:], strict=False):
        size, own = layout.sizes[k], layout.dense_rows(k)
        blocks = np.empty((size, size, layout.levels[k]))
        for a in range(size):
            for b in range(size):
                blocks[a, b] = factor.K_dense[own + a, own + b]
        inverse.blocks[k] = blocks
        inverse.shrunken[k] = _shrunken_dense(factor, k, start, end)


def _shrunken_dense(
    factor: PenalizedFactor, k: int, start: int, end: int
) -> FloatArray:
    """Diagonal blocks of S - S K S = S K G^-1 of one dense factor, (S, S, J)."""
    S, lam = factor.dense, factor.lams[k]
    size, columns = len(lam), S.shape[1]
    rows = S[start:end].reshape(-1, size, columns)
    G_inverse = covariance_inverse(lam)
    if G_inverse is not None:
        own = factor.K_dense[:, start:end].T.reshape(rows.shape)
        products = np.einsum("jam,jbm->abj", rows, own, optimize=True)
        blocks = np.einsum("abj,bc->acj", products, G_inverse)
        return np.asarray((blocks + blocks.swapaxes(0, 1)) / 2.0)
    products = (S[start:end] @ factor.K_dense).reshape(rows.shape)
    blocks = -np.einsum("jai,jbi->abj", products, rows)
    levels = np.arange(start, end, size)
    for a in range(size):
        for b in range(size):
            blocks[a, b] += S[levels + a, levels + b]
    return np.asarray(blocks)


def _go_back(factor: PenalizedFactor, inverse: PatternInverse, c: int) -> None:
    layout, step = factor.layout, factor.absorbed[c]
    inner: FloatArray | None = None
    for b in step.upward:
        block = _theta_upward(factor, inverse, c, b)
        inverse.upward[c, b] = -np.einsum("stj,tbj->sbj", step.K, block)
        part = np.einsum("sbj,tbj->stj", step.upward[b], block)
        inner = part if inner is None else inner + part
    if step.cross is not None:
        cross = layout.cross[c]
        theta = _theta_cross(factor, inverse, c, step.cross)
        inverse.cross[c] = -times_levels(layout, c, step.K, theta)
        part = _entry_gram(cross, step.cross, theta)
        inner = part if inner is None else inner + part
    if inner is None:
        inverse.blocks[c] = step.K
        inverse.shrunken[c] = shrunken_gram(step.diagonal, step.K, factor.lams[c])
        return
    K, P = step.K, step.diagonal
    rest = left_over(P, K, factor.lams[c])
    inverse.blocks[c] = K + np.einsum("stj,tuj,uvj->svj", K, inner, K)
    taken = np.einsum("stj,tuj,vuj->svj", rest, inner, rest)
    inverse.shrunken[c] = shrunken_gram(P, K, factor.lams[c]) - taken


def _theta_upward(
    factor: PenalizedFactor, inverse: PatternInverse, c: int, b: int
) -> FloatArray:
    """P_ct Theta_tb for every level of c, (S_c, S_b, J_c)."""
    layout, step = factor.layout, factor.absorbed[c]
    parents = layout.plan.parents
    total = np.zeros((len(step.K), layout.sizes[b], step.K.shape[2]))
    for d, P in step.upward.items():
        if d == b:
            theta = inverse.blocks[b][:, :, parents[c, b]]
        elif (d, b) in inverse.upward:
            theta = inverse.upward[d, b][:, :, parents[c, d]]
        else:
            theta = inverse.upward[b, d].swapaxes(0, 1)[:, :, parents[c, b]]
        total += np.einsum("sdj,dbj->sbj", P, theta)
    if step.cross is not None:
        cross, to_parent = layout.cross[c], layout.entry_parent[c, b]
        for s, entries in enumerate(step.cross):
            for t, theirs in enumerate(inverse.cross[b]):
                total[s, t] += cross.sum_entries(entries * theirs[to_parent])
    return total


def _theta_cross(
    factor: PenalizedFactor, inverse: PatternInverse, c: int, values: FloatMatrix
) -> FloatMatrix:
    """P_ct Theta_t,rest on the entries of c, (S_c, nnz_c)."""
    layout, step = factor.layout, factor.absorbed[c]
    cross = layout.cross[c]
    theta = np.stack([cross.sampled(entries, inverse.dense) for entries in values])
    for b, P in step.upward.items():
        theirs = inverse.cross[b][:, layout.entry_parent[c, b]]
        theta += times_levels(layout, c, P, theirs)
    return theta


def _entry_gram(
    cross: CrossLayout, left: FloatMatrix, right: FloatMatrix
) -> FloatArray:
    """Sum over the entries of each level of left_s right_t, (S, S, J)."""
    size = len(left)
    out = np.empty((size, size, cross.n_levels))
    for s in range(size):
        for t in range(size):
            out[s, t] = cross.sum_entries(left[s] * right[t])
    return out
