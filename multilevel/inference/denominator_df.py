"""Denominator degrees of freedom of tests of fixed effects, by method.

Held by tests/inference/test_coefficient_tests.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.errors import FitError
from multilevel.inference.satterthwaite import contrast_variance
from multilevel.methods import Method, Methods, ModelKind, chosen, methods
from multilevel.optimize.common.fitted_model import FittedModel


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


def residual_df(fitted: FittedModel) -> ConstantDf:
    """Rows less fixed effects, n - p, for every contrast."""
    return ConstantDf(float(len(fitted.design.y) - len(fitted.beta)))


def infinite_df(fitted: FittedModel) -> ConstantDf:
    """Infinity for every contrast: t becomes normal and F chi-square."""
    return ConstantDf(np.inf)


DDF_METHODS: Methods[Callable[[Any], Denominators]] = methods(
    Method(
        name="satterthwaite",
        text="t tests by Satterthwaite's method",
        function=contrast_variance,
        kinds=("linear",),
    ),
    Method(
        name="residual",
        text="t tests with residual degrees of freedom",
        function=residual_df,
    ),
    Method(name="normal", text="z tests", function=infinite_df),
)
"""Functions of a fitted model of one of the method's kinds."""


def known_ddf(method: str, kind: ModelKind) -> str:
    """The method's name, if there is such a method for this kind of model.

    Raises
    ------
    FitError
        Otherwise, naming those that there are.

    Examples
    --------
    >>> known_ddf("residual", "generalized")
    'residual'
    """
    return chosen(DDF_METHODS, method, option="ddf", kind=kind, error=FitError).name
