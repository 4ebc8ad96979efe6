"""Triangular matrices, by LAPACK without the wrappers' checks.

Held by tests/likelihood/rows/test_column_basis.py and
tests/likelihood/linear/test_dense_likelihood.py.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg.lapack as lapack

from multilevel.array_types import FloatMatrix


def upper_inverse(upper: FloatMatrix) -> FloatMatrix:
    """Inverse of an upper-triangular matrix (k, k), whose lower part must be zero.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a diagonal entry is zero.
    """
    if not len(upper):
        return upper
    inverse, info = lapack.dtrtri(upper)
    if info:
        raise np.linalg.LinAlgError("a triangular factor is singular")
    return np.asarray(inverse)
