"""Denominator degrees of freedom of tests of fixed effects, by method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.errors import FitError
from multilevel.inference.satterthwaite import contrast_variance
from multilevel.optimize.common.fit_record import LMMFit
from multilevel.optimize.linear.problem import LinearProblem


class Denominators(Protocol):
    """Degrees of freedom of any contrast of one fit."""

    def df(self, L: FloatMatrix) -> FloatVector:
        """Those of the t test of each row of L (rows, p), (rows,)."""

    def f_df(self, L: FloatMatrix) -> float:
        """The denominator of the F test of all rows of L (rows, p) jointly."""

    def variance_df(
        self, variance: FloatVector, gradient: Callable[[], FloatMatrix]
    ) -> FloatVector:
        """Those of estimated variances (rows,) with derivatives (rows, m + 1)."""


@dataclass(frozen=True, slots=True)
class ConstantDf:
    """The same degrees of freedom for every contrast.

    Examples
    --------
    >>> ConstantDf(178.0).df(np.eye(2))
    array([178., 178.])
    """

    value: float

    def df(self, L: FloatMatrix) -> FloatVector:
        """`value` for each row."""
        return np.full(len(L), self.value)

    def f_df(self, L: FloatMatrix) -> float:
        """`value`."""
        return self.value

    def variance_df(
        self, variance: FloatVector, gradient: Callable[[], FloatMatrix]
    ) -> FloatVector:
        """`value` for each variance."""
        return np.full(len(variance), self.value)


def residual_df(problem: LinearProblem, fit: LMMFit) -> ConstantDf:
    """Rows less fixed effects, n - p, for every contrast."""
    return ConstantDf(float(problem.n_rows - problem.n_fixed))


def infinite_df(problem: LinearProblem, fit: LMMFit) -> ConstantDf:
    """Infinity for every contrast: t becomes normal and F chi-square."""
    return ConstantDf(np.inf)


DDF_METHODS: MappingProxyType[str, Callable[[LinearProblem, LMMFit], Denominators]] = (
    MappingProxyType(
        {
            "satterthwaite": contrast_variance,
            "residual": residual_df,
            "normal": infinite_df,
        }
    )
)
"""Name of the method -> function of problem and fit."""


def known_ddf(method: str) -> str:
    """The method's name, if there is such a method.

    Raises
    ------
    FitError
        Otherwise, naming those that there are.

    Examples
    --------
    >>> known_ddf("residual")
    'residual'
    """
    if not isinstance(method, str) or method not in DDF_METHODS:
        raise FitError(
            f"ddf={method!r} is not available; "
            f"use one of {', '.join(map(repr, DDF_METHODS))}"
        )
    return method
