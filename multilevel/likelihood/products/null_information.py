"""Information about covariance parameters where the random effects vanish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.sparse import csr_array

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.likelihood.rows.column_basis import first_of_rounding

_CHUNK = 100_000


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
    (q, q) matrix is formed. Terms that share an array of codes are handled together.

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
    factors = _stacked(terms)
    entries = [
        (k, start + row, start + column)
        for (k, start), (_, columns) in zip(factors.places, terms, strict=True)
        for column in range(columns.shape[1])
        for row in range(column, columns.shape[1])
    ]
    sides = [columns * root[:, None] for columns in factors.columns]
    basis = _fixed_basis(X * root[:, None], reml=reml)
    projected = [
        _level_products(codes, side, basis)
        for codes, side in zip(factors.codes, sides, strict=True)
    ]
    traces = np.zeros((len(entries) + 1,) * 2)
    # Rows of weight zero are no rows: tr(P W^-1 P W^-1) counts the others.
    traces[0, 0] = np.count_nonzero(root) - basis.shape[1]
    for k, (side, U) in enumerate(zip(sides, projected, strict=True)):
        own = side.T @ side - np.einsum("jrp,jsp->rs", U, U)
        for a, (factor, row, column) in enumerate(entries, start=1):
            if factor == k:
                # An entry off the diagonal stands in two places of G.
                once = 1.0 if row == column else 2.0
                traces[0, a] = traces[a, 0] = once * own[row, column]
    for k, m in product(range(len(sides)), repeat=2):
        if m <= k:
            inner = _inner_products(
                (factors.codes[k], sides[k], projected[k]),
                (factors.codes[m], sides[m], projected[m]),
            )
            _fill(traces, inner, entries, k, m)
    return traces / 2.0


@dataclass(frozen=True, slots=True)
class _Factors:
    """Terms with the same levels side by side.

    Parameters
    ----------
    codes : one (n,) for each factor
    columns : one (n, S) for each factor
    places : for each term, its factor and its first column there
    """

    codes: list[IntVector]
    columns: list[FloatMatrix]
    places: list[tuple[int, int]]


def _stacked(terms: Sequence[tuple[IntVector, FloatMatrix]]) -> _Factors:
    """Put terms that share one array of codes together."""
    known: dict[int, int] = {}
    codes: list[IntVector] = []
    parts: list[list[FloatMatrix]] = []
    places = []
    for own, columns in terms:
        if id(own) not in known:
            known[id(own)] = len(codes)
            codes.append(own)
            parts.append([])
        k = known[id(own)]
        places.append((k, sum(part.shape[1] for part in parts[k])))
        parts[k].append(columns)
    return _Factors(codes, [np.column_stack(part) for part in parts], places)


def _fixed_basis(X: FloatMatrix, *, reml: bool) -> FloatMatrix:
    """An orthonormal basis of X, (n, p); (n, 0) for ML."""
    if not reml or X.shape[1] == 0:
        return np.zeros((len(X), 0))
    scaled = X / np.maximum(np.abs(X).max(axis=0), 1e-300)
    return np.asarray(np.linalg.qr(scaled)[0], dtype=float)


def _level_products(
    codes: IntVector, first: FloatMatrix, second: FloatMatrix
) -> FloatArray:
    """Sums (J, S, T) over the rows of each level of the products of columns."""
    shape = (int(codes.max()) + 1, len(codes))
    ones, rows = np.ones(len(codes)), np.arange(len(codes))
    indicator = csr_array((ones, (codes, rows)), shape=shape)
    # One column at a time: (n, S, T) numbers would be many.
    parts = [indicator @ (column[:, None] * second) for column in first.T]
    return np.stack(parts, axis=1)


def _inner_products(
    left: tuple[IntVector, FloatMatrix, FloatArray],
    right: tuple[IntVector, FloatMatrix, FloatArray],
) -> FloatArray:
    """<Z_r'P Z_s, Z_c'P Z_v> for effects r, c of one factor and s, v of another.

    Z_r'W Z_s has entries at the pairs of levels that occur together only; the rest of
    Z_r'P Z_s has rank p.

    Returns
    -------
    (S, T, S, T) array
        By r, s, c, v.
    """
    (codes, side, U), (others, other, V) = left, right
    if codes is others:
        first = second = np.arange(len(U))
        pair = codes
    else:
        # Pairs of levels that occur, numbered: of all others the product is zero.
        keys, pair = np.unique(codes * len(V) + others, return_inverse=True)
        first, second = np.divmod(keys, len(V))
    whole = _level_products(pair, side, other)
    size = side.shape[1] * other.shape[1]
    A = whole.reshape(-1, size)
    products = A.T @ A
    if U.shape[2]:
        low = np.zeros((size, size))
        for start in range(0, len(A), _CHUNK):
            part = slice(start, start + _CHUNK)
            D = np.einsum("jrp,jsp->jrs", U[first[part]], V[second[part]])
            low += A[part].T @ D.reshape(-1, size)
        UU = np.einsum("jrp,jcq->rpcq", U, U, optimize=True)
        VV = np.einsum("jsp,jvq->spvq", V, V, optimize=True)
        rank = np.einsum("rpcq,spvq->rscv", UU, VV, optimize=True)
        products = products - low - low.T + rank.reshape(size, size)
    return np.asarray(
        products.reshape(side.shape[1], other.shape[1], -1, other.shape[1])
    )


def _fill(
    traces: FloatMatrix,
    inner: FloatArray,
    entries: Sequence[tuple[int, int, int]],
    k: int,
    m: int,
) -> None:
    """tr(P dV_a P dV_b) of the entries of two factors, from inner products."""
    lefts = [(a, r, c) for a, (f, r, c) in enumerate(entries, start=1) if f == k]
    rights = [(b, s, v) for b, (f, s, v) in enumerate(entries, start=1) if f == m]
    at, r, c = np.array(lefts).T[:, :, None]
    on, s, v = np.array(rights).T[:, None, :]
    # dV_a = Z_r Z_c' + Z_c Z_r', or one of them if r = c.
    twice_left, twice_right = np.where(r == c, 1.0, 2.0), np.where(s == v, 1.0, 2.0)
    total = (inner[r, s, c, v] + inner[r, v, c, s]) / 2.0
    value = total * twice_left * twice_right
    traces[at, on] = value
    traces[on.T, at.T] = value.T


def orthonormal_columns(
    columns: FloatMatrix, weights: FloatVector | None
) -> FloatMatrix:
    """Columns of the same span that are orthonormal in the weights, times sqrt(n).

    They are fewer if the columns depend on each other: the covariance matrices of the
    effects then give the data no more distributions than those of a basis.

    The cone of the covariance matrices of correlated effects is the same in any basis,
    but the information of their entries is near singular in columns like ``1, year``.

    Parameters
    ----------
    columns : (n, k)
    weights : (n,) or None
    """
    root = np.ones(len(columns)) if weights is None else np.sqrt(weights)
    scaled = columns / np.maximum(np.abs(columns).max(axis=0), 1e-300)
    rows = scaled * root[:, None]
    unit = (4.0 + np.sqrt(len(rows))) * np.finfo(float).eps
    while True:
        Q, R = np.linalg.qr(rows)
        dependent = first_of_rounding(R, unit * np.linalg.norm(rows, axis=0))
        if dependent < 0 or rows.shape[1] == 1:
            break
        # One at a time: with it gone, later columns are judged beside those that stay.
        rows = np.delete(rows, dependent, axis=1)
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
        bases = [orthonormal_columns(part, weights) for part in parts]
        blocks += [(codes, basis) for basis in bases]
        sizes += [basis.shape[1] for basis in bases]
    return blocks, sizes
