"""Deviance, gradient and Hessian when there is one grouping factor.

In each level the rows are rotated by an orthogonal matrix that makes Z_j upper
triangular, R_j, so that y'V0^-1 y is a sum of squares: a within-level part that does
not depend on theta, and the rotated rows whitened by N_j = I + R_j G R_j'.  Nothing is
subtracted, so neither a huge nor a tiny variance ratio costs accuracy.

References
----------
Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.2.

Held by tests/likelihood/linear/test_prepared.py and
tests/likelihood/linear/test_dense_likelihood.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.algebra.level_blocks import (
    absorb_levels,
    cholesky_solve_rows,
    level_gram,
    semidefinite_rows,
    semidefinite_solve_rows,
    summed_gram,
)
from multilevel.likelihood.linear.profiled import (
    ProfiledDeviance,
    profile_deviance,
    profiled_curvature,
)
from multilevel.likelihood.products.cross_products import CrossProducts


@dataclass(frozen=True, slots=True)
class RotatedLevels:
    """A `Prepared`: the products of one factor, rotated within levels.

    Parameters
    ----------
    rows : (S, S + p + 1, J)
        [R_j, Q_j'[X y]] of each level.
    within : (p + 1, p + 1)
        Products of what is left of [X y] within levels.
    n_rows, size : int
        n and S.
    """

    rows: FloatArray
    within: FloatMatrix
    n_rows: int
    size: int

    has_exact_hessian = True
    n_dense = 0
    independent_factor = 0

    @classmethod
    def from_products(cls, products: CrossProducts) -> RotatedLevels:
        """Rotate the products of a single grouping factor."""
        R, rotated = semidefinite_rows(products.diagonal[0], products.ZtXy[0])
        # Of the rows less their effects where there are such: the same number, with
        # nothing large subtracted.
        left, between = products.second_pass, rotated
        if left is not None:
            between = semidefinite_solve_rows(R, left.ZtXy[0])
        within = (left or products).XytXy - summed_gram(between, between)
        rows = np.concatenate([R, rotated], axis=1)
        return cls(rows, within, products.n_rows, len(R))

    def with_response(self, products: CrossProducts) -> RotatedLevels:
        """The same rotations for another response."""
        rows, R = self.rows.copy(), self.rows[:, : self.size]
        rows[:, -1:] = semidefinite_solve_rows(R, products.ZtXy[0][:, -1:])
        rotated = rows[:, self.size :]
        within = products.XytXy - summed_gram(rotated, rotated)
        return replace(self, rows=rows, within=within)

    def point(self, lams: Sequence[FloatMatrix], *, reml: bool) -> SingleFactorPoint:
        """Profiled deviance at the relative covariance factor (S, S)."""
        return single_factor_point(self, lams[0], reml=reml)

    def share_left(self, *, enough: float) -> float:
        """Residual sum of squares of all effects, fitted freely, as a share of y'Wy."""
        within, between = self.within, self.rows[:, -1]
        total = float(within[-1, -1] + np.vdot(between, between))
        if total <= 0:
            return 1.0
        # Columns of X that vary between levels only are nothing within them.
        beta = np.linalg.lstsq(within[:-1, :-1], within[:-1, -1], rcond=1e-10)[0]
        return float(within[-1, -1] - within[-1, :-1] @ beta) / total

    def level_log_dets(self, lams: Sequence[FloatMatrix]) -> FloatVector:
        """log|M| of every level, (J,)."""
        R = self.rows[:, : self.size]
        return absorb_levels(level_gram(R, R), lams[0])[0]


@dataclass(frozen=True, slots=True)
class SingleFactorPoint:
    """The deviance at one covariance factor, and its derivatives in G = lambda lambda'.

    Parameters
    ----------
    profiled : ProfiledDeviance
    D : (S, S, J)
        Z_j'V0^-1 Z_j.
    E : (S, p + 1, J)
        Z_j'V0^-1 [X y].
    """

    profiled: ProfiledDeviance
    D: FloatArray
    E: FloatArray
    levels: RotatedLevels
    lam: FloatMatrix

    def score(self) -> list[FloatArray]:
        """g = Z'V0^-1 (y - X beta), one (S, J)."""
        return [np.einsum("scj,c->sj", self.E, self.profiled.residual)]

    def modes(self) -> list[FloatArray]:
        """Conditional modes b = G g, one (S, J)."""
        return [self.lam @ (self.lam.T @ self.score()[0])]

    def whitened_columns(self) -> list[FloatArray]:
        """Z'V0^-1 [X y], one (S, p + 1, J)."""
        return [self.E]

    def column_effects(self) -> tuple[FloatArray, ...]:
        """Random effects of X and of y - X beta, one (S, p + 1, J)."""
        G = self.lam @ self.lam.T
        effects = np.einsum("st,tcj->scj", G, self.E)
        effects[:, -1] = self.modes()[0]
        return (effects,)

    def conditional_blocks(self) -> list[FloatArray]:
        """Blocks of Lam M^-1 Lam' by level, one (S, S, J)."""
        R = self.levels.rows[:, : self.levels.size]
        return [absorb_levels(level_gram(R, R), self.lam)[1]]

    def projected(self) -> FloatArray:
        """U = Z'V0^-1 X RX^-1, (S, p, J): D - U U' removes the fixed effects."""
        return np.asarray(
            np.einsum("scj,cp->spj", self.E[:, :-1], self.profiled.RX_inverse)
        )

    def gradients(self) -> list[FloatMatrix]:
        """Gamma: derivative of the deviance in the entries of G, one (S, S)."""
        (g,) = self.score()
        gamma = self.D.sum(axis=2) - g @ g.T / self.profiled.sigma2
        if self.profiled.reml:
            U = self.projected()
            flat = U.reshape(len(U), -1)
            gamma -= flat @ flat.T
        return [gamma]

    def hessian(self, directions: list[FloatArray]) -> FloatMatrix:
        """Exact second derivatives of the deviance along dG_a, (m, m).

        Parameters
        ----------
        directions : one (m, S, S) array of symmetric dG_a
        """
        products = self.working_products(directions)
        quadratic, correction = profiled_curvature(self.profiled, *products)
        return 2.0 * quadratic - correction - self.trace_products(directions)

    def trace_products(self, directions: Sequence[FloatArray]) -> FloatMatrix:
        """tr(D dG_a D dG_b), with the fixed effects projected out for REML."""
        (dG,) = directions
        size, levels = len(self.D), self.D.shape[2]
        D = self.D.reshape(size * size, levels)
        traces = _contract(D @ D.T, dG)
        if self.profiled.reml and self.E.shape[1] > 1:
            U = self.projected()
            UU = np.einsum("apj,bpj->abj", U, U).reshape(size * size, levels)
            traces = traces - 2.0 * _contract(D @ UU.T, dG)
            flat = U.reshape(-1, levels)
            products = (flat @ flat.T).reshape(size, U.shape[1], size, U.shape[1])
            # The part of rank p links all levels, so it is summed over
            # them before it is squared.
            inner = np.einsum("apbq,mab->mpq", products, dG).reshape(len(dG), -1)
            traces = traces + inner @ inner.T
        return traces

    def working_products(
        self, directions: list[FloatArray]
    ) -> tuple[FloatMatrix, FloatMatrix]:
        """f_a'V0^-1 f_b and f_a'V0^-1 [X y] with f_a = Z dG_a g."""
        (dG,), (g,) = directions, self.score()
        size, levels = len(self.D), self.D.shape[2]
        gg = (g[:, None] * g[None, :]).reshape(size * size, levels)
        D = self.D.reshape(size * size, levels)
        Eg = (self.E.reshape(-1, levels) @ g.T).reshape(size, -1, size)
        cross: FloatMatrix = np.einsum("mst,sct->mc", dG, Eg)
        return _contract(D @ gg.T, dG), cross


def _contract(sums: FloatMatrix, dG: FloatArray) -> FloatMatrix:
    """Symmetric part of sum_j tr(P_j dG_a Q_j dG_b) from ``sums[pq, rs]``, (m, m).

    Parameters
    ----------
    sums : (S S, S S)
        Sum over levels of P_pq Q_rs.
    """
    size = dG.shape[1]
    tensor = sums.reshape((size,) * 4).transpose(0, 3, 1, 2).reshape(size**2, size**2)
    flat = dG.reshape(len(dG), -1)
    # tr(P dG_a Q dG_b) = sum P_pq dGa_qr Q_rs dGb_sp; dG is symmetric.
    traces = flat @ tensor @ flat.T
    return np.asarray((traces + traces.T) / 2.0)


def single_factor_point(
    levels: RotatedLevels, lam: FloatMatrix, *, reml: bool
) -> SingleFactorPoint:
    """Evaluate the profiled deviance at a relative covariance factor.

    Parameters
    ----------
    levels : RotatedLevels
    lam : (S, S)
        Relative covariance factor, any square root.
    reml : bool
    """
    size = levels.size
    R = levels.rows[:, :size]
    F = np.einsum("abj,bc->acj", R, lam)
    # I + R G R', not I + lam'A lam: rows are whitened, and no inverse of G is near.
    N = np.einsum("acj,bcj->abj", F, F)
    N[np.arange(size), np.arange(size)] += 1.0
    log_det, whitened = cholesky_solve_rows(N, levels.rows.copy())
    # Rows times L^-1 of their level: D and E are then plain products of them.
    white_R, white_Xy = whitened[:, :size], whitened[:, size:]
    gram = levels.within + summed_gram(white_Xy, white_Xy)
    profiled = profile_deviance(gram, log_det.sum(), levels.n_rows, reml=reml)
    D, E = level_gram(white_R, white_R), level_gram(white_R, white_Xy)
    return SingleFactorPoint(profiled=profiled, D=D, E=E, levels=levels, lam=lam)
