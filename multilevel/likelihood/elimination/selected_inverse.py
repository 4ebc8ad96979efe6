"""K = Lam M^-1 Lam' where rows meet, and A - A K A by level, by going back.

With Theta the K of what is left after factor c is absorbed and t running over it,

    K_ct = -K_c P_ct Theta,    K_cc = K_c + K_c X_c K_c,    X_c = P_ct Theta P_tc
    [A - A K A]_cc = R_c P_cc - R_c X_c R_c',    R_c = I - P_cc K_c

and Theta is needed only where P is stored: the selected inverse.  Where the rows know
much more than the prior, A - A K A is the small rest of huge numbers; by R_c = G^-1 K_c
and, for dense columns, A - A K A = G^-1 - G^-1 K G^-1, nothing is taken off that nearly
cancels.

References
----------
Takahashi, Fagan & Chen (1973); Erisman & Tinney (1975), Commun. ACM 18, 177-179.

Held by tests/likelihood/elimination/test_eliminate.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.algebra.covariance_inverse import covariance_inverse
from multilevel.likelihood.algebra.dense_inverse import (
    diagonal_blocks,
    symmetric,
)
from multilevel.likelihood.algebra.level_blocks import left_over, level_product
from multilevel.likelihood.elimination.effect_products import PairBlocks
from multilevel.likelihood.elimination.eliminate import Elimination

LITTLE = 1e-4
"""Information of the rows, in units of the prior's, below which G^-1 - G^-1 K G^-1
would lose more than four digits."""


@dataclass(frozen=True, slots=True)
class LevelInverse:
    """The selected inverse by level.

    Parameters
    ----------
    blocks : one (S, S, J) for each factor
        Diagonal blocks of K: conditional covariances of the effects of each level,
        given the fixed effects and relative to the residual variance.
    shrunken : one (S, S, J) for each factor
        Diagonal blocks of A - A K A, whose sum is the derivative of log|M| in G.
    """

    blocks: list[FloatArray]
    shrunken: list[FloatArray]


def inverse_by_level(elimination: Elimination) -> LevelInverse:
    """Diagonal blocks of K and of A - A K A."""
    return _GoingBack(elimination).by_level(every_cell=False)


def selected_inverse(elimination: Elimination) -> tuple[LevelInverse, PairBlocks]:
    """The same, and K where two factors meet."""
    going_back = _GoingBack(elimination)
    by_level = going_back.by_level(every_cell=True)
    pattern, K = elimination.pattern, elimination.K_dense
    dense = K.full if pattern.corners else K.lower
    return by_level, PairBlocks(
        pattern=pattern, upward=going_back.upward, cross=going_back.cross, dense=dense
    )


class _GoingBack:
    """K of the factors from the coarsest on; each adds what the finer ones need."""

    def __init__(self, elimination: Elimination) -> None:
        self.elimination = elimination
        self.blocks: dict[int, FloatArray] = {}
        self.upward: dict[tuple[int, int], FloatArray] = {}
        self.cross: dict[int, FloatMatrix] = {}

    def by_level(self, *, every_cell: bool) -> LevelInverse:
        """Go back through all factors.

        `every_cell` says that K between the finest factor and the others is wanted,
        which no other factor needs.
        """
        pattern, shrunken = self.elimination.pattern, {}
        for k in pattern.plan.rest:
            self.blocks[k], shrunken[k] = _dense_blocks(self.elimination, k)
        for c in reversed(pattern.plan.chain):
            wanted = every_cell or c != pattern.plan.chain[0]
            shrunken[c] = self._chain_factor(c, keep=wanted)
        factors = range(len(pattern.sizes))
        return LevelInverse(
            [self.blocks[k] for k in factors], [shrunken[k] for k in factors]
        )

    def _chain_factor(self, c: int, *, keep: bool) -> FloatArray:
        """Diagonal blocks of A - A K A; those of K, and `keep` its rows, are added."""
        step = self.elimination.absorbed[c]
        K, P = step.K, step.diagonal
        rest = left_over(P, K, self.elimination.lams[c])
        inner = self._meeting(c, keep=keep)
        if inner is None:
            self.blocks[c] = K
            return _symmetric(level_product(rest, P))
        self.blocks[c] = K + level_product(level_product(K, inner), K)
        # R P - R X R', with the second R' on the left of the symmetric product.
        taken = level_product(rest, level_product(rest, inner).swapaxes(0, 1))
        return _symmetric(level_product(rest, P) - taken)

    def _meeting(self, c: int, *, keep: bool) -> FloatArray | None:
        """X_c = P_ct Theta P_tc, (S, S, J); None if nothing is left after c."""
        step = self.elimination.absorbed[c]
        inner: FloatArray | None = None
        for b, P in step.upward.items():
            theta = self._theta_upward(c, b)
            if keep:
                self.upward[c, b] = -level_product(step.K, theta)
            inner = _added(inner, level_product(P, theta.swapaxes(0, 1)))
        if step.cross is None:
            return inner
        if keep:
            entries = self._theta_cross(c)
            self.cross[c] = -step.cross.level_products(step.K, entries)
            return _added(inner, step.cross.level_sums(entries))
        # Sums over cells alone: an arrangement may know these without any cell.
        for b, P in step.upward.items():
            own = step.cross.level_sums(self._at_cells(c, b))
            inner = _added(inner, level_product(own, P.swapaxes(0, 1)))
        return _added(inner, step.cross.quadratics(self.elimination.K_dense))

    def _at_cells(self, c: int, b: int) -> FloatMatrix:
        """K_b,rest at the cells of c, (S_b, nnz_c)."""
        return self.cross[b][:, self.elimination.pattern.entry_parent[c, b]]

    def _theta_upward(self, c: int, b: int) -> FloatArray:
        """P_ct Theta_tb for every level of c, (S_c, S_b, J_c)."""
        pattern, step = self.elimination.pattern, self.elimination.absorbed[c]
        total = np.zeros((len(step.K), pattern.sizes[b], step.K.shape[2]))
        for d, P in step.upward.items():
            total += level_product(P, self._theta_of_parents(c, d, b))
        if step.cross is not None:
            total += step.cross.level_sums(self._at_cells(c, b))
        return total

    def _theta_of_parents(self, c: int, d: int, b: int) -> FloatArray:
        """K_db at the levels above each level of c, (S_d, S_b, J_c)."""
        parents = self.elimination.pattern.plan.parents
        if d == b:
            return self.blocks[b][:, :, parents[c, b]]
        if (d, b) in self.upward:
            return self.upward[d, b][:, :, parents[c, d]]
        # Stored from the finer side: there d is the coarser factor.
        return self.upward[b, d].swapaxes(0, 1)[:, :, parents[c, b]]

    def _theta_cross(self, c: int) -> FloatMatrix:
        """P_ct Theta_t,rest at the cells of c, (S_c, nnz_c)."""
        step = self.elimination.absorbed[c]
        assert step.cross is not None
        theta = step.cross.sampled(self.elimination.K_dense)
        for b, P in step.upward.items():
            theta += step.cross.level_products(P, self._at_cells(c, b))
        return theta


def _dense_blocks(elimination: Elimination, k: int) -> tuple[FloatArray, FloatArray]:
    """Diagonal blocks of K and of S - S K S for one dense factor, (S, S, J) each."""
    S, K, lam = elimination.dense, elimination.K_dense, elimination.lams[k]
    own, size = elimination.pattern.dense_slices[k], len(lam)
    blocks, S_blocks = K.diagonal_blocks(own, size), diagonal_blocks(S, own, size)
    G_inverse = covariance_inverse(lam)
    if G_inverse is not None and _is_known(S_blocks, G_inverse):
        half = np.einsum("ab,bcj->acj", G_inverse, blocks)
        turned = np.einsum("acj,cd->adj", half, G_inverse)
        return blocks, _symmetric(G_inverse[:, :, None] - turned)
    rows = symmetric(S)[own]
    products = (rows @ K.full).reshape(-1, size, len(S))
    taken = np.einsum("jam,jbm->abj", products, rows.reshape(products.shape))
    return blocks, _symmetric(S_blocks - taken)


def _is_known(diagonal: FloatArray, G_inverse: FloatMatrix) -> bool:
    """Whether the rows tell enough of every effect, compared with the prior."""
    told = np.einsum("aaj->a", diagonal).min() / diagonal.shape[2]
    return bool(told > LITTLE * np.linalg.norm(G_inverse))


def _symmetric(blocks: FloatArray) -> FloatArray:
    # Symmetric in exact arithmetic, but R by itself is not.
    return (blocks + blocks.swapaxes(0, 1)) / 2.0


def _added(total: FloatArray | None, part: FloatArray) -> FloatArray:
    return part if total is None else total + part
