"""How far the data can tell entries of one factor's covariance matrices apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.products.cross_products import CrossProducts


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
    ZtX = products.ZtXy[factor][:, :-1]
    values, vectors = np.linalg.eigh(products.XytXy[:-1, :-1])
    return np.asarray(np.einsum("pq,spj->sqj", vectors / np.sqrt(values), ZtX))


def entry_products(
    products: CrossProducts, factor: int, directions: Sequence[FloatMatrix]
) -> tuple[FloatMatrix, FloatVector]:
    """Traces tr(P dV_a P dV_b) of sigma^2 and of directions of the covariance.

    The same numbers as `null_information` has for one factor, from the cross-products:
    by level, Z_r'P Z_s is a diagonal matrix less one of rank p.

    Parameters
    ----------
    products : CrossProducts
    factor : int
    directions : (S, S) symmetric matrices E
        dV = Z (I (x) E) Z'.

    Returns
    -------
    traces : (1 + d, 1 + d)
        sigma^2 first.
    sizes : (1 + d,)
        The diagonal with nothing left out for the fixed effects.
    """
    whole = products.diagonal[factor]
    size, n_fixed = len(whole), len(products.XytXy) - 1
    U = projected_effects(products, factor)
    A = whole.reshape(size**2, -1)
    D = np.einsum("rpj,spj->rsj", U, U).reshape(size**2, -1)
    H = np.einsum("rpj,sqj->rspq", U, U, optimize=True).reshape(size**2, -1)
    both = A @ D.T
    plain = _by_entry(A @ A.T, size)
    left = plain - _by_entry(both + both.T, size) + H @ H.T
    E = np.array(directions).reshape(len(directions), size**2)
    own = E @ (A.sum(axis=1) - D.sum(axis=1))
    traces = np.empty((len(E) + 1,) * 2)
    traces[0, 0] = products.n_rows - n_fixed
    traces[0, 1:] = traces[1:, 0] = own
    traces[1:, 1:] = E @ left @ E.T
    sizes = np.append(products.n_rows, np.diag(E @ plain @ E.T))
    return traces, np.asarray(sizes, dtype=float)


def _by_entry(products: FloatMatrix, size: int) -> FloatMatrix:
    """Products of entry (r, c) with entry (s, v), from those of [r, s] with [c, v]."""
    swapped = products.reshape((size,) * 4).transpose(0, 2, 1, 3)
    return np.asarray(swapped.reshape(size**2, -1))
