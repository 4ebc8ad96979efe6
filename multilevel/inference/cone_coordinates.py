"""Coordinates of a cone of covariance matrices that do not depend on the columns.

A change X -> A X A' of a block maps the semidefinite cone onto itself, so a null
distribution is a property of the metric up to such changes. Here one representative is
chosen: whatever units, origins or coding the random effects are written in, the same
numbers come out.

Held by tests/inference/test_cone_coordinates.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.inference.psd_cone import (
    block_slices,
    from_svec,
    svec_scale,
    to_svec,
    triangle_length,
)

_MAX_STEPS = 200
_MOST_SIGNS = 1024
_RIDGE = 1e-9


def unit_information(information: FloatMatrix) -> tuple[FloatMatrix, FloatVector]:
    """Information scaled to a diagonal of ones, and the units taken out, (d,).

    A parameter without information keeps the unit one.
    """
    size = np.diag(information)
    units = np.sqrt(np.where(size > 0.0, size, 1.0))
    return information / np.outer(units, units), units


def canonical_metric(
    metric: FloatMatrix, sizes: Sequence[int]
) -> tuple[FloatMatrix, tuple[int, ...]]:
    """The metric of a product of cones in coordinates of its own.

    In each block first the matrix S that minimizes ``|S|^2 / 2 - log det S`` in the
    metric becomes the identity, which leaves a rotation to choose, then the contraction
    of the metric becomes diagonal. The order of the blocks is that of their sizes and
    couplings.

    Parameters
    ----------
    metric : (d, d)
        Information in svec coordinates (`multilevel.inference.psd_cone`).
    sizes : sequence of int

    Returns
    -------
    metric : (d, d)
    sizes : tuple of int
        Of the blocks in their order here.
    """
    change = np.zeros_like(metric)
    for size, where in zip(sizes, block_slices(sizes), strict=True):
        basis = _block_basis(metric[where, where], size)
        change[where, where] = _congruence(basis)
    metric = change.T @ metric @ change
    metric, sizes = _in_order((metric + metric.T) / 2.0, sizes)
    # A ridge: directions without information must not divide by zero.
    return _signed(metric + _RIDGE * np.eye(len(metric)), sizes), sizes


def _is_scalar(sizes: Sequence[int]) -> bool:
    return all(size == 1 for size in sizes)


def _congruence(A: FloatMatrix) -> FloatMatrix:
    """The matrix (d, d) of X -> A X A' in svec coordinates."""
    basis = from_svec(np.eye(triangle_length(len(A))), len(A))
    return to_svec(A @ basis @ A.T).T


def _block_basis(metric: FloatMatrix, size: int) -> FloatMatrix:
    """A (size, size) such that X -> A X A' brings the block to its own coordinates."""
    # Units first, so that Newton's method starts near.
    rays = np.diag(metric)[svec_scale(size) == 1.0]
    # A = diag(a) multiplies e_i e_i' by a_i^2 and its information by a_i^4.
    start = np.diag(np.where(rays > 0.0, rays, 1.0) ** -0.25)
    if size == 1:
        return start
    change = _congruence(start)
    metric = change.T @ metric @ change
    ridge = _RIDGE * np.eye(len(metric))
    root = np.asarray(
        np.linalg.cholesky(_central_matrix(metric + ridge, size)), dtype=float
    )
    change = _congruence(root)
    half = from_svec(change.T @ metric @ change, size)
    tensor = from_svec(half.transpose(1, 2, 0), size)
    # A symmetric matrix that turns with the axes, so its eigenvectors are axes that do
    # not depend on those it was written in.
    contraction = np.einsum("abcb->ac", tensor)
    rotation = np.linalg.eigh(contraction + contraction.T)[1]
    return np.asarray(start @ root @ rotation)


def _central_matrix(metric: FloatMatrix, size: int) -> FloatMatrix:
    """Minimise ``s' metric s / 2 - log det S`` over positive definite S.

    The function is strictly convex and self-concordant: Newton's method with steps
    damped by the decrement converges from anywhere.

    References
    ----------
    Nesterov & Nemirovskii (1994), Interior-Point Polynomial Algorithms, section 2.2.
    """
    basis = from_svec(np.eye(len(metric)), size)
    s = to_svec(np.eye(size))
    length = float(s @ metric @ s)
    if not length > 0.0:
        raise np.linalg.LinAlgError("the information matrix is not positive definite")
    # The best multiple of the start, in closed form: s'H s equals the size at the
    # minimum.
    s = np.asarray(s * np.sqrt(size / length))
    for _ in range(_MAX_STEPS):
        inverse = np.asarray(np.linalg.inv(from_svec(s, size)), dtype=float)
        gradient = metric @ s - to_svec(inverse)
        moved = inverse @ basis @ inverse
        curvature = metric + np.einsum("aij,bij->ab", moved, basis)
        step = np.asarray(np.linalg.solve(curvature, gradient), dtype=float)
        decrement = float(np.sqrt(max(gradient @ step, 0.0)))
        # Below a decrement of 1/4 full steps converge quadratically.
        s = np.asarray(s - step / (1.0 + decrement if decrement > 0.25 else 1.0))
        if decrement < 1e-12:
            break
    return np.asarray(from_svec(s, size))


def _in_order(
    metric: FloatMatrix, sizes: Sequence[int]
) -> tuple[FloatMatrix, tuple[int, ...]]:
    """Blocks sorted by size and by how strongly they are coupled with the others."""
    slices = block_slices(sizes)
    couplings = [float((metric[where] ** 2).sum()) for where in slices]
    # Rounded: equal couplings keep their order whatever the last digits are.
    keys = [(size, float(f"{c:.9e}")) for size, c in zip(sizes, couplings, strict=True)]
    order = sorted(range(len(sizes)), key=keys.__getitem__)
    positions = np.arange(len(metric))
    where = np.concatenate([positions[slices[k]] for k in order])
    return metric[np.ix_(where, where)], tuple(sizes[k] for k in order)


def _signed(metric: FloatMatrix, sizes: Sequence[int]) -> FloatMatrix:
    """Signs of the effects, which are free, such that odd entries sum to most."""
    if _is_scalar(sizes):
        return metric
    # Weights without a pattern, so that no two choices of signs tie unless the metric
    # itself has the symmetry, when either is as good.
    generic = np.cos(np.arange(1.0, 1.0 + len(metric)))
    weights = np.outer(generic, generic) * metric
    signs = np.ones(len(metric))
    for size, where in zip(sizes, block_slices(sizes), strict=True):
        if size == 1 or 2 ** (size - 1) > _MOST_SIGNS:
            continue
        best = -np.inf
        # The first sign is free: turning all of them leaves X as it is.
        for pattern in product([1.0, -1.0], repeat=size - 1):
            flips = np.array([1.0, *pattern])
            trial = signs.copy()
            # An unscaled svec of a sign pattern: one factor for each entry.
            trial[where] = to_svec(np.outer(flips, flips)) / svec_scale(size)
            total = float(trial @ weights @ trial)
            if total > best + 1e-9:
                best, kept = total, trial
        signs = kept
    return np.asarray(metric * np.outer(signs, signs))
