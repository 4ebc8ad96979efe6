"""Orthonormal columns, from columns themselves or from their products.

Columns are scaled to unit length first, so that what counts as dependent has no unit.
Products know columns to half of the digits only: directions that are left of unit
columns are told from rounding down to 1e-12 of them from columns, and down to about
1e-8, the root of an eigenvalue of 1e-16, from products. The columns of a model are kept
apart in `likelihood.rows.column_basis`: they are never held as one matrix, and refused,
not thinned out, if they depend on one another.

Held by tests/likelihood/algebra/test_orthonormal.py.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as sla
import scipy.linalg.lapack as lapack

from multilevel.array_types import FloatMatrix
from multilevel.likelihood.algebra.triangular import upper_inverse

DEPENDENT = 1e-12
"""What is left of a unit column beside others if it is but rounding."""


def orthonormal_columns(columns: FloatMatrix) -> FloatMatrix:
    """An orthonormal basis (n, r) of the span of columns (n, k)."""
    size = np.linalg.norm(columns, axis=0)
    scaled = columns[:, size > 0.0] / size[size > 0.0]
    if not scaled.shape[1]:
        return np.zeros((len(columns), 0))
    basis, triangle, _ = sla.qr(scaled, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    return np.asarray(basis[:, diagonal > DEPENDENT * diagonal[0]])


def orthonormal_combinations(
    gram: FloatMatrix, *, nothing_left: float = 0.0
) -> FloatMatrix:
    """T (k, r) with T'GT = I: the combinations that make columns orthonormal.

    Parameters
    ----------
    gram : (k, k)
        G, the products of the columns.
    nothing_left : float
        Smallest eigenvalue, for columns of unit length, of a direction that is one.
        There are fewer combinations than columns if some are smaller.
    """
    if not len(gram):
        return gram
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    unit = gram / np.outer(scale, scale)
    # Near the columns themselves, where these are all but orthonormal already: a basis
    # of eigenvectors would then turn with their rounding.
    triangle, info = lapack.dpotrf(unit, lower=0)
    told_apart = info == 0
    if told_apart and nothing_left > 0.0:
        told_apart = np.linalg.eigvalsh(unit)[0] > nothing_left
    if told_apart:
        return np.asarray(upper_inverse(triangle) / scale[:, None])
    values, vectors = np.linalg.eigh(unit)
    kept = values > nothing_left
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]) / scale[:, None])
