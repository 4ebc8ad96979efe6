"""The inverse of a covariance of random effects, where it has enough digits.

Held by tests/likelihood/elimination/test_eliminate.py.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from multilevel.array_types import FloatMatrix

NARROW = 1e-3
"""Least singular value of a covariance factor, in units of the largest, up to which
its covariance is inverted."""

SINGULAR = 1e-200
"""Variance of a single effect up to which it is not inverted."""


def covariance_inverse(lam: FloatMatrix) -> FloatMatrix | None:
    """(lam lam')^-1, (S, S); None where lam is singular or nearly so.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.likelihood.algebra.covariance_inverse import covariance_inverse
    >>> covariance_inverse(np.array([[0.5]]))
    array([[4.]])
    >>> covariance_inverse(np.zeros((2, 2))) is None
    True
    """
    if len(lam) == 1:
        variance = float(lam[0, 0]) ** 2
        return np.array([[1.0 / variance]]) if variance > SINGULAR else None
    return _inverse_of(np.asarray(lam, dtype=float).tobytes(), len(lam))


@lru_cache(maxsize=16)
def _inverse_of(content: bytes, size: int) -> FloatMatrix | None:
    """One evaluation asks for the same inverse in every step towards the modes."""
    lam = np.frombuffer(content).reshape(size, size)
    # Of the factor, whose condition is the root of the covariance's.
    left, sizes, _ = np.linalg.svd(lam)
    if not sizes[-1] > max(NARROW * sizes[0], 1e-100):
        return None
    inverse = np.asarray((left / sizes**2) @ left.T)
    inverse.setflags(write=False)
    return inverse
