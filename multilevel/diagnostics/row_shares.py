"""How much each row counts in a mean over rows.

Held by tests/diagnostics/test_explained_variance.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.optimize.common.fitted_model import FittedModel


def row_counts(fitted: FittedModel, *, trials: bool = False) -> FloatVector:
    """How many observations each row is, (n,).

    A row with a case weight is as many as that, any other row is one.

    Parameters
    ----------
    fitted : FittedModel
    trials : bool
        Whether each trial of a binomial response is an observation, not each row.
    """
    design, kind = fitted.design, fitted.family.traits.weights
    if design.weights is not None:
        if kind == "cases" or (kind == "trials" and trials):
            return design.weights
        if kind == "trials" and design.trials is not None:
            return np.asarray(design.weights / design.trials)
    return np.ones(design.nobs)


def row_shares(fitted: FittedModel) -> FloatVector:
    """`row_counts` as shares of their sum, (n,)."""
    counts = row_counts(fitted)
    return np.asarray(counts / counts.sum())
