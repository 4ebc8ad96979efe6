"""Well-conditioned bases of the fixed and random columns.

Cross-products square the condition number of their columns.  So columns are first
centred and made orthonormal; estimates are carried back to the user's columns at the
end.  The basis need not be exactly orthonormal, only well conditioned, because the
products are then taken of the transformed rows themselves.

Bases of columns at hand are in `likelihood.algebra.orthonormal`. Here rows come in
slices and only the triangle is kept, and columns that depend on one another are none.

Held by tests/likelihood/rows/test_column_basis.py and
tests/likelihood/linear/test_dense_likelihood.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as sla

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.algebra.triangular import upper_inverse

CHUNK = 1 << 16
"""Rows that are worked on at a time: a few columns of them fit in the cache."""

_UNITS_OF_ROUNDING = 8.0
"""Errors of columns far from zero, in units of their rounding."""

MANY_COLUMNS = 32
"""From so many columns on a triangular product, half the work, pays."""


@dataclass(frozen=True, slots=True)
class ColumnBasis:
    """Transformed columns ``rows = (columns - centre) @ solve`` and how to undo it.

    Parameters
    ----------
    centre : (k,)
        Subtracted from each column first; zero for the constant column, and
        everywhere when the columns do not hold a constant.
    inner : (k, k)
        Upper triangular; multiplies the centred columns.
    transform : (k, k)
        T with ``transformed = columns @ T`` in exact arithmetic.
    constant : int
        Position of the constant column by which the others are centred, or -1.
    value : float
        What stands in it.
    """

    centre: FloatVector
    inner: FloatMatrix
    transform: FloatMatrix
    constant: int = -1
    value: float = 1.0

    def apply(
        self, columns: FloatMatrix, out: FloatMatrix | None = None
    ) -> FloatMatrix:
        """Transformed columns (n, k), Fortran order; written to `out` if given."""
        if out is None:
            out = np.empty(columns.shape, order="F")
        if columns.shape[1] < MANY_COLUMNS:
            # Transposed, the result is written where it belongs, without a copy.
            np.matmul(self.inner.T, self.centred(columns).T, out=out.T)
            return out
        np.subtract(columns, self.centre, out=out)
        product = sla.blas.dtrmm(1.0, self.inner, out, side=1, overwrite_b=1)
        if product is not out:
            out[:] = product
        return out

    def apply_to_contrasts(self, rows: FloatMatrix) -> FloatMatrix:
        """Transformed rows (m, k) that need not hold the constant as the columns do."""
        if self.constant < 0:
            return rows @ self.inner
        share = rows[:, self.constant] / self.value
        return np.asarray((rows - np.multiply.outer(share, self.centre)) @ self.inner)

    def centred(self, columns: FloatMatrix) -> FloatMatrix:
        """The columns (n, k) less their centres."""
        return columns - self.centre if self.centre.any() else columns

    def log_det(self) -> float:
        """log|det T|."""
        return float(np.log(np.abs(np.diag(self.inner))).sum())


def constant_column(columns: FloatMatrix) -> int:
    """Position of the first constant, non-zero column; -1 if there is none."""
    for j in range(columns.shape[1]):
        column = columns[:, j]
        if len(column) and column[0] != 0 and (column == column[0]).all():
            return j
    return -1


def weighted_mean(column: FloatVector, weights: FloatVector | None) -> float:
    """Mean of a column, exact enough to centre by."""
    if weights is None:
        return float(column.mean())
    return float(column @ weights / weights.sum())


def _centre(
    columns: FloatMatrix, constant: int, weights: FloatVector | None
) -> FloatVector:
    centre = np.zeros(columns.shape[1])
    if constant >= 0:
        for j in range(columns.shape[1]):
            if j != constant:
                centre[j] = weighted_mean(columns[:, j], weights)
    return centre


def row_slices(n_rows: int, length: int = CHUNK) -> list[slice]:
    """Consecutive slices of at most 1.5 x `length` rows."""
    n_slices = max(1, round(n_rows / length))
    if n_slices == 1:
        return [slice(0, n_rows)]
    ends = np.linspace(0, n_rows, n_slices + 1).astype(int).tolist()
    return [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]


def _triangle(
    columns: FloatMatrix, centre: FloatVector, weights: FloatVector | None
) -> FloatMatrix | None:
    """Upper R with ``R'R = C'W C / n``, C the centred columns; None if deficient."""
    n_rows, n_columns = columns.shape
    slices = row_slices(n_rows)
    # In units of the largest: squares of columns as they are might over- or underflow.
    peak = np.zeros(n_columns)
    for part in slices:
        np.maximum(peak, np.abs(columns[part] - centre).max(axis=0), out=peak)
    if not (peak > 0).all():
        return None
    gram = np.zeros((n_columns, n_columns))
    for part in slices:
        scaled = (columns[part] - centre) / peak
        weighted = scaled if weights is None else scaled * weights[part, None]
        gram += scaled.T @ weighted
    norms = np.sqrt(np.diag(gram) / n_rows)
    # Columns of unit length: Cholesky then tells dependence, not units.
    gram /= np.outer(norms, norms) * n_rows
    try:
        R = np.linalg.cholesky(gram).T
    except np.linalg.LinAlgError:
        R = np.zeros_like(gram)
    # Squaring costs digits when the columns are nearly collinear: then Householder.
    if np.diag(R).min(initial=1.0) < 1e-3:
        R = np.zeros((0, n_columns))
        for part in slices:
            scaled = (columns[part] - centre) / (peak * norms)
            root = scaled if weights is None else scaled * np.sqrt(weights)[part, None]
            R = np.asarray(np.linalg.qr(np.vstack([R, root]), mode="r"))
        R = R / np.sqrt(n_rows)
        # Of unit columns nothing but rounding is left.
        if np.abs(np.diag(R)).min() < 1e-13:
            return None
    return np.asarray(R * (norms * peak))


def orthonormal_basis(
    columns: FloatMatrix, weights: FloatVector | None
) -> ColumnBasis | None:
    """Basis in which ``columns' W columns = n I`` up to rounding.

    Parameters
    ----------
    columns : (n, k)
    weights : (n,) or None

    Returns
    -------
    ColumnBasis or None
        None if the columns are linearly dependent.
    """
    n_columns = columns.shape[1]
    if n_columns == 0:
        return ColumnBasis(np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0)))
    constant = constant_column(columns)
    centre = _centre(columns, constant, weights)
    R = _triangle(columns, centre, weights)
    if R is None:
        return None
    return _centred_basis(columns, constant, centre, upper_inverse(R))


def _centred_basis(
    columns: FloatMatrix, constant: int, centre: FloatVector, inner: FloatMatrix
) -> ColumnBasis:
    if constant < 0:
        return ColumnBasis(centre, inner, inner)
    value = float(columns[0, constant])
    unit = np.eye(len(centre))
    # Less its mean is less a multiple of the constant column, so centring is a change
    # of basis as well and can be undone.
    unit[constant] -= centre / value
    unit[constant, constant] = 1.0
    return ColumnBasis(centre, inner, np.asarray(unit @ inner), constant, value)


def depend_by_rounding(basis: ColumnBasis) -> bool:
    """Whether a direction of an orthonormal basis is but the rounding of columns.

    The numbers of a column far from zero have an error in units of their mean, and what
    a column leaves beside earlier ones has their errors too.

    Parameters
    ----------
    basis : ColumnBasis
        As `orthonormal_basis` gives it.
    """
    R = upper_inverse(basis.inner)
    sizes = np.linalg.norm(R, axis=0) + np.abs(basis.centre)
    unit = _UNITS_OF_ROUNDING * np.finfo(float).eps
    return first_of_rounding(R, unit * sizes) >= 0


def first_of_rounding(R: FloatMatrix, errors: FloatVector) -> int:
    """Position of the first column that leaves no more than errors, or -1.

    Parameters
    ----------
    R : (k, k)
        Triangle of a QR of columns.
    errors : (k,)
        Of each column, in its own units.
    """
    of_directions = np.empty(len(R))
    for j in range(len(R)):
        error = errors[j] + np.abs(R[:j, j]) @ of_directions[:j]
        left = abs(R[j, j])
        if left <= error:
            return j
        of_directions[j] = error / left
    return -1


def centring_basis(columns: FloatMatrix, weights: FloatVector | None) -> ColumnBasis:
    """Basis of each column by itself: less its mean if one is constant, and scaled."""
    constant = constant_column(columns)
    centre = _centre(columns, constant, weights)
    inner = scaling_basis(columns - centre, weights).inner
    return _centred_basis(columns, constant, centre, inner)


def scaling_basis(columns: FloatMatrix, weights: FloatVector | None) -> ColumnBasis:
    """Basis that scales each column to a weighted root mean square of one."""
    peak = np.abs(columns).max(axis=0, initial=0.0)
    peak = np.where(peak > 0, peak, 1.0)
    total = np.zeros(columns.shape[1])
    for part in row_slices(len(columns)):
        squares = (columns[part] / peak) ** 2
        total += (squares if weights is None else squares * weights[part, None]).sum(0)
    mean_square = total / max(len(columns), 1)
    scale = np.where(mean_square > 0, np.sqrt(mean_square), 1.0) * peak
    inner = np.diag(1.0 / scale)
    return ColumnBasis(np.zeros(columns.shape[1]), inner, inner)


def common_scale_basis(
    columns: FloatMatrix, weights: FloatVector | None
) -> ColumnBasis:
    """Basis that scales all columns by one number, for structures tied together."""
    scales = np.diag(scaling_basis(columns, weights).inner)
    inner = np.eye(columns.shape[1]) / np.mean(1.0 / scales)
    return ColumnBasis(np.zeros(columns.shape[1]), inner, inner)
