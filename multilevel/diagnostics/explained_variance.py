"""Shares of the variance: R squared of Nakagawa, intraclass correlations.

With the variances of the fixed part f, of the random effects r = sum over the grouping
factors of r_k, and of single responses e, all of the linear predictor,

    R2 marginal = f / (f + r + e)            ICC adjusted   = r_k / (r + e)
    R2 conditional = (f + r) / (f + r + e)   ICC unadjusted = r_k / (f + r + e)

References
----------
Nakagawa & Schielzeth (2013), Methods Ecol. Evol. 4, 133-142; Johnson (2014), ibid. 5,
944-946; Nakagawa, Johnson & Schielzeth (2017), J. R. Soc. Interface 14: 20170213.

Held by tests/diagnostics/test_explained_variance.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.diagnostics.random_variance import (
    fixed_variance,
    random_variance_slopes,
    random_variances,
)
from multilevel.diagnostics.residual_variance import (
    ResidualVariance,
    residual_variance,
)
from multilevel.inference.intervals import wald_limits
from multilevel.inference.variance_parameters import variance_parameters
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.option_values import as_switch, as_tail_share

ALL = "all"
"""What the row of all grouping factors together is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceParts:
    """Variances on the scale of the linear predictor.

    Parameters
    ----------
    factors : tuple of str
        Names of the grouping factors.
    fixed : float
    random : (factors,)
    residual : ResidualVariance
    """

    factors: tuple[str, ...]
    fixed: float
    random: FloatVector
    residual: ResidualVariance

    @property
    def values(self) -> FloatVector:
        """Fixed, random by factor, residual, (factors + 2,)."""
        return np.array([self.fixed, *self.random, self.residual.value])


def variance_parts(
    fitted: FittedModel, *, method: str = "auto", at: str = "typical"
) -> VarianceParts:
    """Those of a fitted model; `method` and `at` as `residual_variance` takes them."""
    return VarianceParts(
        factors=fitted.design.factor_names,
        fixed=fixed_variance(fitted)[0],
        random=random_variances(fitted),
        residual=residual_variance(fitted, method=method, at=at),
    )


def r_squared(
    fitted: FittedModel, *, method: str = "auto", at: str = "typical"
) -> pd.Series:
    """Shares of the variance that the fixed effects, and all effects, account for.

    Parameters
    ----------
    fitted : FittedModel
    method, at : str
        As `residual_variance` takes them.

    Returns
    -------
    Series
        `marginal`, `conditional`.

    Raises
    ------
    DataError
        For a method that there is not.
    """
    parts = variance_parts(fitted, method=method, at=at)
    total = parts.values.sum()
    explained = np.array([parts.fixed, parts.fixed + parts.random.sum()])
    return pd.Series(explained / total, index=["marginal", "conditional"], name="R2")


def intraclass_correlations(
    fitted: FittedModel,
    *,
    method: str = "auto",
    at: str = "typical",
    se: bool = False,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Correlation of two rows of one level, by grouping factor and in all.

    Parameters
    ----------
    fitted : FittedModel
    method, at : str
        As `residual_variance` takes them.
    se : bool
        Add standard errors and limits.
    alpha : float
        One minus the coverage.

    Returns
    -------
    DataFrame
        A row for each grouping factor and ``all``; `adjusted`, `unadjusted`, and for
        each of these its `se`, `lower`, `upper`, such as `adjusted_se`.

    Raises
    ------
    DataError
        For a method that there is not.
    """
    parts = variance_parts(fitted, method=method, at=at)
    rows = pd.Index([*parts.factors, ALL], name="group")
    columns: dict[str, FloatVector] = {}
    covariance, alpha = None, as_tail_share(alpha)
    if as_switch(se, "se"):
        covariance = parts_covariance(fitted, parts)
    for name, whole in _wholes(len(parts.factors)).items():
        value, slopes = _shares(parts.values, whole)
        columns[name] = value
        if covariance is not None:
            errors = np.sqrt(np.einsum("ia,ab,ib->i", slopes, covariance, slopes))
            columns |= _limits(name, value, errors, alpha)
    return pd.DataFrame(columns, index=rows)


def _wholes(n_factors: int) -> dict[str, FloatVector]:
    """Which parts an intraclass correlation is a share of."""
    unadjusted = np.ones(n_factors + 2)
    adjusted = unadjusted.copy()
    adjusted[0] = 0.0
    return {"adjusted": adjusted, "unadjusted": unadjusted}


def _shares(values: FloatVector, whole: FloatVector) -> tuple[FloatVector, FloatMatrix]:
    """Each factor's share, and that of all, with derivatives in the parts."""
    n_factors = len(values) - 2
    chosen = np.zeros((n_factors + 1, len(values)))
    chosen[:n_factors, 1:-1] = np.eye(n_factors)
    chosen[-1, 1:-1] = 1.0
    total = whole @ values
    share = chosen @ values / total
    return share, (chosen - share[:, None] * whole) / total


def _limits(
    name: str, value: FloatVector, se: FloatVector, alpha: float
) -> dict[str, FloatVector]:
    """Limits that are symmetric on the scale of the logit."""
    # There the likelihood has no quadratic shape, and a delta method no meaning.
    se = np.where((value > 0.0) & (value < 1.0), se, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        inner, width = logit(value), se / (value * (1.0 - value))
    ends = expit(wald_limits(inner, width, np.full(len(value), np.inf), alpha=alpha))
    lower, upper = ends.T
    return {f"{name}_se": se, f"{name}_lower": lower, f"{name}_upper": upper}


def parts_covariance(fitted: FittedModel, parts: VarianceParts) -> FloatMatrix:
    """Asymptotic covariance (factors + 2, factors + 2) of the estimated parts.

    By the delta method from that of the fixed effects, theta and sigma or the shape
    parameters. NaN if the data leave a variance open.
    """
    parameters = variance_parameters(fitted)
    n_factors = len(parts.factors)
    if parameters.undetermined:
        return np.full((n_factors + 2,) * 2, np.nan)
    unit = fitted.fit.sigma**2
    by_theta = unit * random_variance_slopes(fitted, parameters)
    p, m = len(fitted.beta), by_theta.shape[1]
    slopes = np.zeros((n_factors + 2, p + m + len(parts.residual.slopes)))
    slopes[0, :p] = fixed_variance(fitted)[1]
    slopes[1:-1, p : p + m] = by_theta
    slopes[-1, p + m :] = parts.residual.slopes
    if isinstance(fitted, GeneralizedFittedModel):
        return np.asarray(slopes @ fitted.fit.cov_params @ slopes.T)
    # The covariance of the random effects is relative to sigma^2, which is estimated
    # apart from the fixed effects.
    slopes[1:-1, -1] = 2.0 * parts.random / fitted.sigma
    root, rest = slopes[:, :p] @ fitted.fixed_root, slopes[:, p:]
    return np.asarray(root @ root.T + rest @ parameters.covariance @ rest.T)
