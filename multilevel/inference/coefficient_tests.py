"""Estimates of the fixed effects with their Wald tests and limits, as one record.

Held by tests/inference/test_coefficient_tests.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.inference.intervals import (
    estimates_and_errors,
    two_sided_p,
    wald_interval,
)
from multilevel.optimize.common.fitted_model import FittedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class CoefficientTests:
    """A row for every fixed effect; NaN where it was left out as aliased.

    Parameters
    ----------
    names : tuple of str
    estimate, se, statistic, pvalue : (p,)
    ddf : (p,)
        Denominator degrees of freedom, infinite for z tests.
    limits : (p, 2)
    alpha : float
        One minus the coverage of the limits.
    """

    names: tuple[str, ...]
    estimate: FloatVector
    se: FloatVector
    statistic: FloatVector
    pvalue: FloatVector
    ddf: FloatVector
    limits: FloatMatrix
    alpha: float

    def to_frame(self) -> pd.DataFrame:
        """Columns `estimate`, `se`, `df`, `t`, `pvalue`, `lower`, `upper`, by name."""
        columns = {
            "estimate": self.estimate,
            "se": self.se,
            "df": self.ddf,
            "t": self.statistic,
            "pvalue": self.pvalue,
            "lower": self.limits[:, 0],
            "upper": self.limits[:, 1],
        }
        return pd.DataFrame(columns, index=list(self.names))

    def exponentiated(self) -> CoefficientTests:
        """exp(estimate) with its limits; statistics are still those of the estimate.

        Standard errors are by the delta method.
        """
        with np.errstate(over="ignore"):
            estimate, limits = np.exp(self.estimate), np.exp(self.limits)
        return replace(self, estimate=estimate, se=estimate * self.se, limits=limits)


def coefficient_tests(
    fitted: FittedModel, ddf: FloatVector, *, alpha: float
) -> CoefficientTests:
    """Test every fixed effect against zero.

    Parameters
    ----------
    fitted : FittedModel
    ddf : (p_all,)
        Degrees of freedom, one for every column.
    alpha : float

    Returns
    -------
    CoefficientTests
    """
    estimate, se = estimates_and_errors(fitted)
    statistic = estimate / se
    return CoefficientTests(
        names=fitted.design.exog_names,
        estimate=estimate,
        se=se,
        statistic=statistic,
        pvalue=two_sided_p(statistic, ddf),
        ddf=ddf,
        limits=wald_interval(fitted, ddf, alpha=alpha),
        alpha=alpha,
    )
