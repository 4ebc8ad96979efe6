"""Lower triangles of covariance matrices, and lower-triangular factors.

Held by tests/covariance/test_structures.py.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from multilevel.array_types import FloatMatrix, IntVector


@cache
def triangle_indices(size: int) -> tuple[IntVector, IntVector]:
    """Rows and columns of a lower triangle, column by column.

    Examples
    --------
    >>> rows, columns = triangle_indices(2)
    >>> list(zip(rows.tolist(), columns.tolist()))
    [(0, 0), (1, 0), (1, 1)]
    """
    # The upper triangle row by row is the lower one column by column.
    columns, rows = np.triu_indices(size)
    return rows, columns


def lower_factor(square_root: FloatMatrix) -> FloatMatrix:
    """Lower-triangular C with ``C C' = S S'`` and a diagonal that is not negative.

    Parameters
    ----------
    square_root : (k, r)
        Any square root S; its rank may be below k.

    Notes
    -----
    By a QR factorization of S', so that no accuracy is lost to squaring and a
    singular covariance needs no special case.
    """
    n_effects = len(square_root)
    if n_effects == 1:
        return np.asarray(np.sqrt((square_root**2).sum(keepdims=True)))
    padded = square_root
    if square_root.shape[1] < n_effects:
        missing = n_effects - square_root.shape[1]
        padded = np.hstack([square_root, np.zeros((n_effects, missing))])
    factor = np.asarray(np.linalg.qr(padded.T, mode="r")).T
    # The sign of a column means nothing; a fixed one makes theta unique.
    signs = np.where(np.diag(factor) < 0, -1.0, 1.0)
    return np.ascontiguousarray(np.tril(factor * signs))
