"""Which columns of a matrix are linearly independent, the earlier ones first.

Held by tests/design/test_rank.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector, IntVector

# A column is aliased if what the kept columns before it leave of it is smaller than
# this part of it: far above rounding (1e-16 times the number of columns), far below
# what honest data need (a mean of 1e9 with a standard deviation of 1 leaves 1e-9).
ALIASED = 1e-10

# What is left of a column may also be the rounding of the earlier ones: the directions
# of columns far from zero, beside each other, are known to fewer digits than they have.
# Errors of a QR are this many units of rounding, and the square root of the rows.
_ERRORS_OF_FEW_ROWS = 4.0

# Above this the cross-products, whose rounding errors are squared, decide safely: the
# square of what a column leaves is then known to some 1e-16 / 1e-3**2.
_CLEARLY_INDEPENDENT = 1e-3

_ROWS_AT_ONCE = 8192


def independent_columns(matrix: FloatMatrix) -> IntVector:
    """Positions of the columns that do not depend on the kept ones before them.

    Parameters
    ----------
    matrix : (n, p)
        Finite numbers, of any scale.

    Returns
    -------
    (rank,) integers, ascending
        As R does, of several dependent columns the earlier ones are kept.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.design.rank import independent_columns
    >>> one, x = np.ones(5), np.arange(5.0)
    >>> independent_columns(np.column_stack([one, x, 2 * x - 3, x**2])).tolist()
    [0, 1, 3]
    """
    n_columns = matrix.shape[1]
    if n_columns == 0:
        return np.arange(0)
    if len(matrix) > n_columns and _is_clearly_independent(matrix):
        return np.arange(n_columns)
    rounding = np.finfo(float).eps * (_ERRORS_OF_FEW_ROWS + np.sqrt(len(matrix)))
    return _kept_columns(scaled_triangle(matrix)[0], float(rounding))


def _is_clearly_independent(matrix: FloatMatrix) -> bool:
    """Decide by the Cholesky factor of the scaled cross-products, if that is safe."""
    with np.errstate(all="ignore"):
        products = matrix.T @ matrix
        scale = np.sqrt(np.diag(products))
        if not (np.all(np.isfinite(scale)) and np.all(scale > 1e-100)):
            return False
        try:
            factor = np.linalg.cholesky(products / np.outer(scale, scale))
        except np.linalg.LinAlgError:
            return False
    # A diagonal entry is the part of a column that those before it leave.
    return bool(np.diag(factor).min() > _CLEARLY_INDEPENDENT)


def scaled_triangle(matrix: FloatMatrix) -> tuple[FloatMatrix, FloatVector]:
    """R of a Householder QR of the matrix with each column divided by a scale.

    Taken over a few rows at a time, so that the matrix is not copied as a whole.

    Parameters
    ----------
    matrix : (n, p)
        Finite numbers.

    Returns
    -------
    triangle : (at most p, p)
        With the same cross-products as the scaled columns.
    scale : (p,)
        Largest size of each column; 1 for a column of zeros.
    """
    largest = np.abs(matrix).max(axis=0, initial=0.0)
    scale = np.where(largest > 0, largest, 1.0)
    n_columns = matrix.shape[1]
    # Each piece carries the triangle along: with few rows beside it the
    # triangle would be most of the work.
    rows_at_once = max(_ROWS_AT_ONCE, 4 * n_columns)
    triangle = np.empty((0, n_columns))
    for start in range(0, max(len(matrix), 1), rows_at_once):
        rows = matrix[start : start + rows_at_once] / scale
        stacked = np.vstack([triangle, rows])
        triangle = np.asarray(np.linalg.qr(stacked, mode="r"))
    return triangle, scale


def _kept_columns(triangle: FloatMatrix, rounding: float) -> IntVector:
    """Gram-Schmidt, twice, of each column against the kept ones.

    Each column is known to `rounding` times its length, and each direction to that of
    its column and of those before it, over the length of what they left of it.
    """
    kept: list[int] = []
    basis = np.empty((len(triangle), min(triangle.shape)))
    errors = np.empty(basis.shape[1])
    for position, column in enumerate(triangle.T):
        norm = float(np.linalg.norm(column))
        if norm == 0.0 or len(kept) == basis.shape[1]:
            continue
        directions = basis[:, : len(kept)]
        along = directions.T @ column
        rest = column - directions @ along
        # Once more: the first pass leaves rounding of the size of the column, which is
        # large beside a small rest. Twice is enough (Parlett 1980, section 6.9).
        rest -= directions @ (directions.T @ rest)
        size = float(np.linalg.norm(rest))
        error = rounding * norm + float(np.abs(along) @ errors[: len(kept)])
        if size > max(ALIASED * norm, error):
            basis[:, len(kept)] = rest / size
            errors[len(kept)] = error / size
            kept.append(position)
    return np.array(kept, dtype=np.intp)
