"""Projection onto products of cones of positive-semidefinite matrices.

Coordinates are `svec`: the lower triangle of each symmetric block, column by
column, with off-diagonal entries times sqrt(2), so that the Euclidean norm of the
coordinates is the Frobenius norm of the blocks. A block of size 1 is a half-line.

Held by tests/inference/test_cone_coordinates.py and
tests/inference/test_chi_bar_square.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.covariance.triangular import triangle_indices

_TOLERANCE = 1e-7
_MAX_STEPS = 500


def triangle_length(size: int) -> int:
    """Number of entries in the lower triangle of a (size, size) matrix."""
    return size * (size + 1) // 2


def svec_scale(size: int) -> FloatVector:
    """1 for diagonal entries and sqrt(2) for the others, (size (size + 1) / 2,)."""
    rows, columns = triangle_indices(size)
    return np.where(rows == columns, 1.0, np.sqrt(2.0))


def from_svec(coordinates: FloatArray, size: int) -> FloatArray:
    """Symmetric matrices (..., size, size) of coordinates (..., d)."""
    rows, columns = triangle_indices(size)
    matrices = np.empty((*coordinates.shape[:-1], size, size))
    entries = coordinates / svec_scale(size)
    matrices[..., rows, columns] = entries
    matrices[..., columns, rows] = entries
    return matrices


def to_svec(matrices: FloatArray) -> FloatArray:
    """Coordinates (..., size (size + 1) / 2) of symmetric matrices."""
    size = matrices.shape[-1]
    rows, columns = triangle_indices(size)
    return np.asarray(matrices[..., rows, columns] * svec_scale(size))


def block_slices(sizes: Sequence[int]) -> list[slice]:
    """The slice of the stacked coordinates that belongs to each block."""
    ends = np.cumsum([0, *(triangle_length(size) for size in sizes)])
    return [slice(int(start), int(end)) for start, end in pairwise(ends)]


def nearest_in_cone(points: FloatMatrix, sizes: Sequence[int]) -> FloatMatrix:
    """Euclidean projection of points (n, d): negative eigenvalues become zero."""
    projected = np.maximum(points, 0.0)
    for size, where in zip(sizes, block_slices(sizes), strict=True):
        if size > 1:
            values, vectors = np.linalg.eigh(from_svec(points[:, where], size))
            scaled = vectors * np.maximum(values, 0.0)[:, None, :]
            projected[:, where] = to_svec(scaled @ vectors.transpose(0, 2, 1))
    return projected


def project_in_metric(
    points: FloatMatrix, metric: FloatMatrix, sizes: Sequence[int]
) -> FloatMatrix:
    """Minimise ``(x - z)' metric (x - z)`` over the cone, for each row z of `points`.

    Accelerated projected gradient steps with a restart when the step turns uphill.

    Parameters
    ----------
    points : (n, d)
        Points in svec coordinates.
    metric : (d, d) positive definite
        Works best near a multiple of the identity.
    sizes : block sizes
        The cone is the product of the cones of these matrix sizes.

    Returns
    -------
    (n, d) array

    References
    ----------
    Beck & Teboulle (2009), SIAM J. Imaging Sci. 2, section 4;
    O'Donoghue & Candes (2015), Found. Comput. Math. 15, section 3.2.
    """
    # One over the Lipschitz constant of the gradient: the longest step that is safe.
    step = 1.0 / np.linalg.eigvalsh(metric)[-1]
    solution = nearest_in_cone(points, sizes)
    active = np.arange(len(points))
    x = ahead = solution.copy()
    momentum = np.ones((len(points), 1))
    limits = _TOLERANCE * np.maximum(np.abs(points).max(axis=1), 1e-300)
    for _ in range(_MAX_STEPS):
        gradient = (ahead - points[active]) @ metric
        new = nearest_in_cone(ahead - step * gradient, sizes)
        uphill = np.sum((ahead - new) * (new - x), axis=1) > 0
        momentum[uphill] = 1.0
        larger = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        # What has arrived leaves the batch: few points need most of the steps, and each
        # step costs an eigendecomposition for every point that is left.
        moving = np.abs(new - ahead).max(axis=1) > limits[active]
        solution[active] = new
        ahead = (new + (momentum - 1.0) / larger * (new - x))[moving]
        x, momentum, active = new[moving], larger[moving], active[moving]
        if not len(active):
            break
    return solution


def positive_ranks(points: FloatMatrix, sizes: Sequence[int]) -> IntVector:
    """Number of positive eigenvalues in each block of points in the cone, (n, blocks).

    Projections hold exact zeros up to rounding, so the rank is well defined.
    """
    ranks = np.empty((len(points), len(sizes)), dtype=np.intp)
    for k, (size, where) in enumerate(zip(sizes, block_slices(sizes), strict=True)):
        values = np.linalg.eigvalsh(from_svec(points[:, where], size))
        largest = np.maximum(values[:, -1:], 1e-300)
        ranks[:, k] = np.sum(values > 1e-12 * largest, axis=1)
    return ranks


def projection_derivative_eigenvalues(
    points: FloatMatrix,
    projections: FloatMatrix,
    metric: FloatMatrix,
    sizes: Sequence[int],
    ranks: Sequence[int],
) -> FloatMatrix:
    """Eigenvalues of the derivative of the projection, as far as they are not zero.

    At a projection x of rank r the surface of matrices of that rank is smooth. With
    its tangent space T, the metric H_T on it and the curvature C that the residual
    S = H (x - z) sees, the derivative on T is ``(H_T + C)^-1 H_T``.

    Parameters
    ----------
    points, projections : (n, d)
        Points and their projections in the metric, in svec coordinates.
    metric : (d, d)
    sizes : block sizes
    ranks : ranks of the blocks
        The same for all the projections.

    Returns
    -------
    (n, dimension of T), values between 0 and 1
    """
    # In this order it is positive semidefinite and zero along x (the optimality
    # conditions), so that the curvature is never negative and the eigenvalues lie in
    # (0, 1].
    dual = (projections - points) @ metric
    dimensions = [
        triangle_length(rank) + rank * (size - rank)
        for size, rank in zip(sizes, ranks, strict=True)
    ]
    ends = np.cumsum([0, *dimensions])
    tangent = np.zeros((len(points), points.shape[1], ends[-1]))
    curvature = np.zeros((len(points), ends[-1], ends[-1]))
    for k, where in enumerate(block_slices(sizes)):
        own = slice(ends[k], ends[k + 1])
        tangent[:, where, own], curvature[:, own, own] = _tangent_spaces(
            projections[:, where], dual[:, where], sizes[k], ranks[k]
        )
    flat = tangent.transpose(0, 2, 1) @ metric @ tangent
    # Not symmetric as written, but similar to a symmetric matrix: the eigenvalues are
    # real.
    eigenvalues = np.linalg.eigvals(np.linalg.solve(flat + curvature, flat))
    return np.asarray(np.clip(eigenvalues.real, 0.0, 1.0))


def _tangent_spaces(
    x: FloatMatrix, dual: FloatMatrix, size: int, rank: int
) -> tuple[FloatArray, FloatArray]:
    """Orthonormal bases (n, d, t) of the tangent spaces at x; curvatures (n, t, t)."""
    values, vectors = np.linalg.eigh(from_svec(x, size))
    nullity = size - rank
    within = [(i, j) for i in range(nullity, size) for j in range(nullity, i + 1)]
    across = [(i, m) for i in range(nullity, size) for m in range(nullity)]
    first, second = np.array(within + across, dtype=np.intp).reshape(-1, 2).T
    left, right = vectors[:, :, first], vectors[:, :, second]
    outer = np.einsum("nat,nbt->ntab", left, right)
    basis = to_svec((outer + outer.transpose(0, 1, 3, 2)) / np.sqrt(2.0))
    basis[:, first == second] /= np.sqrt(2.0)
    outside = vectors[:, :, :nullity]
    pull = outside.transpose(0, 2, 1) @ from_svec(dual, size) @ outside
    curvature = np.zeros((len(x), len(first), len(first)))
    # Along u m' + m u', with u an eigenvector of x of value l and m a null vector, the
    # surface bends by m m'/l for a unit step squared, of which S sees m'S m/l.
    for i in range(rank):
        start = len(within) + i * nullity
        own = slice(start, start + nullity)
        curvature[:, own, own] = pull / values[:, nullity + i, None, None]
    return basis.transpose(0, 2, 1), curvature
