"""Null distributions of a likelihood-ratio test, by method.

Held by tests/inference/test_null_distribution.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from multilevel.array_types import FloatMatrix
from multilevel.inference.chi_bar_square import (
    ChiBarSquare,
    cone_mixture,
    efficient_information,
)
from multilevel.inference.psd_cone import triangle_length
from multilevel.methods import Method, Methods, methods
from multilevel.option_values import as_word


class NullDistribution(Protocol):
    """What a statistic is compared with; its text is how it is written."""

    def survival(self, statistic: float) -> float:
        """P(X >= statistic)."""


def chi_square(
    information: Callable[[], FloatMatrix], sizes: Sequence[int], *, free: int = 0
) -> ChiBarSquare:
    """As if no parameter were on the edge of its range.

    Examples
    --------
    >>> print(chi_square(lambda: np.eye(5), [2], free=1))
    chi2(4)
    """
    return ChiBarSquare((1.0,), free + sum(map(triangle_length, sizes)))


def mixture(
    information: Callable[[], FloatMatrix], sizes: Sequence[int], *, free: int = 0
) -> ChiBarSquare:
    """The chi-bar-square mixture of a test that has covariance matrices at zero.

    Examples
    --------
    >>> print(mixture(lambda: np.eye(5), [2], free=1))
    0.176 chi2(1) + 0.384 chi2(2) + 0.324 chi2(3) + 0.116 chi2(4)
    """
    if list(sizes) in ([], [1]):
        return cone_mixture(np.eye(len(sizes)), sizes, free=free)
    whole = information()
    n_nuisance = len(whole) - sum(triangle_length(size) for size in sizes)
    return cone_mixture(efficient_information(whole, n_nuisance), sizes, free=free)


NullFunction: TypeAlias = Callable[..., NullDistribution]
"""(information, sizes, free=) -> the distribution; see `null_distribution`."""

NULLS: Methods[NullFunction] = methods(
    Method(name="chibar2", text="mixture of chi-squares", function=mixture),
    Method(name="chi2", text="chi-square", function=chi_square),
)


def null_distribution(
    information: Callable[[], FloatMatrix],
    sizes: Sequence[int],
    *,
    free: int = 0,
    method: str = "chibar2",
) -> NullDistribution:
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
    method : str
        A name in `NULLS`.

    Returns
    -------
    NullDistribution
    """
    row = NULLS[as_word(method, NULLS, "method")]
    return row.function(information, sizes, free=free)
