"""Small dense algebra on stacks of blocks, one block a level, level index last.

With the level index last every operation is a vector operation over the levels, so
the cost in Python does not grow with their number.

Held by tests/likelihood/linear/test_huge_ratios.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.algebra.covariance_inverse import covariance_inverse

NOT_POSITIVE = "a level's block is not positive definite"


def semidefinite_rows(
    blocks: FloatArray, rhs: FloatArray, *, tolerance: float = 1e-12
) -> tuple[FloatArray, FloatArray]:
    """Upper factors R with R'R = A and R^-T B, for semidefinite A.

    Parameters
    ----------
    blocks : (S, S, J)
        A of each level.  A pivot below `tolerance` of its diagonal entry counts as
        zero, and its row of both results is zero.
    rhs : (S, c, J)
        B of each level, with columns in the range of A.

    Returns
    -------
    (S, S, J) and (S, c, J)
    """
    size = len(blocks)
    rows = np.concatenate([blocks, rhs], axis=1)
    diagonal = blocks[np.arange(size), np.arange(size)].copy()
    for k in range(size):
        pivot = rows[k, k]
        # A level with fewer rows than effects has a block of lower rank: a
        # zero row says that nothing more is known of it, where a division
        # would make noise of rounding.
        valid = pivot > tolerance * diagonal[k]
        root = np.sqrt(np.where(valid, pivot, 1.0))
        rows[k, k:] *= np.where(valid, 1.0 / root, 0.0)
        rows[k, :k] = 0.0
        if k + 1 < size:
            rows[k + 1 :, k + 1 :] -= (
                rows[k, k + 1 : size, None] * rows[k, None, k + 1 :]
            )
    return rows[:, :size], rows[:, size:]


def semidefinite_solve_rows(R: FloatArray, rhs: FloatArray) -> FloatArray:
    """R^-T B with the zero rows of R where `semidefinite_rows` has them, (S, c, J)."""
    out = np.zeros_like(rhs)
    for k in range(len(R)):
        left = rhs[k] - np.einsum("ij,icj->cj", R[:k, k], out[:k])
        np.divide(left, R[k, k], out=out[k], where=R[k, k] > 0)
    return out


def cholesky_solve_rows(
    blocks: FloatArray, rhs: FloatArray
) -> tuple[FloatVector, FloatArray]:
    """log|N| of every level and L^-1 B, with L the Cholesky factor of N.

    Parameters
    ----------
    blocks : (S, S, J)
        Positive definite N of each level; overwritten.
    rhs : (S, c, J)
        Overwritten by the result.
    """
    determinant = np.ones(blocks.shape[2])
    log_det = np.zeros(blocks.shape[2])
    for k in range(len(blocks)):
        pivot = blocks[k, k]
        if not pivot.min(initial=1.0) > 0.0:
            raise np.linalg.LinAlgError(NOT_POSITIVE)
        determinant *= pivot
        # A logarithm costs as much as many multiplications;
        # four pivots do not overflow.
        if k % 4 == 3 or k + 1 == len(blocks):
            log_det += np.log(determinant)
            determinant.fill(1.0)
        root = np.sqrt(pivot)
        rhs[k] /= root
        if k + 1 < len(blocks):
            column = blocks[k, k + 1 :] / root
            for i in range(len(column)):
                row = k + 1 + i
                blocks[row, row:] -= column[i] * column[i:]
                rhs[row] -= column[i] * rhs[k]
    return log_det, rhs


def level_gram(left: FloatArray, right: FloatArray) -> FloatArray:
    """left_j' right_j for every level: (S, a, J), (S, b, J) -> (a, b, J)."""
    if len(left) == 1:
        return np.asarray(left[0][:, None] * right[0][None, :])
    return np.asarray(np.einsum("saj,sbj->abj", left, right))


def summed_gram(left: FloatArray, right: FloatArray) -> FloatMatrix:
    """Sum over levels of left_j' right_j: (S, a, J), (S, b, J) -> (a, b)."""
    if len(left) == 1:
        return np.asarray(left[0] @ right[0].T)
    # By matrix products along the levels, which BLAS does; einsum would not.
    total: FloatMatrix = np.zeros((left.shape[1], right.shape[1]))
    for a, b in zip(left, right, strict=True):
        total += a @ b.T
    return total


def level_product(left: FloatArray, right: FloatArray) -> FloatArray:
    """left_j right_j for every level: (a, s, J), (s, b, J) -> (a, b, J)."""
    if left.shape[1] == 1:
        return np.asarray(left[:, 0][:, None] * right[0][None, :])
    return np.asarray(np.einsum("asj,sbj->abj", left, right))


def absorb_levels(
    diagonal: FloatArray, lam: FloatMatrix
) -> tuple[FloatVector, FloatArray]:
    """log|N_j| and K_j = lam N_j^-1 lam' with N_j = lam'P_j lam + I.

    Parameters
    ----------
    diagonal : (S, S, J)
        P of each level.
    lam : (S, S)

    Returns
    -------
    (J,) and (S, S, J)

    Raises
    ------
    numpy.linalg.LinAlgError
        If the N of a level is not positive definite.
    """
    if len(lam) == 1:
        variance = lam[0, 0] ** 2
        grown = variance * diagonal[0, 0]
        if not (grown > -1.0).all():
            raise np.linalg.LinAlgError(NOT_POSITIVE)
        # Nothing is rooted or inverted, and a variance near zero keeps all its digits.
        return np.log1p(grown), np.asarray(variance / (1.0 + grown))[None, None]
    size, n_levels = len(lam), diagonal.shape[2]
    half = (lam.T @ diagonal.reshape(size, -1)).reshape(diagonal.shape)
    N = np.matmul(lam.T, half)
    # L^-1 lam' below, by the same elimination.
    root = np.repeat(lam.T[:, :, None], n_levels, axis=2)
    product, log_det = np.ones(n_levels), np.zeros(n_levels)
    for k in range(size):
        # One is added last: beside it, what the rows tell of a
        # tiny variance would round off.
        pivot = N[k, k] + 1.0
        if not (pivot > 0.0).all():
            raise np.linalg.LinAlgError(NOT_POSITIVE)
        product *= pivot
        if k % 4 == 3 or k + 1 == size:  # as in `cholesky_solve_rows`
            log_det += np.log(product)
            product.fill(1.0)
        for i in range(k + 1, size):
            ratio = N[k, i] / pivot
            N[i, i:] -= ratio * N[k, i:]
            root[i] -= ratio * root[k]
        root[k] /= np.sqrt(pivot)
    return log_det, level_gram(root, root)


def left_over(diagonal: FloatArray, K: FloatArray, lam: FloatMatrix) -> FloatArray:
    """I - P K of every level, (S, S, J), as G^-1 K, which keeps digits, if it can."""
    if len(lam) == 1:
        return np.asarray(1.0 / (1.0 + lam[0, 0] ** 2 * diagonal))
    G_inverse = covariance_inverse(lam)
    if G_inverse is not None:
        return np.asarray(np.einsum("st,tuj->suj", G_inverse, K))
    return np.asarray(np.eye(len(lam))[:, :, None] - level_product(diagonal, K))
