"""Tests and confidence limits of single fixed effects, by method."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy.special import stdtr

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.methods import Method, Methods, chosen, methods
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.prediction.student_quantiles import two_sided_quantiles


def two_sided_p(statistic: FloatVector, df: FloatVector) -> FloatVector:
    """P(|T| >= |t|) for Student's t; infinite df give the normal distribution.

    Parameters
    ----------
    statistic, df : (n,)

    Returns
    -------
    (n,) array

    Examples
    --------
    >>> two_sided_p(np.array([1.96, 2.228]), np.array([np.inf, 10.0])).round(3)
    array([0.05, 0.05])
    """
    return np.asarray(2.0 * stdtr(df, -np.abs(statistic)))


def wald_limits(
    estimate: FloatVector, se: FloatVector, df: FloatVector, *, alpha: float
) -> FloatMatrix:
    """Estimate less and plus the t quantile times its standard error, (n, 2).

    Parameters
    ----------
    estimate, se, df : (n,)
    alpha : float
        One minus the coverage.

    Returns
    -------
    (n, 2) array
    """
    reach = two_sided_quantiles(df, alpha) * se
    return np.column_stack([estimate - reach, estimate + reach])


def estimates_and_errors(fitted: FittedModel) -> tuple[FloatVector, FloatVector]:
    """Of every column of the fixed effects; NaN for aliased ones, (p_all,) each."""
    errors = np.sqrt(np.diag(fitted.cov_beta))
    place = fitted.design.with_aliased
    return place(fitted.beta), place(errors)


def wald_interval(
    fitted: FittedModel, ddf: FloatVector, *, alpha: float
) -> FloatMatrix:
    """Limits by the standard errors and Student's t."""
    return wald_limits(*estimates_and_errors(fitted), ddf, alpha=alpha)


IntervalFunction: TypeAlias = Callable[..., FloatMatrix]
"""(fitted model, ddf (p_all,), alpha=) -> limits (p_all, 2) of the fixed effects."""

INTERVALS: Methods[IntervalFunction] = methods(
    Method(name="wald", text="Wald limits", function=wald_interval),
)


def intervals(
    fitted: FittedModel, ddf: FloatVector, *, alpha: float, method: str
) -> FloatMatrix:
    """Confidence limits of the fixed effects, (p_all, 2).

    Parameters
    ----------
    fitted : FittedModel
    ddf : (p_all,)
        Degrees of freedom, for methods that use them.
    alpha : float
        One minus the coverage.
    method : str
        A name in `INTERVALS`.

    Raises
    ------
    DataError
        For a method that there is not.
    """
    found = chosen(INTERVALS, method, option="method", kind=fitted.kind)
    return found.function(fitted, ddf, alpha=alpha)
