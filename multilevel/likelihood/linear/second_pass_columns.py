"""Products whitened by V0 without cancellation, when random effects explain nearly all.

With shrunken effects B of the columns C, and U with B = Lam U,

    C'V0^-1 C = (C - Z B)'W (C - Z B) + U'U

is the smallest value of a quadratic form, so an error in U enters squared, while
``C'W C - C'W Z B`` loses as many digits as the random effects explain.  To form C - Z B
from products, effects near B are taken off the rows first: see `SecondPass`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as sla

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.algebra.dense_inverse import symmetric
from multilevel.likelihood.elimination.block_elimination import (
    AbsorbedColumns,
    Elimination,
    level_product,
    scale_dense,
)
from multilevel.likelihood.elimination.block_solve import (
    RandomVectors,
    random_gram_product,
)
from multilevel.likelihood.elimination.block_system import BlockSystem


@dataclass(frozen=True, slots=True)
class SecondPassColumns:
    """Columns C' = C - Z B0 left when some effects B0 are taken off the rows.

    Parameters
    ----------
    effects : RandomVectors
        B0, (q, r).
    ZtC : RandomVectors
        Z'W C', (q, r).
    CtC : (r, r)
        C''W C'.
    """

    effects: RandomVectors
    ZtC: RandomVectors
    CtC: FloatMatrix

    def beside(self, vectors: RandomVectors) -> SecondPassColumns:
        """With the columns Z v in front, which nothing is left of: (q, m + r)."""
        nothing = vectors.minus(vectors)
        size = vectors.dense.shape[1] + len(self.CtC)
        gram = np.zeros((size, size))
        gram[-len(self.CtC) :, -len(self.CtC) :] = self.CtC
        return SecondPassColumns(
            side_by_side(vectors, self.effects),
            side_by_side(nothing, self.ZtC),
            gram,
        )


@dataclass(frozen=True, slots=True)
class WhitenedColumns:
    """Columns as V0 whitens them.

    Parameters
    ----------
    whitened : (r, r)
        C'V0^-1 C.
    shrunken : RandomVectors
        B = Lam M^-1 Lam'Z'W C.
    score : RandomVectors
        Z'V0^-1 C.
    """

    whitened: FloatMatrix
    shrunken: RandomVectors
    score: RandomVectors


def vectors_by_factor(
    system: BlockSystem, blocks: tuple[FloatArray, ...]
) -> RandomVectors:
    """Arrays (S, r, J), one for each grouping factor, in elimination order."""
    plan, r = system.plan, blocks[0].shape[1]
    dense = [blocks[k].transpose(2, 0, 1).reshape(-1, r) for k in plan.rest]
    return RandomVectors(
        {c: blocks[c] for c in plan.chain},
        np.concatenate(dense) if dense else np.zeros((0, r)),
    )


def whiten_columns(
    elimination: Elimination, columns: AbsorbedColumns, left: SecondPassColumns
) -> WhitenedColumns:
    """Whiten columns whose effects B0 were taken off the rows.

    Parameters
    ----------
    elimination : Elimination
    columns : AbsorbedColumns
        Of C itself.
    left : SecondPassColumns
    """
    spherical, shrunken = _solve(elimination, columns)
    change = shrunken.minus(left.effects)
    fitted = random_gram_product(elimination.system, change)
    cross = change.gram(left.ZtC)
    # All terms are of the size of what is left, not of the columns; and as the smallest
    # value of its form the sum forgives errors of `spherical` in first order.
    whitened = left.CtC - cross - cross.T + change.gram(fitted)
    whitened = whitened + spherical.gram(spherical)
    return WhitenedColumns(
        (whitened + whitened.T) / 2.0, shrunken, left.ZtC.minus(fitted)
    )


def side_by_side(left: RandomVectors, right: RandomVectors) -> RandomVectors:
    """The columns of both."""
    chain = {
        c: np.concatenate([left.chain[c], right.chain[c]], axis=1) for c in left.chain
    }
    return RandomVectors(chain, np.hstack([left.dense, right.dense]))


def _solve(
    elimination: Elimination, columns: AbsorbedColumns
) -> tuple[RandomVectors, RandomVectors]:
    """U = M^-1 Lam'Z'W C and B = Lam U.

    By triangular solves: an explicit inverse is less accurate by the condition of M.
    """
    system, lams = elimination.system, elimination.lams
    U_dense = _solve_dense(elimination, columns.dense)
    dense = scale_dense(system, U_dense, [lam.T for lam in lams])
    spherical: dict[int, FloatArray] = {}
    shrunken: dict[int, FloatArray] = {}
    for c in reversed(system.plan.chain):
        step, rhs = elimination.absorbed[c], columns.chain[c]
        for b, P in step.upward.items():
            parent = system.plan.parents[c, b]
            rhs = rhs - level_product(P, shrunken[b][:, :, parent])
        if step.rest is not None:
            rhs = rhs - step.rest.times(dense)
        spherical[c] = _solve_levels(step.diagonal, lams[c], rhs)
        shrunken[c] = np.einsum("ab,brj->arj", lams[c], spherical[c])
    return RandomVectors(spherical, U_dense), RandomVectors(shrunken, dense)


def _solve_levels(
    diagonal: FloatArray, lam: FloatMatrix, rhs: FloatArray
) -> FloatArray:
    """(I + lam'P lam)^-1 lam' rhs for every level, (S, r, J)."""
    N = np.einsum("ba,bcj,cd->jad", lam, diagonal, lam) + np.eye(len(lam))
    scaled = np.einsum("ba,brj->jar", lam, rhs)
    return np.linalg.solve(N, scaled).transpose(1, 2, 0)


def _solve_dense(elimination: Elimination, rhs: FloatMatrix) -> FloatMatrix:
    """(I + Lam'S Lam)^-1 Lam' rhs for the dense rest, (m, r)."""
    system, lams = elimination.system, elimination.lams
    if not system.plan.rest:
        return rhs
    half = scale_dense(system, symmetric(elimination.dense), lams)
    M = scale_dense(system, np.ascontiguousarray(half.T), lams)
    M.flat[:: len(M) + 1] += 1.0
    factor = sla.cho_factor(M, lower=True, overwrite_a=True, check_finite=False)
    scaled = scale_dense(system, rhs, lams)
    return np.asarray(sla.cho_solve(factor, scaled, check_finite=False))
