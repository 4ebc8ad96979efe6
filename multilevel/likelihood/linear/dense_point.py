"""Deviance, gradient and exact Hessian of several grouping factors by full matrices.

With A = Z'W Z, B = Z'W [X y] and C = [X y]'W [X y] (the products ``ZtZ``, ``ZtXy`` and
``XytXy``), M = Lam'A Lam + I = L L', W_A = L^-1 Lam'A and W_B = L^-1 Lam'B,

    Z'V0^-1 Z = A - W_A'W_A,    Z'V0^-1 [X y] = B - W_A'W_B,
    [X y]'V0^-1 [X y] = C - W_B'W_B

References
----------
Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 3; Harville
(1977), JASA 72, section 5 (second derivatives).

Held by tests/likelihood/linear/test_dense_likelihood.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg as sla

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.linear.dense_system import (
    DenseSecondPass,
    DenseSystem,
    stack_factors,
)
from multilevel.likelihood.linear.profiled import (
    ProfiledDeviance,
    profile_deviance,
    profiled_curvature,
)


@dataclass(frozen=True)
class DensePoint:
    """The deviance at one set of covariance factors, with what derivatives need.

    Parameters
    ----------
    system : DenseSystem
    lams : one (S, S) relative covariance factor for each grouping factor
    L : (q, q)
        Cholesky factor of M, lower triangle.
    profiled : ProfiledDeviance
    D : (q, q)
        Z'V0^-1 Z.
    E : (q, p + 1)
        Z'V0^-1 [X y].
    shrunken : (q, p + 1)
        Lam M^-1 Lam'Z'W [X y].
    """

    system: DenseSystem
    lams: tuple[FloatMatrix, ...]
    L: FloatMatrix
    profiled: ProfiledDeviance
    D: FloatMatrix
    E: FloatMatrix
    shrunken: FloatMatrix

    def modes(self) -> list[FloatArray]:
        """Conditional modes b / (working scale), (S, J) for each factor."""
        return self._single(self.shrunken @ self.profiled.residual)

    def score(self) -> list[FloatArray]:
        """g = Z'V0^-1 (y - X beta), (S, J) for each factor."""
        return self._single(self.E @ self.profiled.residual)

    def whitened_columns(self) -> list[FloatArray]:
        """Z'V0^-1 [X y], (S, p + 1, J) for each factor."""
        return self.system.by_factor(self.E)

    def column_effects(self) -> tuple[FloatArray, ...]:
        """Random effects of X and of y - X beta, (S, p + 1, J) for each factor."""
        columns = self.shrunken.copy()
        columns[:, -1] = self.shrunken @ self.profiled.residual
        return tuple(self.system.by_factor(columns))

    def conditional_blocks(self) -> list[FloatArray]:
        """Blocks of Lam M^-1 Lam' by level, (S, S, J) for each factor."""
        system = self.system
        Lam = system.times_lams(np.eye(len(self.L)), self.lams)
        root = sla.solve_triangular(self.L, Lam.T, lower=True, check_finite=False)
        return [
            np.einsum("rja,rjb->abj", rows, rows)
            for k, size in enumerate(system.sizes)
            for rows in [
                root[:, system.starts[k] : system.starts[k + 1]].reshape(
                    len(root), -1, size
                )
            ]
        ]

    @cached_property
    def projected(self) -> FloatMatrix:
        """Z'P0 Z for REML (the fixed effects projected out), Z'V0^-1 Z for ML."""
        if not self.profiled.reml or self.E.shape[1] == 1:
            return self.D
        U = self.E[:, :-1] @ self.profiled.RX_inverse
        return self.D - U @ U.T

    def gradients(self) -> list[FloatMatrix]:
        """Gamma: derivative of the deviance in the entries of each G, (S, S)."""
        out = []
        for k, (size, g) in enumerate(
            zip(self.system.sizes, self.score(), strict=True)
        ):
            own = self._tiles(k, k)
            D = np.einsum("jajb->ab", own) if size > 1 else own.trace(0, 0, 2)
            out.append(D - g @ g.T / self.profiled.sigma2)
        return out

    def hessian(self, directions: Sequence[FloatArray]) -> FloatMatrix:
        """Exact second derivatives of the deviance along dG_a, (m, m)."""
        products = self.working_products(directions)
        quadratic, correction = profiled_curvature(self.profiled, *products)
        return 2.0 * quadratic - correction - self.trace_products(directions)

    def trace_products(self, directions: Sequence[FloatArray]) -> FloatMatrix:
        """tr(D dG_a D dG_b) with D projected, over every pair of factors."""
        total = np.zeros((len(directions[0]),) * 2)
        sizes = self.system.sizes
        for k, m in np.ndindex(len(sizes), len(sizes)):
            # The other order of two factors has the transpose, added below.
            if m > k:
                continue
            tiles = self._tiles(k, m).transpose(1, 3, 0, 2)
            flat = tiles.reshape(sizes[k] * sizes[m], -1)
            sums = (flat @ flat.T).reshape(sizes[k], sizes[m], sizes[k], sizes[m])
            # tr(D_km dG_b D_mk dG_a) = sum D_st dGb_tu D_vu dGa_vs over level pairs.
            inner = np.einsum("stvu,btu->bsv", sums, directions[m])
            part = np.einsum("bsv,avs->ab", inner, directions[k])
            total += part if k == m else part + part.T
        return total

    def working_products(
        self, directions: Sequence[FloatArray]
    ) -> tuple[FloatMatrix, FloatMatrix]:
        """f_a'V0^-1 f_b and f_a'V0^-1 [X y] with f_a = Z dG_a g."""
        blocks = [
            np.einsum("mab,bj->amj", dG, g)
            for dG, g in zip(directions, self.score(), strict=True)
        ]
        vectors = stack_factors(blocks)
        return vectors.T @ self.D @ vectors, vectors.T @ self.E

    def _tiles(self, k: int, m: int) -> FloatArray:
        """Blocks of the projected Z'V0^-1 Z of two factors, (J_k, S_k, J_m, S_m)."""
        starts, sizes = self.system.starts, self.system.sizes
        part = self.projected[starts[k] : starts[k + 1], starts[m] : starts[m + 1]]
        return part.reshape(-1, sizes[k], part.shape[1] // sizes[m], sizes[m])

    def _single(self, vector: FloatArray) -> list[FloatArray]:
        return [block[:, 0] for block in self.system.by_factor(vector[:, None])]


def dense_point(
    system: DenseSystem, lams: Sequence[FloatMatrix], *, reml: bool
) -> DensePoint:
    """Evaluate the profiled deviance.

    Parameters
    ----------
    system : DenseSystem
    lams : one (S, S) relative covariance factor for each grouping factor
    reml : bool
    """
    # A Lam row by row; as A is symmetric, the transpose times Lam is Lam'A Lam.
    half = system.times_lams(system.ZtZ, lams)
    M = system.times_lams(half.T, lams)
    M.flat[:: len(M) + 1] += 1.0
    # The transpose of a symmetric matrix in C order is itself in Fortran order: LAPACK
    # takes it without a copy. Above the diagonal it is left as it is and never read.
    L, info = sla.lapack.dpotrf(M.T, lower=1, clean=0, overwrite_a=1)
    if info:
        raise np.linalg.LinAlgError("the penalized system is not positive definite")
    log_det = 2.0 * float(np.log(np.diag(L)).sum())
    scaled = system.times_lams(system.ZtXy.T, lams).T
    W_A = sla.blas.dtrsm(1.0, L, half.T, lower=1)
    W_B = sla.blas.dtrsm(1.0, L, scaled, lower=1)
    spherical = sla.blas.dtrsm(1.0, L, W_B, lower=1, trans_a=1)
    shrunken = system.times_lams(spherical.T, [lam.T for lam in lams]).T
    if system.second_pass is None:
        whitened = system.XytXy - W_B.T @ W_B
        E = system.ZtXy - W_A.T @ W_B
    else:
        whitened, E = _whiten_again(system, system.second_pass, spherical, shrunken)
    profiled = profile_deviance(
        (whitened + whitened.T) / 2.0, log_det, system.n_rows, reml=reml
    )
    D = system.ZtZ - W_A.T @ W_A
    return DensePoint(
        system=system,
        lams=tuple(lams),
        L=L,
        profiled=profiled,
        D=D,
        E=E,
        shrunken=shrunken,
    )


def _whiten_again(
    system: DenseSystem,
    second_pass: DenseSecondPass,
    spherical: FloatMatrix,
    shrunken: FloatMatrix,
) -> tuple[FloatMatrix, FloatMatrix]:
    """[X y]'V0^-1 [X y] and Z'V0^-1 [X y] without cancellation.

    See `second_pass_columns` for the derivation.
    """
    change = shrunken - second_pass.effects
    fitted = system.ZtZ @ change
    cross = change.T @ second_pass.ZtXy
    whitened = second_pass.XytXy - cross - cross.T + change.T @ fitted
    return whitened + spherical.T @ spherical, second_pass.ZtXy - fitted
