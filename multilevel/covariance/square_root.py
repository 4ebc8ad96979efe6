"""Square roots of covariance matrices, for products that are not squared.

Held by tests/covariance/test_structures.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatMatrix


def covariance_root(covariance: FloatMatrix) -> FloatMatrix:
    """Square root (p, p) of a covariance matrix, ``root root'``.

    Parameters
    ----------
    covariance : (p, p)
        May be singular.

    Examples
    --------
    >>> import numpy as np
    >>> root = covariance_root(np.array([[4.0, 2.0], [2.0, 3.0]]))
    >>> (root @ root.T).round(12).tolist()
    [[4.0, 2.0], [2.0, 3.0]]
    """
    sd = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.where(sd > 0, sd, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    # A singular matrix has eigenvalues of rounding on either side of zero, whose
    # roots would be of half the digits.
    noise = 4.0 * len(values) * np.finfo(float).eps * values.max(initial=0.0)
    kept = np.where(values > noise, values, 0.0)
    return np.asarray(scale[:, None] * vectors * np.sqrt(kept))
