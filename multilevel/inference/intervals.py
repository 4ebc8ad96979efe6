"""Tests and confidence limits of single parameters, by method.

Held by tests/inference/test_coefficient_tests.py and
tests/inference/test_variance_components.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy.special import stdtr

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector
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


def bounded_limits(
    value: FloatVector, se: FloatVector, is_sd: BoolVector, *, alpha: float
) -> FloatMatrix:
    """Limits (n, 2) of standard deviations and correlations, within their ranges.

    They are symmetric for the logarithm of a standard deviation and for Fisher's z of
    a correlation, by normal quantiles.

    Parameters
    ----------
    value, se : (n,)
    is_sd : (n,)
        True for a standard deviation, false for a correlation.
    alpha : float
        One minus the coverage.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(is_sd, np.log(value), np.arctanh(value))
        width = np.where(is_sd, se / value, se / (1.0 - value**2))
    ends = wald_limits(inner, width, np.full(len(value), np.inf), alpha=alpha)
    with np.errstate(over="ignore"):  # no limit at all is infinite
        return np.asarray(np.where(is_sd[:, None], np.exp(ends), np.tanh(ends)))


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
