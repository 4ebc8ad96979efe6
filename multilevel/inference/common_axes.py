"""The axes along which several symmetric matrices are as diagonal as can be.

Held by tests/inference/test_satterthwaite.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, IntVector

_SWEEPS = 40

_GAIN = 1e-12
"""Share of the sum of squares of the diagonals that is not worth another sweep."""


def common_axes(matrices: FloatArray) -> FloatMatrix:
    """Orthogonal V (q, q) that maximises the squares on the diagonals of V'M_c V.

    Pairs of axes are turned by the best angle until nothing is gained, all disjoint
    pairs at once. Where the matrices are multiples of the identity any axes will do.

    Parameters
    ----------
    matrices : (c, q, q)
        Symmetric.

    References
    ----------
    Cardoso & Souloumiac (1996), SIAM J. Matrix Anal. Appl. 17, 161-164.

    Examples
    --------
    >>> import numpy as np
    >>> turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    >>> both = np.array([turn @ np.diag(d) @ turn.T for d in ([1.0, 2.0], [3.0, 5.0])])
    >>> V = common_axes(both)
    >>> bool(np.abs((V.T @ both @ V)[:, 0, 1]).max() < 1e-12)
    True
    """
    # A start that depends on the matrices only, not on the axes they are given in.
    vectors = np.linalg.eigh(np.einsum("cpq,cqr->pr", matrices, matrices))[1]
    turned = vectors.T @ matrices @ vectors
    total = float(np.square(turned).sum())
    for _ in range(_SWEEPS):
        gained = 0.0
        for i, j in _disjoint_pairs(len(vectors)):
            # Turning a pair by the angle a changes the sum of squares of its diagonals
            # to (even cos 4a + odd sin 4a) / 4 and a constant, so the best a is in
            # closed form; the one of arctan2 is the smallest, which keeps the axes from
            # swapping for ever.
            apart = turned[:, i, i] - turned[:, j, j]
            across = 2.0 * turned[:, i, j]
            even = np.square(apart).sum(axis=0) - np.square(across).sum(axis=0)
            odd = 2.0 * (apart * across).sum(axis=0)
            gained += float((np.hypot(even, odd) - even).sum()) / 4.0
            angle = 0.25 * np.arctan2(odd, even)
            c, s = np.cos(angle), np.sin(angle)
            _turn(turned, i, j, c, s)
            _turn(turned.transpose(0, 2, 1), i, j, c, s)
            _turn(vectors[None], i, j, c, s)
        if gained <= _GAIN * total:
            break
    return vectors


def _turn(
    matrices: FloatArray, i: IntVector, j: IntVector, c: FloatArray, s: FloatArray
) -> None:
    """Rotate pairs of columns (i, j) in place."""
    first, second = matrices[:, :, i], matrices[:, :, j]
    matrices[:, :, i] = first * c + second * s
    matrices[:, :, j] = second * c - first * s


def _disjoint_pairs(n_axes: int) -> Iterator[tuple[IntVector, IntVector]]:
    """Every pair of axes once, as rounds of disjoint pairs."""
    # The rounds of a tournament: one place is fixed, the others move on around it. With
    # an odd number one axis of each round has no opponent.
    circle = np.arange(n_axes + n_axes % 2)
    half = len(circle) // 2
    for _ in range(len(circle) - 1):
        first, second = circle[:half], circle[half:][::-1]
        real = (first < n_axes) & (second < n_axes)
        yield first[real], second[real]
        circle = np.concatenate([circle[:1], np.roll(circle[1:], 1)])
