"""The null distribution of a likelihood-ratio test, from information and cone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from multilevel.array_types import FloatMatrix
from multilevel.inference.chi_bar_square import (
    ChiBarSquare,
    cone_mixture,
    efficient_information,
)
from multilevel.inference.psd_cone import triangle_length


def null_distribution(
    information: Callable[[], FloatMatrix], sizes: Sequence[int], *, free: int = 0
) -> ChiBarSquare:
    """Null distribution of a test that has covariance matrices at zero.

    Parameters
    ----------
    information : callable
        Gives the information matrix under the null: nuisance parameters first, then
        the coordinates of the cones. It is not called where these alone settle the
        distribution: with nothing on the edge, or one variance.
    sizes : sequence of int
        Orders of the semidefinite matrices that may leave zero, each the lower triangle
        of a matrix, column by column; 1 for a half-line.
    free : int
        Further parameters that the null fixes inside their range.

    Returns
    -------
    ChiBarSquare

    Examples
    --------
    >>> print(null_distribution(lambda: np.eye(5), [2], free=1))
    0.0381 chi2(1) + 0.25 chi2(2) + 0.462 chi2(3) + 0.25 chi2(4)
    """
    if list(sizes) in ([], [1]):
        return cone_mixture(np.eye(len(sizes)), sizes, free=free)
    whole = information()
    n_nuisance = len(whole) - sum(triangle_length(size) for size in sizes)
    return cone_mixture(efficient_information(whole, n_nuisance), sizes, free=free)
