"""Products whitened by V0 without cancellation, when random effects explain nearly all.

With shrunken effects B of the columns C, and U with B = Lam U,

    C'V0^-1 C = (C - Z B)'W (C - Z B) + U'U

is the smallest value of a quadratic form, so an error in U enters squared, while
``C'W C - C'W Z B`` loses as many digits as the random effects explain.  To form C - Z B
from products, effects near B are taken off the rows first: see `SecondPass`.

Held by tests/likelihood/linear/test_huge_ratios.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as sla

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.elimination.dense_block import penalized_dense, scale_dense
from multilevel.likelihood.elimination.eliminate import Elimination
from multilevel.likelihood.elimination.solve import less_known
from multilevel.likelihood.elimination.vectors import EffectVectors


@dataclass(frozen=True, slots=True)
class SecondPassColumns:
    """Columns C' = C - Z B0 left when some effects B0 are taken off the rows.

    Parameters
    ----------
    effects : EffectVectors
        B0, (q, r).
    ZtC : EffectVectors
        Z'W C', (q, r).
    CtC : (r, r)
        C''W C'.
    """

    effects: EffectVectors
    ZtC: EffectVectors
    CtC: FloatMatrix

    def beside(self, vectors: EffectVectors) -> SecondPassColumns:
        """With the columns Z v in front, which nothing is left of: (q, m + r)."""
        nothing = vectors.minus(vectors)
        size = vectors.dense.shape[1] + len(self.CtC)
        gram = np.zeros((size, size))
        gram[-len(self.CtC) :, -len(self.CtC) :] = self.CtC
        return SecondPassColumns(
            vectors.beside(self.effects),
            nothing.beside(self.ZtC),
            gram,
        )


@dataclass(frozen=True, slots=True)
class WhitenedColumns:
    """Columns as V0 whitens them.

    Parameters
    ----------
    whitened : (r, r)
        C'V0^-1 C.
    shrunken : EffectVectors
        B = Lam M^-1 Lam'Z'W C.
    score : EffectVectors
        Z'V0^-1 C.
    """

    whitened: FloatMatrix
    shrunken: EffectVectors
    score: EffectVectors


def whiten_columns(
    elimination: Elimination, columns: EffectVectors, left: SecondPassColumns
) -> WhitenedColumns:
    """Whiten columns whose effects B0 were taken off the rows.

    Parameters
    ----------
    elimination : Elimination
    columns : EffectVectors
        Of C itself.
    left : SecondPassColumns
    """
    spherical, shrunken = _solve(elimination, columns)
    change = shrunken.minus(left.effects)
    fitted = elimination.products.times(change)
    cross = change.gram(left.ZtC)
    # All terms are of the size of what is left, not of the columns; and as the smallest
    # value of its form the sum forgives errors of `spherical` in first order.
    whitened = left.CtC - cross - cross.T + change.gram(fitted)
    whitened = whitened + spherical.gram(spherical)
    return WhitenedColumns(
        (whitened + whitened.T) / 2.0, shrunken, left.ZtC.minus(fitted)
    )


def _solve(
    elimination: Elimination, columns: EffectVectors
) -> tuple[EffectVectors, EffectVectors]:
    """U = M^-1 Lam'Z'W C and B = Lam U.

    By triangular solves: an explicit inverse is less accurate by the condition of M.
    """
    pattern, lams = elimination.pattern, elimination.lams
    U_dense = _solve_dense(elimination, columns.dense)
    dense = scale_dense(pattern, U_dense, [lam.T for lam in lams])
    spherical: dict[int, FloatArray] = {}
    shrunken: dict[int, FloatArray] = {}
    for c in reversed(pattern.plan.chain):
        rhs = less_known(elimination, c, columns.chain[c], shrunken, dense)
        P = elimination.absorbed[c].diagonal
        spherical[c] = _solve_levels(P, lams[c], rhs)
        shrunken[c] = np.einsum("ab,brj->arj", lams[c], spherical[c])
    return EffectVectors(spherical, U_dense), EffectVectors(shrunken, dense)


def _solve_levels(
    diagonal: FloatArray, lam: FloatMatrix, rhs: FloatArray
) -> FloatArray:
    """(I + lam'P lam)^-1 lam' rhs for every level, (S, r, J)."""
    N = np.einsum("ba,bcj,cd->jad", lam, diagonal, lam) + np.eye(len(lam))
    scaled = np.einsum("ba,brj->jar", lam, rhs)
    return np.linalg.solve(N, scaled).transpose(1, 2, 0)


def _solve_dense(elimination: Elimination, rhs: FloatMatrix) -> FloatMatrix:
    """(I + Lam'S Lam)^-1 Lam' rhs for the dense rest, (m, r)."""
    pattern, lams = elimination.pattern, elimination.lams
    if not pattern.plan.rest:
        return rhs
    M = penalized_dense(pattern, elimination.dense, lams)
    L = sla.cho_factor(M, lower=True, overwrite_a=True, check_finite=False)
    scaled = scale_dense(pattern, rhs, lams)
    return np.asarray(sla.cho_solve(L, scaled, check_finite=False))
