"""Least squares in every level of a factor at once.

The columns of each level are made orthonormal one by one (Gram-Schmidt, twice), by
sums over the rows of the levels: as many vector operations as pairs of columns, however
many levels there are. As a first column of ones takes the means out, an origin far from
the data costs no digits.

Held by tests/likelihood/rows/test_level_regressions.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.design.rank import ALIASED
from multilevel.likelihood.rows.effect_rows import LevelIndex

_ROUNDING_OF_FEW_ROWS = 4.0  # as in `design.rank`


@dataclass(frozen=True, slots=True)
class LevelBasis:
    """X_j = D_j R_j for each level j, with orthonormal columns of D_j.

    Attributes
    ----------
    index : LevelIndex
    directions : (p, n)
        The rows of each level; zero in the levels in which a column depends on those
        before it.
    R : (p, p, J)
        Upper triangular; zero rows there.
    kept : (p, J) booleans
        Which columns do not depend on the kept ones before them.
    """

    index: LevelIndex
    directions: FloatMatrix
    R: FloatArray
    kept: np.ndarray


@dataclass(frozen=True, slots=True)
class LevelSolutions:
    """Regressions of one response on the columns of each level.

    Attributes
    ----------
    params : (p, J)
        Zero for columns that are not kept.
    rest : (n,)
        What the columns leave of the response.
    ssr : (J,)
        Its sum of squares.
    """

    params: FloatMatrix
    rest: FloatVector
    ssr: FloatVector


def level_basis(columns: FloatMatrix, index: LevelIndex) -> LevelBasis:
    """Orthonormal columns in each level.

    Parameters
    ----------
    columns : (n, p)
        Finite numbers of any scale.
    index : LevelIndex
        Fastest if the rows are sorted by level.

    Returns
    -------
    LevelBasis

    References
    ----------
    Parlett (1980), The Symmetric Eigenvalue Problem, section 6.9 (twice is enough).

    Examples
    --------
    >>> import numpy as np
    >>> columns = np.column_stack([np.ones(5), [1.0, 2.0, 3.0, 7.0, 7.0]])
    >>> basis = level_basis(columns, LevelIndex(np.array([0, 0, 0, 1, 1]), 2))
    >>> basis.kept.tolist()  # the second column is constant in the second level
    [[True, True], [True, False]]
    """
    n, p = columns.shape
    rounding = np.finfo(float).eps * (_ROUNDING_OF_FEW_ROWS + np.sqrt(index.sums(None)))
    directions, R = np.zeros((p, n)), np.zeros((p, p, index.n_levels))
    errors = np.zeros((p, index.n_levels))
    kept = np.zeros((p, index.n_levels), dtype=bool)
    for k in range(p):
        # In units of its largest number, whose square a double holds.
        largest = index.largest(np.abs(columns[:, k]))
        scale = np.where(largest > 0, largest, 1.0)
        rest = columns[:, k] / index.spread(scale)
        norm = np.sqrt(index.sums(rest * rest))
        along, rest = _projected(directions[:k], rest, index)
        size = np.sqrt(index.sums(rest * rest))
        error = rounding * norm + (np.abs(along) * errors[:k]).sum(axis=0)
        kept[k] = size > np.maximum(ALIASED * norm, error)
        units = np.divide(1.0, size, where=kept[k], out=0.0 * size)
        directions[k] = rest * index.spread(units)
        np.divide(error, size, where=kept[k], out=errors[k])
        R[:k, k] = along * scale
        R[k, k] = np.where(kept[k], size * scale, 0.0)
    R *= kept[:, None]
    return LevelBasis(index, directions, R, kept)


def level_solutions(basis: LevelBasis, response: FloatVector) -> LevelSolutions:
    """Least squares of a response (n,) on the columns of each level."""
    along, rest = _projected(basis.directions, response, basis.index)
    params = back_substituted(basis.R, along[:, None])[:, 0]
    return LevelSolutions(params, rest, basis.index.sums(rest * rest))


def level_inverses(basis: LevelBasis) -> FloatArray:
    """(X_j'X_j)^-1 of each level, (p, p, J); zero rows for columns not kept."""
    p, n_levels = basis.kept.shape
    unit = np.repeat(np.eye(p)[:, :, None], n_levels, axis=2) * basis.kept[:, None]
    inverse = back_substituted(basis.R, unit)
    return np.asarray(np.einsum("acj,bcj->abj", inverse, inverse))


def back_substituted(R: FloatArray, rhs: FloatArray) -> FloatArray:
    """R^-1 B for upper triangular R (p, p, J) and B (p, c, J); zero for zero rows."""
    out = np.zeros_like(rhs)
    for k in reversed(range(len(R))):
        left = rhs[k] - np.einsum("ij,icj->cj", R[k, k + 1 :], out[k + 1 :])
        np.divide(left, R[k, k], out=out[k], where=R[k, k] > 0)
    return out


def level_products(
    columns: FloatMatrix, params: FloatMatrix, index: LevelIndex
) -> FloatVector:
    """x_i'b_j for each row i of level j, (n,), of columns (n, p) and params (p, J)."""
    total = np.zeros(len(columns))
    for column, values in zip(columns.T, params, strict=True):
        total += column * index.spread(values)
    return total


def _projected(
    directions: FloatMatrix, values: FloatVector, index: LevelIndex
) -> tuple[FloatMatrix, FloatVector]:
    """Coordinates (k, J) of values (n,) along orthonormal columns, and the rest."""
    along, rest = np.zeros((len(directions), index.n_levels)), values.copy()
    # The first pass leaves rounding of the size of the values.
    for _ in range(2):
        for i, direction in enumerate(directions):
            part = index.sums(direction * rest)
            rest -= direction * index.spread(part)
            along[i] += part
    return along, rest
