"""The rows in well-conditioned columns, and how estimates are carried back.

The fixed columns are made orthonormal, the response is replaced by its scaled
residual on them, the random columns are made orthonormal within their term where the
covariance structure allows, else scaled.  theta is unit-free in these columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.likelihood.column_basis import (
    ColumnBasis,
    common_scale_basis,
    constant_column,
    orthonormal_basis,
    scaling_basis,
    weighted_mean,
)


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
    fixed : (n, p + 1)
        Working fixed columns and, last, the working response; Fortran order.
    fixed_constant : float
        Value of the first fixed column if it is constant, else zero.
    random : one tuple of k columns for each term
    weights : (n,) or None
    """

    fixed: FloatMatrix
    fixed_constant: float
    random: tuple[tuple[WorkingColumn, ...], ...]
    weights: FloatVector | None
    basis: WorkingBasis


def _column_order(
    X: FloatMatrix, terms: Sequence[RandomColumns], constant: int
) -> list[int]:
    """Constant first, then the columns that an unstructured term shares, then rest."""
    order = [constant] if constant >= 0 else []
    for term in terms:
        if term.freedom == "any" and len(term.shared) > 1 and min(term.shared) >= 0:
            order += [j for j in term.shared if j not in order]
            break
    return order + [j for j in range(X.shape[1]) if j not in order]


def _fixed_columns(
    X: FloatMatrix, y: FloatVector, weights: FloatVector | None, order: list[int]
) -> tuple[FloatMatrix, ColumnBasis]:
    n_rows, n_fixed = X.shape
    ordered = X if order == list(range(n_fixed)) else X[:, order]
    basis = orthonormal_basis(ordered, weights) or scaling_basis(ordered, weights)
    fixed = np.empty((n_rows, n_fixed + 1), order="F")
    fixed[:, :n_fixed] = basis.apply(ordered)
    fixed[:, n_fixed] = y
    return fixed, basis


def _reduce_response(
    fixed: FloatMatrix, weights: FloatVector | None, has_constant: bool
) -> tuple[float, FloatVector, float]:
    """Replace the last column by its scaled residual; mean, coefficients and scale."""
    n_rows, n_fixed = fixed.shape[0], fixed.shape[1] - 1
    response, Q = fixed[:, -1], fixed[:, :-1]
    mean = weighted_mean(response, weights) if has_constant else 0.0
    response -= mean
    weighted = response if weights is None else response * weights
    coefficients = Q.T @ weighted / n_rows
    if n_fixed:
        response -= Q @ coefficients
    weighted = response if weights is None else response * weights
    scale = float(np.sqrt(response @ weighted / n_rows))
    if not np.isfinite(scale) or scale <= 0:
        scale = 1.0
    response /= scale
    return mean, coefficients, scale


def working_rows(
    y: FloatVector,
    X: FloatMatrix,
    terms: Sequence[RandomColumns],
    weights: FloatVector | None,
) -> WorkingRows:
    """Transform response, fixed and random columns.

    Parameters
    ----------
    y : (n,)
        Response less any offset.
    X : (n, p)
        Of full column rank.
    terms : random terms in formula order
    weights : (n,) or None
        Prior weights, positive.
    """
    constant = constant_column(X)
    order = _column_order(X, terms, constant)
    fixed, basis = _fixed_columns(X, y, weights, order)
    mean, coefficients, scale = _reduce_response(fixed, weights, constant >= 0)
    fixed_constant = float(fixed[0, 0]) if constant >= 0 and len(fixed) else 0.0
    columns, transforms = _random_columns(
        fixed, fixed_constant, basis, order, terms, weights
    )
    return WorkingRows(
        fixed,
        fixed_constant,
        columns,
        weights,
        WorkingBasis(
            np.asarray(order, dtype=np.intp),
            basis,
            mean,
            scale,
            coefficients,
            (0, float(X[0, constant])) if constant >= 0 else (-1, 0.0),
            transforms,
        ),
    )


def _random_columns(
    fixed: FloatMatrix,
    fixed_constant: float,
    basis: ColumnBasis,
    order: list[int],
    terms: Sequence[RandomColumns],
    weights: FloatVector | None,
) -> tuple[tuple[tuple[WorkingColumn, ...], ...], tuple[FloatMatrix, ...]]:
    columns: list[tuple[WorkingColumn, ...]] = []
    transforms: list[FloatMatrix] = []
    next_key = fixed.shape[1]
    for term in terms:
        leading = _leading_shared(term, order)
        if leading and fixed_constant and term.freedom == "any":
            positions = [order.index(j) for j in term.shared]
            T = basis.transform[: len(leading), : len(leading)][positions]
            columns.append(_shared_columns(fixed, fixed_constant, len(leading)))
        else:
            T, values = _own_columns(term, weights)
            columns.append(
                tuple(
                    _working_column(next_key + j, values[:, j])
                    for j in range(values.shape[1])
                )
            )
            next_key += values.shape[1]
        transforms.append(T)
    return tuple(columns), tuple(transforms)


def _leading_shared(term: RandomColumns, order: list[int]) -> list[int]:
    """The leading fixed columns if they are exactly the term's columns, else empty."""
    leading = order[: len(term.shared)]
    return leading if sorted(leading) == sorted(term.shared) else []


def _shared_columns(
    fixed: FloatMatrix, constant: float, n_columns: int
) -> tuple[WorkingColumn, ...]:
    first = WorkingColumn(0, None, constant)
    rest = (WorkingColumn(j, fixed[:, j]) for j in range(1, n_columns))
    return (first, *rest)


def _own_columns(
    term: RandomColumns, weights: FloatVector | None
) -> tuple[FloatMatrix, FloatMatrix]:
    basis = None
    if term.freedom == "any" and term.columns.shape[1] > 1:
        basis = orthonormal_basis(term.columns, weights)
    if basis is None:
        build = common_scale_basis if term.freedom == "none" else scaling_basis
        basis = build(term.columns, weights)
    return basis.transform, basis.apply(term.columns)


def _working_column(key: int, values: FloatVector) -> WorkingColumn:
    if len(values) and (values == values[0]).all():
        return WorkingColumn(key, None, float(values[0]))
    return WorkingColumn(key, values)
