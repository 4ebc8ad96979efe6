"""Wald tests and confidence limits of single fixed effects."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr

from multilevel.array_types import FloatMatrix, FloatVector
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
