"""Small dense algebra on stacks of blocks, one block a level, level index last.

With the level index last every operation is a vector operation over the levels, so
the cost in Python does not grow with their number.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector


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
    factor = np.concatenate([blocks, rhs], axis=1)
    diagonal = blocks[np.arange(size), np.arange(size)].copy()
    for k in range(size):
        pivot = factor[k, k]
        # A level with fewer rows than effects has a block of lower rank: a
        # zero row says that nothing more is known of it, where a division
        # would make noise of rounding.
        valid = pivot > tolerance * diagonal[k]
        root = np.sqrt(np.where(valid, pivot, 1.0))
        factor[k, k:] *= np.where(valid, 1.0 / root, 0.0)
        factor[k, :k] = 0.0
        if k + 1 < size:
            factor[k + 1 :, k + 1 :] -= (
                factor[k, k + 1 : size, None] * factor[k, None, k + 1 :]
            )
    return factor[:, :size], factor[:, size:]


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
            raise np.linalg.LinAlgError("a level's block is not positive definite")
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
    total: FloatMatrix = np.zeros((left.shape[1], right.shape[1]))
    for a, b in zip(left, right, strict=True):
        total += a @ b.T
    return total


def absorb_levels(
    diagonal: FloatArray, lam: FloatMatrix
) -> tuple[FloatVector, FloatArray]:
    """log determinants (J,) and K (S, S, J) of a block-diagonal factor."""
    size, _, n_levels = diagonal.shape
    N = np.einsum("ba,bcj,cd->adj", lam, diagonal, lam, optimize=size > 1)
    N[np.arange(size), np.arange(size)] += 1.0
    rhs = np.repeat(lam.T[:, :, None], n_levels, axis=2)
    log_det, root = cholesky_solve_rows(N, rhs)
    return log_det, level_gram(root, root)
