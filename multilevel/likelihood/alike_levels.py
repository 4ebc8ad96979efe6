"""The deviance as if all levels of a grouping factor were alike.

With D = Z_j'V0^-1 Z_j the same for every level and C = D^-1 - G, the deviance is, up to
a constant,

    d(G) = sum_k J_k log|G_k + C_k| + nu log(1 + t/nu),
    t    = sum_k J_k tr(S_k ((G_k + C_k)^-1 - D_k)),     S_k = D_k^-1 mean(g g') D_k^-1

With the mean of D it has the true gradient, and it is a guide even far away.  Changes
of G are measured in units of R: dG = R X R'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg as sla

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.covariance.covariance_entries import CovarianceEntries
from multilevel.likelihood.profiled import ProfiledDeviance

REACH = 1.0
"""Relative change of the covariances within which the quadratic term is trusted."""


@dataclass(frozen=True, slots=True)
class LocalChange:
    """Change of a function of X and its derivatives in the entries of X."""

    change: float
    slopes: FloatVector
    curvature: FloatMatrix


def bounded_change(missing: LocalChange, x: FloatVector) -> LocalChange:
    """(s'x + x'Hx/2) / (1 + |x|^2 / REACH^2)."""
    bend = missing.curvature @ x
    value = float((missing.slopes + 0.5 * bend) @ x)
    slope = missing.slopes + bend
    growth = 1.0 / REACH**2
    a = 1.0 + growth * float(x @ x)
    outer = np.outer(slope, x)
    second = (
        missing.curvature / a
        - 2.0 * growth / a**2 * (outer + outer.T)
        - 2.0 * growth * value / a**2 * np.eye(len(x))
        + 8.0 * growth**2 * value / a**3 * np.outer(x, x)
    )
    return LocalChange(value / a, slope / a - 2.0 * growth * value / a**2 * x, second)


@dataclass(frozen=True)
class AlikeLevels:
    """The deviance as if all levels of a factor were alike.

    Parameters
    ----------
    counts : J of each factor
    bases : one (S, S) for each factor
        R^-1 (G + C) R^-T.
    spreads : one (S, S) for each factor
        R^-1 S R^-T.
    nu : int
    """

    counts: tuple[int, ...]
    bases: tuple[FloatMatrix, ...]
    spreads: tuple[FloatMatrix, ...]
    nu: int

    @cached_property
    def _constants(self) -> tuple[float, float]:
        log_dets, squares = 0.0, 0.0
        for count, base, spread in zip(
            self.counts, self.bases, self.spreads, strict=True
        ):
            log_dets += count * float(np.linalg.slogdet(base)[1])
            squares += count * float(np.trace(np.linalg.solve(base, spread)))
        return log_dets, squares

    def expand(
        self, changes: Sequence[FloatMatrix], entries: CovarianceEntries
    ) -> LocalChange | None:
        """The model at changes X; None where it has no value."""
        inverses = []
        log_dets, squares = (-constant for constant in self._constants)
        for count, base, spread, change in zip(
            self.counts, self.bases, self.spreads, changes, strict=True
        ):
            try:
                inverse = lower_inverse(np.linalg.cholesky(base + change).astype(float))
            except np.linalg.LinAlgError:
                return None
            P = inverse.T @ inverse
            inverses.append((P, P @ spread @ P))
            log_dets -= 2.0 * count * float(np.log(np.diag(inverse)).sum())
            squares += count * float((P * spread).sum())
        share = 1.0 + squares / self.nu
        if share <= 0:
            return None
        gammas = [
            count * (P - PSP / share)
            for count, (P, PSP) in zip(self.counts, inverses, strict=True)
        ]
        along = entries.slopes(
            [count * PSP for count, (_, PSP) in zip(self.counts, inverses, strict=True)]
        )
        curvature = -np.outer(along, along) / (self.nu * share**2)
        for count, (P, PSP), own, basis in zip(
            self.counts, inverses, entries.slices, entries.directions, strict=True
        ):
            directions = basis[own]
            left = (P @ directions).reshape(len(directions), -1)
            weighted = (2.0 / share * PSP - P) @ directions
            right = weighted.transpose(0, 2, 1).reshape(len(directions), -1)
            part = left @ right.T
            curvature[own, own] += 0.5 * count * (part + part.T)
        total = log_dets + self.nu * float(np.log(share))
        return LocalChange(total, entries.slopes(gammas), curvature)


def alike_levels(
    gammas: Sequence[FloatMatrix],
    scores: Sequence[FloatArray],
    profiled: ProfiledDeviance,
) -> AlikeLevels:
    """Levels alike, as the mean of the true ones is.

    Parameters
    ----------
    gammas : one (S, S) for each factor
        Derivatives of the deviance in X.
    scores : one (S, J) for each factor
        R'g of every level.
    profiled : ProfiledDeviance
    """
    counts, bases, spreads = [], [], []
    for gamma, g in zip(gammas, scores, strict=True):
        n_levels = g.shape[1]
        squares = g @ g.T / (n_levels * profiled.sigma2)
        D = gamma / n_levels + squares
        base = positive_inverse(D, least=1e-8)
        counts.append(n_levels)
        bases.append(base)
        spreads.append(base @ squares @ base)
    return AlikeLevels(tuple(counts), tuple(bases), tuple(spreads), profiled.nu)


def positive_inverse(matrix: FloatMatrix, *, least: float) -> FloatMatrix:
    """Inverse with eigenvalues below `least` of the largest raised to it.

    Effects that a diagonal structure keeps apart may be all but collinear.
    """
    if len(matrix) == 1:
        return 1.0 / np.maximum(matrix, 1e-300)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2.0)
    values = np.maximum(values, max(least * values[-1], 1e-300))
    root = vectors / np.sqrt(values)
    return np.asarray(root @ root.T)


def lower_inverse(lower: FloatMatrix) -> FloatMatrix:
    """Inverse of a lower-triangular matrix."""
    if len(lower) == 1:
        return np.asarray(1.0 / lower)
    inverse, _ = sla.lapack.dtrtri(lower, lower=1)
    return np.asarray(np.tril(inverse))
