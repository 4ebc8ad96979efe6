"""Information about covariance parameters where the random effects vanish."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy.sparse import csr_array

from multilevel.array_types import FloatMatrix, FloatVector, IntVector


def null_information(
    terms: Sequence[tuple[IntVector, FloatMatrix]],
    X: FloatMatrix,
    weights: FloatVector | None,
    *,
    reml: bool,
) -> FloatMatrix:
    """Expected information of sigma^2 and of covariance entries at covariance zero.

    With ``V = sigma^2 W^-1 + sum_t Z_t (I (x) G_t) Z_t'`` at G = 0 and sigma = 1, the
    information of entries a, b is ``tr(P dV_a P dV_b) / 2``, where P is W (ML) or
    ``W - W X (X'W X)^-1 X'W`` (REML). Every trace is an inner product of sparse
    level-by-level cross-products less a matrix of rank p, so no (n, n) or dense
    (q, q) matrix is formed.

    Parameters
    ----------
    terms : sequence of (codes, columns)
        Of each random term: level index (n,) and raw columns (n, k).
    X : (n, p)
        Fixed-effects columns of full rank.
    weights : (n,) or None
        Prior weights.
    reml : bool
        Information in the restricted likelihood.

    Returns
    -------
    (1 + d, 1 + d) array
        sigma^2 first, then the lower triangle of each G_t, column by column.

    References
    ----------
    Harville (1977), JASA 72, 320-338, section 4.
    """
    root = np.ones(len(X)) if weights is None else np.sqrt(weights)
    entries = [
        (t, row, column)
        for t, (_, columns) in enumerate(terms)
        for column in range(columns.shape[1])
        for row in range(column, columns.shape[1])
    ]
    sides = [_level_columns(codes, columns, root) for codes, columns in terms]
    projected = _projections(sides, X * root[:, None], reml=reml)
    information = np.empty((len(entries) + 1,) * 2)
    information[0, 0] = np.count_nonzero(root) - (X.shape[1] if reml else 0)
    for a, (t, row, column) in enumerate(entries, start=1):
        once = 1.0 if row == column else 2.0
        total = np.sum(sides[t][row].multiply(sides[t][column]))
        total -= np.sum(projected[t][row] * projected[t][column])
        information[0, a] = information[a, 0] = once * total
    products = _LevelProducts(sides, projected)
    for a, first in enumerate(entries, start=1):
        for b, second in enumerate(entries[:a], start=1):
            value = products.trace(first, second)
            information[a, b] = information[b, a] = value
    return information / 2.0


def orthonormal_columns(
    columns: FloatMatrix, weights: FloatVector | None
) -> FloatMatrix:
    """Columns of the same span that are orthonormal in the weights, times sqrt(n).

    The cone of the covariance matrices of correlated effects is the same in any basis,
    but the information of their entries is near singular in columns like ``1, year``.

    Parameters
    ----------
    columns : (n, k)
    weights : (n,) or None
    """
    root = np.ones(len(columns)) if weights is None else np.sqrt(weights)
    scaled = columns / np.maximum(np.abs(columns).max(axis=0), 1e-300)
    Q = np.linalg.qr(scaled * root[:, None])[0]
    inside = root > 0
    out = np.zeros_like(Q)
    out[inside] = Q[inside] / root[inside, None]
    return np.asarray(out * np.sqrt(np.count_nonzero(inside)))


def cone_blocks(
    terms: Sequence[tuple[IntVector, FloatMatrix, bool]],
    weights: FloatVector | None,
) -> tuple[list[tuple[IntVector, FloatMatrix]], list[int]]:
    """Codes and columns of each covariance matrix that may leave zero, and its size.

    Parameters
    ----------
    terms : sequence of (codes, columns, whether the effects are correlated)
        Uncorrelated effects have a matrix of their own each.
    weights : (n,) or None
        In which the columns are made orthonormal.
    """
    blocks, sizes = [], []
    for codes, columns, correlated in terms:
        k = columns.shape[1]
        parts = [columns] if correlated else [columns[:, [i]] for i in range(k)]
        blocks += [(codes, orthonormal_columns(part, weights)) for part in parts]
        sizes += [part.shape[1] for part in parts]
    return blocks, sizes


def _level_columns(
    codes: IntVector, columns: FloatMatrix, root: FloatVector
) -> list[csr_array]:
    """For each effect the columns of sqrt(W) Z, one for each level, sparse (n, J)."""
    rows = np.arange(len(codes))
    shape = (len(codes), int(codes.max()) + 1)
    return [
        csr_array((column * root, (rows, codes)), shape=shape) for column in columns.T
    ]


def _projections(
    sides: list[list[csr_array]], X: FloatMatrix, *, reml: bool
) -> list[list[FloatMatrix]]:
    """Z'Q for an orthonormal basis Q of X, (J, p) for each effect; (J, 0) for ML."""
    if not reml or X.shape[1] == 0:
        return [[np.zeros((side.shape[1], 0)) for side in term] for term in sides]
    Q = np.linalg.qr(X / np.maximum(np.abs(X).max(axis=0), 1e-300))[0]
    return [[np.asarray(side.T @ Q) for side in term] for term in sides]


class _LevelProducts:
    """Inner products of the matrices Z_r'P Z_s, kept as sparse less low rank."""

    def __init__(
        self, sides: list[list[csr_array]], projected: list[list[FloatMatrix]]
    ) -> None:
        self._sides = sides
        self._projected = projected
        self._sparse: dict[tuple[int, int, int, int], csr_array] = {}

    def trace(self, first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
        """tr(P dV_a P dV_b) of two entries (term, row, column)."""
        (t, *rows), (u, *columns) = first, second
        lefts = {tuple(rows), tuple(reversed(rows))}
        rights = {tuple(columns), tuple(reversed(columns))}
        return sum(
            self._inner(t, u, r, s, c, v) for (r, c), (s, v) in product(lefts, rights)
        )

    def _inner(self, t: int, u: int, r: int, s: int, c: int, v: int) -> float:
        """<Z_r'P Z_s, Z_c'P Z_v> for effects r, c of term t and s, v of term u."""
        A, B = self._product(t, r, u, s), self._product(t, c, u, v)
        Ur, Us = self._projected[t][r], self._projected[u][s]
        Uc, Uv = self._projected[t][c], self._projected[u][v]
        total = np.sum(A.multiply(B)) - np.sum(Uc * (A @ Uv)) - np.sum(Ur * (B @ Us))
        return float(total + np.sum((Ur.T @ Uc) * (Us.T @ Uv)))

    def _product(self, t: int, r: int, u: int, s: int) -> csr_array:
        """Z_r'W Z_s, sparse (J_t, J_u), computed once."""
        key = (t, r, u, s)
        if key not in self._sparse:
            self._sparse[key] = (self._sides[t][r].T @ self._sides[u][s]).tocsr()
        return self._sparse[key]
