"""How much each row counts in a mean over rows.

Held by tests/diagnostics/test_explained_variance.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.optimize.common.fitted_model import FittedModel


def row_counts(fitted: FittedModel, *, trials: bool = False) -> FloatVector:
    """How many observations each row is, (n,).

    A row with a case weight is as many as that, any other row is one; a row of weight
    zero is none.

    Parameters
    ----------
    fitted : FittedModel
    trials : bool
        Whether each trial of a binomial response is an observation, not each row.
    """
    design, kind = fitted.design, fitted.family.traits.weights
    weights = design.weights
    if weights is None:
        return np.ones(design.nobs)
    if kind == "cases" or (kind == "trials" and trials):
        return np.array(weights, dtype=float)
    if kind == "trials" and design.trials is not None:
        own = np.zeros(design.nobs)
        return np.divide(weights, design.trials, out=own, where=design.trials > 0.0)
    return (weights > 0.0).astype(float)


def row_shares(fitted: FittedModel) -> FloatVector:
    """`row_counts` as shares of their sum, (n,)."""
    counts = row_counts(fitted)
    return counts / counts.sum()
