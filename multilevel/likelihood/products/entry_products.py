"""How far the data can tell entries of covariance matrices apart.

With ``V = sigma^2 W^-1 + sum_k Z_k (I (x) G_k) Z_k'`` the information of sigma^2 and of
directions of the G_k, where all G_k are zero and sigma is one, is half of

    tr(P dV_a P dV_b),    dV_a = Z_k (I (x) E_a) Z_k'    (W^-1 for sigma^2)

with P = W in the likelihood and ``W - W X (X'W X)^-1 X'W`` in the restricted one.  By
pairs of levels, Z_k'P Z_m is a block of the cross-products less one of rank p, so that
the rows are not needed and no (q, q) matrix is formed.

References
----------
Harville (1977), JASA 72, 320-338, section 4.

Held by tests/likelihood/products/test_entry_products.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, IntVector
from multilevel.likelihood.algebra.orthonormal import orthonormal_combinations
from multilevel.likelihood.products.cross_products import CrossProducts
from multilevel.likelihood.rows.column_basis import row_slices


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """A symmetric matrix along which a covariance of one factor's effects may move.

    Parameters
    ----------
    factor : int
        Position of the grouping factor.
    matrix : (S, S)
        E, of the working columns of all terms on the factor.
    """

    factor: int
    matrix: FloatMatrix


@dataclass(frozen=True, slots=True, eq=False)
class EntryProducts:
    """Traces tr(P dV_a P dV_b) of sigma^2, which comes first, and of directions.

    Parameters
    ----------
    restricted : (1 + d, 1 + d)
        With P that leaves out what the fixed columns span.
    unrestricted : (1 + d, 1 + d)
        With P = W.
    """

    restricted: FloatMatrix
    unrestricted: FloatMatrix


@dataclass(frozen=True, slots=True, eq=False)
class _FactorEntries:
    """Directions of one factor.

    Parameters
    ----------
    places : (d_k,)
        Among all traces.
    E : (d_k, S^2)
    U : (S, p, J)
        Z'Q by level, with Q an orthonormal basis of the fixed columns.
    H : (S^2, p^2)
        Sums over levels of ``U[r] U[s]'``.
    """

    places: IntVector
    E: FloatMatrix
    U: FloatArray
    H: FloatMatrix


def entry_products(
    products: CrossProducts, directions: Sequence[Direction]
) -> EntryProducts:
    """Traces of sigma^2 and of directions of the covariances of any factors.

    Parameters
    ----------
    products : CrossProducts
    directions : sequence of Direction
    """
    size, n_fixed = len(directions) + 1, len(products.XytXy) - 1
    restricted, unrestricted = np.zeros((2, size, size))
    restricted[0, 0] = products.n_rows - n_fixed
    unrestricted[0, 0] = products.n_rows
    inverse = _inverse_root(products)
    parts = {
        k: _factor_entries(products, k, directions, inverse)
        for k in sorted({direction.factor for direction in directions})
    }
    for k, part in parts.items():
        own = products.diagonal[k].sum(axis=2).ravel()
        flat = part.U.reshape(len(part.U), part.U[0].size)
        for traces, sums in (
            (restricted, own - (flat @ flat.T).ravel()),
            (unrestricted, own),
        ):
            traces[0, part.places] = traces[part.places, 0] = part.E @ sums
    for k, m in combinations_with_replacement(parts, 2):
        first, second = parts[k], parts[m]
        pair = _effect_products(products, (k, m), first, second)
        for traces, inner in zip((restricted, unrestricted), pair, strict=True):
            value = first.E @ inner @ second.E.T
            traces[first.places[:, None], second.places] = value
            if m != k:
                traces[second.places[:, None], first.places] = value.T
    return EntryProducts(restricted, unrestricted)


def projected_effects(products: CrossProducts, factor: int) -> FloatArray:
    """Z'Q by level, for an orthonormal basis Q of the fixed columns.

    Parameters
    ----------
    products : CrossProducts
    factor : int

    Returns
    -------
    (S, p, J) array
    """
    return _projected(products, factor, _inverse_root(products))


def _inverse_root(products: CrossProducts) -> FloatMatrix:
    """Z'X times it is Z'Q, (p, p)."""
    return orthonormal_combinations(products.XytXy[:-1, :-1])


def _projected(products: CrossProducts, factor: int, root: FloatMatrix) -> FloatArray:
    return np.asarray(root.T @ products.ZtXy[factor][:, :-1])


def _factor_entries(
    products: CrossProducts,
    factor: int,
    directions: Sequence[Direction],
    root: FloatMatrix,
) -> _FactorEntries:
    own = [a for a, direction in enumerate(directions) if direction.factor == factor]
    U = _projected(products, factor, root)
    size, n_fixed, n_levels = U.shape
    flat = U.reshape(size * n_fixed, n_levels)
    H = (flat @ flat.T).reshape(size, n_fixed, size, n_fixed)
    return _FactorEntries(
        places=np.array(own) + 1,
        E=np.array([directions[a].matrix for a in own]).reshape(len(own), -1),
        U=U,
        H=H.transpose(0, 2, 1, 3).reshape(size**2, n_fixed**2),
    )


def _effect_products(
    products: CrossProducts,
    factors: tuple[int, int],
    left: _FactorEntries,
    right: _FactorEntries,
) -> tuple[FloatMatrix, FloatMatrix]:
    """<Z_r'P Z_s, Z_c'P Z_v> for effects r, c of one factor and s, v of another.

    Returns
    -------
    (S^2, T^2) for the P of `EntryProducts.restricted`, and for W
        By (r, c) and (s, v).
    """
    k, m = factors
    pair = None if k == m else products.pairs[k, m]
    blocks = products.diagonal[k] if pair is None else pair.blocks
    shape = blocks.shape[:2]
    A = blocks.reshape(shape[0] * shape[1], -1)
    both = np.zeros((len(A), len(A)))
    # At pairs of levels that never occur together A is zero, and only the product of
    # two parts of rank p is left: for those and all others together it is H H'.
    for part in row_slices(A.shape[1]):
        at, on = (part, part) if pair is None else (pair.rows[part], pair.cols[part])
        D = np.einsum("rpj,spj->rsj", left.U[:, :, at], right.U[:, :, on])
        both += A[:, part] @ D.reshape(len(A), -1).T
    whole = _by_entry(A @ A.T, shape)
    rest = whole - _by_entry(both + both.T, shape) + left.H @ right.H.T
    return rest, whole


def _by_entry(products: FloatMatrix, shape: tuple[int, ...]) -> FloatMatrix:
    """Products of entry (r, c) with entry (s, v), from those of [r, s] with [c, v]."""
    n_left, n_right = shape
    swapped = products.reshape(n_left, n_right, n_left, n_right).transpose(0, 2, 1, 3)
    return np.asarray(swapped.reshape(n_left**2, n_right**2))
