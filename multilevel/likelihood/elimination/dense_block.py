"""Elimination of the dense block, after the chain of nested factors.

Held by tests/likelihood/elimination/test_eliminate.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.array_types import FloatMatrix
from multilevel.likelihood.algebra.dense_inverse import (
    DenseInverse,
    invert_dense,
    symmetric,
)
from multilevel.likelihood.elimination.pattern import EffectPattern


def scale_dense(
    pattern: EffectPattern, matrix: FloatMatrix, lams: Sequence[FloatMatrix]
) -> FloatMatrix:
    """blockdiag(I x lambda)' applied to the rows (m, c) of the dense block."""
    scaled = np.empty_like(matrix)
    for k, own in pattern.dense_slices.items():
        rows = matrix[own]
        if pattern.sizes[k] == 1:
            np.multiply(rows, lams[k][0, 0], out=scaled[own])
        else:
            blocks = rows.reshape(pattern.levels[k], pattern.sizes[k], -1)
            scaled[own] = np.einsum("ab,jac->jbc", lams[k], blocks).reshape(rows.shape)
    return scaled


def penalized_dense(
    pattern: EffectPattern, dense: FloatMatrix, lams: Sequence[FloatMatrix]
) -> FloatMatrix:
    """Lam'S Lam + I, (m, m), for S given by its lower triangle."""
    # From the left, then the transpose once more: S is symmetric.
    half = scale_dense(pattern, symmetric(dense), lams)
    M = scale_dense(pattern, np.ascontiguousarray(half.T), lams)
    M.flat[:: len(M) + 1] += 1.0
    return M


def absorb_dense(
    pattern: EffectPattern, dense: FloatMatrix, lams: Sequence[FloatMatrix]
) -> tuple[float, DenseInverse]:
    """log determinant and K (m, m) of the dense block."""
    if not len(dense):
        return 0.0, DenseInverse(dense, np.zeros(0))
    if all(pattern.sizes[k] == 1 for k in pattern.plan.rest):
        return _absorb_single_effects(pattern, dense, lams)
    log_det, inverse = invert_dense(penalized_dense(pattern, dense, lams).T)
    transposed = [lam.T for lam in lams]
    half = scale_dense(pattern, symmetric(inverse), transposed)
    K = scale_dense(pattern, np.ascontiguousarray(half.T), transposed)
    return log_det, DenseInverse(np.asfortranarray(K), np.ones(len(K)))


def _absorb_single_effects(
    pattern: EffectPattern, dense: FloatMatrix, lams: Sequence[FloatMatrix]
) -> tuple[float, DenseInverse]:
    """The same where Lam is diagonal, on the lower triangle alone."""
    scale = np.empty(len(dense))
    M = np.empty_like(dense, order="F")
    for k, own in pattern.dense_slices.items():
        scale[own] = lams[k][0, 0]
        for other, theirs in pattern.dense_slices.items():
            # Blocks on and below the diagonal; of the others nothing is read.
            if theirs.start <= own.start:
                factor = lams[k][0, 0] * lams[other][0, 0]
                np.multiply(dense[own, theirs], factor, out=M[own, theirs])
    # The transpose of a matrix in Fortran order is laid out as C has it: a view.
    M.T.reshape(-1)[:: len(M) + 1] += 1.0
    log_det, inverse = invert_dense(M)
    return log_det, DenseInverse(inverse, scale)
