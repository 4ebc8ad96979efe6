"""The rows in well-conditioned columns, and how estimates are carried back.

The fixed columns are made orthonormal, the response is replaced by its scaled
residual on them, the random columns are made orthonormal within their term where the
covariance structure allows, else scaled.  theta is unit-free in these columns.

Held by tests/likelihood/linear/test_huge_ratios.py and
tests/optimize/linear/test_joint_likelihood.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.likelihood.rows.column_basis import ColumnBasis


@dataclass(frozen=True, slots=True)
class RandomColumns:
    """The columns of one random term.

    Parameters
    ----------
    factor : int
        Position of its grouping factor.
    columns : (n, k)
    shared : (k,) tuple of int
        Position of the identical column of X, -1 where there is none.
    freedom : {"any", "scale", "none"}
        Changes of the columns under which the covariance structure is closed.
    """

    factor: int
    columns: FloatMatrix
    shared: tuple[int, ...]
    freedom: Literal["any", "scale", "none"]


@dataclass(frozen=True, slots=True)
class WorkingColumn:
    """A column of the working rows: its values, or one constant."""

    key: int
    values: FloatVector | None
    constant: float = 0.0

    @property
    def factor(self) -> float:
        """What products of the values are still to be multiplied by."""
        return 1.0 if self.values is not None else self.constant

    def in_rows(self, n_rows: int) -> FloatVector:
        """The column, (n,)."""
        return np.full(n_rows, self.constant) if self.values is None else self.values


@dataclass(frozen=True, slots=True)
class WorkingBasis:
    """From working coefficients to the user's.

    Parameters
    ----------
    order : (p,)
        Position in X of each working fixed column.
    fixed : ColumnBasis of ``X[:, order]``
    response_mean, response_scale : float
        In units of y.
    response_fit : (p,)
        Coefficients, on the working columns, of the fit removed from the response.
    constant : tuple of int and float
        Position in ``order`` of the constant column and its value; (-1, 0) if none.
    terms : one (k, k) matrix T for each term, working columns = columns @ T
    """

    order: IntVector
    fixed: ColumnBasis
    response_mean: float
    response_scale: float
    response_fit: FloatVector
    constant: tuple[int, float]
    terms: tuple[FloatMatrix, ...]

    def user_beta(self, beta: FloatVector) -> FloatVector:
        """Fixed effects (p,) in the user's columns and units."""
        mean = self.response_mean
        working = self.response_fit + self.response_scale * beta
        ordered = self.fixed.transform @ working
        position, value = self.constant
        if position >= 0:
            ordered[position] += mean / value
        out = np.empty_like(ordered)
        out[self.order] = ordered
        return out

    def working_beta(self, beta: FloatVector) -> FloatVector:
        """Inverse of `user_beta`."""
        ordered = np.array(beta, dtype=float)[self.order]
        position, value = self.constant
        if position >= 0:
            ordered[position] -= self.response_mean / value
        working = np.linalg.solve(self.fixed.transform, ordered)
        return np.asarray((working - self.response_fit) / self.response_scale)

    def user_rows(self, matrix: FloatArray) -> FloatArray:
        """T @ matrix with rows in the user's order, for covariances; no unit of y."""
        out = np.empty_like(matrix)
        out[self.order] = self.fixed.transform @ matrix
        return out


@dataclass(frozen=True, slots=True)
class WorkingRows:
    """Row-level columns ready for cross-products.

    Parameters
    ----------
    Xy : (n, p + 1)
        Working fixed columns and, last, the working response; Fortran order.
    constant : float
        Value of the first fixed column if it is constant, else zero.
    random : one tuple of k columns for each term
    weights : (n,) or None
    """

    Xy: FloatMatrix
    constant: float
    random: tuple[tuple[WorkingColumn, ...], ...]
    weights: FloatVector | None
    basis: WorkingBasis
