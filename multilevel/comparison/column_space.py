"""Whether columns lie in the span of others, whatever their units and origins.

Held by tests/comparison/test_same_content.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import BoolVector, FloatMatrix
from multilevel.likelihood.algebra.orthonormal import orthonormal_columns

_SPAN = 1e-8  # of what is left of a column once a constant is taken out
_ROUNDING = 64.0 * float(np.finfo(float).eps)  # of the column itself


@dataclass(frozen=True, slots=True)
class ColumnSpace:
    """The span of some columns.

    Parameters
    ----------
    basis : (n, r)
        Orthonormal columns, orthogonal to the constant if that is in the span.
    has_constant : bool
        Whether a constant is in the span: then origins of columns mean nothing.
    resolution : float
        Rounding of the given columns, relative to how much they vary.
    """

    basis: FloatMatrix
    has_constant: bool
    resolution: float = 0.0

    @property
    def rank(self) -> int:
        """Dimension of the span."""
        return int(self.basis.shape[1]) + int(self.has_constant)

    def contains(self, columns: FloatMatrix) -> BoolVector:
        """Whether each column (n, m) lies in the span, up to rounding, (m,)."""
        size = np.abs(columns).max(axis=0, initial=0.0)
        scaled = columns / np.where(size > 0.0, size, 1.0)
        if self.has_constant:
            scaled = scaled - scaled.mean(axis=0)
        left = scaled
        for _ in range(2):
            left = left - self.basis @ (self.basis.T @ left)
        own = np.linalg.norm(scaled, axis=0)
        allowed = (_SPAN + self.resolution) * own + _ROUNDING * np.sqrt(len(columns))
        return np.asarray(np.linalg.norm(left, axis=0) <= allowed)


def column_space(columns: FloatMatrix) -> ColumnSpace:
    """The span of columns (n, p)."""
    basis = orthonormal_columns(columns)
    ones = np.full(len(columns), 1.0 / np.sqrt(len(columns)))
    left = ones - basis @ (basis.T @ ones)
    if not basis.shape[1] or np.linalg.norm(left) > 1e-10:
        return ColumnSpace(basis, False)
    size = np.abs(columns).max(axis=0, initial=0.0)
    scaled = columns / np.where(size > 0.0, size, 1.0)
    centred = scaled - scaled.mean(axis=0)
    # A constant column leaves rounding of its own size, which is no direction.
    spread = np.linalg.norm(centred, axis=0) / np.sqrt(len(columns))
    varies = spread > _ROUNDING
    resolution = float((_ROUNDING / spread[varies]).max(initial=0.0))
    return ColumnSpace(orthonormal_columns(centred[:, varies]), True, resolution)


def log_volume(columns: FloatMatrix) -> float:
    """log det(X'X) / 2 of independent columns."""
    size = np.linalg.norm(columns, axis=0)
    triangle = np.linalg.qr(columns / size, mode="r")
    return float(np.log(np.abs(np.diag(triangle))).sum() + np.log(size).sum())


def coefficients_of(columns: FloatMatrix, others: FloatMatrix) -> FloatMatrix:
    """C (k, m) with ``others = columns C``, by least squares in scaled columns."""
    size = np.linalg.norm(columns, axis=0)
    size = np.where(size > 0.0, size, 1.0)
    found = np.linalg.lstsq(columns / size, others, rcond=1e-14)[0]
    return np.asarray(found / size[:, None])
