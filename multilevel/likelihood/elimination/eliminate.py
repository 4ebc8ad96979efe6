"""Elimination of the random effects, one grouping factor after another.

M = Lam'A Lam + I with A = Z'WZ.  Absorbing chain factor c replaces the weights W by
V^-1 with V = V_before + Z_c G_c Z_c': every product P of what is left becomes
P - P_tc K_c P_ct with K_c = lambda_c (lambda_c'P_cc lambda_c + I)^-1 lambda_c', and
log|M| grows by the log determinant of the bracket.  The dense block comes last.
lambda may be singular or zero, and weights below zero where M is positive definite.

References
----------
Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 3 (the
factorization); Harville (1977), JASA 72, section 5 (absorption).

Held by tests/likelihood/elimination/test_eliminate.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.algebra.dense_inverse import DenseInverse
from multilevel.likelihood.algebra.level_blocks import (
    absorb_levels,
    level_gram,
    level_product,
)
from multilevel.likelihood.elimination.dense_block import absorb_dense
from multilevel.likelihood.elimination.effect_products import (
    EffectProducts,
    sum_by_parent,
)
from multilevel.likelihood.elimination.pattern import EffectPattern
from multilevel.likelihood.elimination.sparse_rows import SparseRows


@dataclass(frozen=True, slots=True)
class AbsorbedFactor:
    """One chain factor at the moment it is absorbed.

    Parameters
    ----------
    diagonal, K : (S, S, J)
        P_cc and K_c.
    upward : {b: (S, S_b, J)}
        P_cb for the coarser chain factors.
    cross : SparseRows or None
        Products with the dense columns.
    log_det : (J,)
        log determinant of each level's bracket.
    """

    diagonal: FloatArray
    K: FloatArray
    upward: Mapping[int, FloatArray]
    cross: SparseRows | None
    log_det: FloatVector


@dataclass(frozen=True, slots=True)
class Elimination:
    """All random effects eliminated, at one set of covariance factors.

    Parameters
    ----------
    products : EffectProducts
    lams : one (S, S) relative covariance factor for each grouping factor
    absorbed : {c: AbsorbedFactor}
    dense : (m, m)
        S, the products of the dense columns after the chain; Fortran order, only the
        lower triangle is meaningful.
    K_dense : DenseInverse
        K of the dense block, (m, m).
    log_det : float
        log|M|.
    """

    products: EffectProducts
    lams: tuple[FloatMatrix, ...]
    absorbed: Mapping[int, AbsorbedFactor]
    dense: FloatMatrix
    K_dense: DenseInverse
    log_det: float

    @property
    def pattern(self) -> EffectPattern:
        """The order of elimination."""
        return self.products.pattern


def eliminate(products: EffectProducts, lams: Sequence[FloatMatrix]) -> Elimination:
    """Absorb every grouping factor.

    Parameters
    ----------
    products : EffectProducts
    lams : one (S, S) relative covariance factor for each grouping factor

    Raises
    ------
    numpy.linalg.LinAlgError
        If M is not positive definite, as it may be for weights below zero.
    """
    chain = products.pattern.plan.chain
    left = _ProductsLeft(products)
    absorbed, log_dets = {}, []
    for position, c in enumerate(chain):
        log_det, K = absorb_levels(left.diagonal[c], lams[c])
        coarser = {b: left.upward[c, b] for b in chain[position + 1 :]}
        step = AbsorbedFactor(
            diagonal=left.diagonal[c],
            K=K,
            upward=coarser,
            cross=left.cross.get(c),
            log_det=log_det,
        )
        left.take_off(c, step)
        absorbed[c] = step
        log_dets.append(log_det.sum())
    log_det_dense, K_dense = absorb_dense(products.pattern, left.dense, lams)
    return Elimination(
        products=products,
        lams=tuple(lams),
        absorbed=absorbed,
        dense=left.dense,
        K_dense=K_dense,
        log_det=log_det_dense + float(sum(log_dets)),
    )


class _ProductsLeft:
    """The products of what is left, which every absorbed factor changes."""

    def __init__(self, products: EffectProducts) -> None:
        self.pattern = products.pattern
        self.diagonal = list(products.diagonal)
        self.upward = dict(products.upward)
        self.cross = dict(products.cross)
        # The only array that is changed in place; the products serve many evaluations.
        self.dense = products.dense.copy(order="K")

    def take_off(self, c: int, step: AbsorbedFactor) -> None:
        """P -= P_tc K_c P_ct for every two of the factors left."""
        plan, levels = self.pattern.plan, self.pattern.levels
        for b, P in step.upward.items():
            KP, parent = level_product(step.K, P), plan.parents[c, b]
            # A new array, not in place: a factor keeps the products of its own turn.
            self.diagonal[b] = self.diagonal[b] - sum_by_parent(
                level_gram(P, KP), parent, levels[b]
            )
            for d, P_d in step.upward.items():
                if (b, d) in self.upward:
                    self.upward[b, d] = self.upward[b, d] - sum_by_parent(
                        level_gram(KP, P_d), parent, levels[b]
                    )
            if step.cross is not None:
                self._take_off_cross(c, b, KP, step.cross)
        if step.cross is not None:
            step.cross.subtract_from(self.dense, step.K)

    def _take_off_cross(
        self, c: int, b: int, KP: FloatArray, cross: SparseRows
    ) -> None:
        """P_b,rest -= P_bc K_c P_c,rest on the cells of b."""
        # At the cells of c, then summed into those of its parents, which have them all.
        terms = cross.level_products(np.swapaxes(KP, 0, 1), cross.values)
        own = self.cross[b]
        sums = sum_by_parent(
            terms, self.pattern.entry_parent[c, b], own.values.shape[1]
        )
        self.cross[b] = replace(own, values=own.values - sums)
