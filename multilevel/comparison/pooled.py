"""Complete pooling: the same regression without random effects.

Held by tests/comparison/test_nested_models.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.errors import ComparisonError
from multilevel.inference.null_distribution import (
    NullDistribution,
    null_distribution,
)
from multilevel.inference.pooled_cone import pooled_cone
from multilevel.likelihood.products.entry_products import entry_products
from multilevel.optimize.linear.problem import LinearProblem

if TYPE_CHECKING:
    from statsmodels.regression.linear_model import RegressionResultsWrapper


def pooled_regression(design: ModelDesign) -> RegressionResultsWrapper:
    """Least squares of the response less the offset on the fixed-effects columns.

    By statsmodels, which takes the rows; the test against it does not.

    Parameters
    ----------
    design : ModelDesign

    Returns
    -------
    statsmodels OLS results, or WLS results if there are prior weights

    Raises
    ------
    ComparisonError
        If the model has no fixed effects.
    """
    # Imported here: most fits never look at the pooled regression.
    from statsmodels.regression.linear_model import OLS, WLS

    if not len(design.kept):
        raise ComparisonError(
            "the model has no fixed effects, so there is no pooled regression to fit; "
            "write at least an intercept, as in 'y ~ 1 + ...'"
        )
    names = [design.exog_names[position] for position in design.kept]
    exog = pd.DataFrame(design.X, index=design.index, columns=names)
    endog = pd.Series(_centred_response(design), design.index, name=design.response)
    if design.weights is None:
        return OLS(endog, exog).fit()
    return WLS(endog, exog, weights=design.weights).fit()


def pooled_loglike(problem: LinearProblem, *, reml: bool) -> float:
    """Maximized log-likelihood of the pooled regression, restricted if `reml`.

    It is the mixed model's with all variances of random effects at zero, and computed
    as such: in data far from zero the two have the same rounding, so that a fit without
    any variance is not better than the pooled regression.

    Parameters
    ----------
    problem : LinearProblem
        Of the mixed model.
    reml : bool

    Returns
    -------
    float
    """
    zero = [np.zeros((size, size)) for size in problem.terms.block_sizes]
    point = problem.point(zero, reml=reml)
    deviance = point.profiled.deviance + problem.deviance_shift(reml=reml)
    return float(-0.5 * deviance)


def _centred_response(design: ModelDesign) -> FloatVector:
    """The response less the offset, (n,)."""
    return design.y if design.offset is None else design.y - design.offset


def pooled_null(problem: LinearProblem, *, reml: bool) -> NullDistribution:
    """Null distribution of the test of all random effects at once.

    Parameters
    ----------
    problem : LinearProblem
        Of the mixed model.
    reml : bool

    Returns
    -------
    NullDistribution

    Raises
    ------
    ComparisonError
        If it is not known for the structure of some term.
    """
    cone = pooled_cone(problem.working_terms, problem.products)

    def information() -> FloatMatrix:
        traces = entry_products(problem.products, cone.directions)
        return (traces.restricted if reml else traces.unrestricted) / 2.0

    return null_distribution(information, cone.sizes)
