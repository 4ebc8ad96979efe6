"""The dense Schur complement's K = Lam M^-1 Lam', kept as half of M^-1.

A dense block of a thousand columns is dear to walk over, so nothing is symmetrized
or scaled that need not be: products use symmetric kernels on the lower triangle, and
a diagonal Lam is applied to what is multiplied.

Held by tests/likelihood/elimination/test_level_arrangements.py and
tests/likelihood/linear/test_dense_likelihood.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg as sla

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector

SEVERAL = 8
"""Up to so many columns, products one by one were measured to be twice to eight times
faster than dsymm, which arranges the whole matrix anew."""


@dataclass(frozen=True)
class DenseInverse:
    """K (m, m) = diag(scale) inverse diag(scale).

    Parameters
    ----------
    lower : (m, m)
        Fortran order; only the lower triangle is meaningful.
    scale : (m,)
    """

    lower: FloatMatrix
    scale: FloatVector

    def times(self, columns: FloatMatrix) -> FloatMatrix:
        """K @ columns, (m, r)."""
        if not len(columns):
            return columns
        scaled = self.scale[:, None] * columns
        return self.scale[:, None] * symmetric_product(self.lower, scaled)

    def entries(self, cells: IntVector) -> FloatVector:
        """K at ``cells = row + m * column`` with row >= column."""
        m = len(self.scale)
        # Of a Fortran-ordered matrix the transpose lies in memory as it is: a view.
        values = self.lower.T.reshape(-1)[cells]
        # One standard deviation for all, as with one intercept: two gathers are spared.
        if np.ptp(self.scale) == 0:
            return np.asarray(values * self.scale[0] ** 2)
        columns, rows = np.divmod(cells, m)
        return np.asarray(values * self.scale[rows] * self.scale[columns])

    def diagonal_blocks(self, own: slice, size: int) -> FloatArray:
        """The (size, size) diagonal blocks of some rows, (size, size, J)."""
        scale = self.scale[own].reshape(-1, size).T
        blocks = diagonal_blocks(self.lower, own, size)
        return blocks * scale[:, None] * scale[None, :]

    @cached_property
    def full(self) -> FloatMatrix:
        """K as a full symmetric matrix."""
        full = symmetric(self.lower)
        full *= self.scale[:, None]
        full *= self.scale[None, :]
        return full


def invert_dense(M: FloatMatrix) -> tuple[float, FloatMatrix]:
    """log|M| and the lower triangle of M^-1; M is overwritten.

    Parameters
    ----------
    M : (m, m)
        Fortran order; only the lower triangle is read.

    Raises
    ------
    numpy.linalg.LinAlgError
        If M is not positive definite.
    """
    factor, info = sla.lapack.dpotrf(M, lower=1, clean=0, overwrite_a=1)
    if info:
        raise np.linalg.LinAlgError("the penalized system is not positive definite")
    log_det = 2.0 * float(np.log(np.diag(factor)).sum())
    inverse, _ = sla.lapack.dpotri(factor, lower=1, overwrite_c=1)
    return log_det, inverse


def diagonal_blocks(lower: FloatMatrix, own: slice, size: int) -> FloatArray:
    """Diagonal blocks of some rows of a symmetric matrix, (size, size, J)."""
    first = np.arange(own.start, own.stop, size)
    blocks = np.empty((size, size, len(first)))
    for a in range(size):
        for b in range(a + 1):
            blocks[a, b] = blocks[b, a] = lower[first + a, first + b]
    return blocks


def symmetric(lower: FloatMatrix) -> FloatMatrix:
    """The symmetric matrix with the given lower triangle."""
    full = np.tril(lower)
    full += np.tril(full, -1).T
    return full


def symmetric_product(lower: FloatMatrix, columns: FloatMatrix) -> FloatMatrix:
    """S @ columns for a symmetric S given by its lower triangle, Fortran order."""
    if not columns.size:
        return np.zeros_like(columns)
    if columns.shape[1] > SEVERAL:
        return np.asarray(sla.blas.dsymm(1.0, lower, columns, lower=1))
    product = np.empty(columns.shape, order="F")
    for r in range(columns.shape[1]):
        product[:, r] = sla.blas.dsymv(1.0, lower, columns[:, r], lower=1)
    return product
