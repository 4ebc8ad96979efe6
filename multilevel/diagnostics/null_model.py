"""The model without covariates: an intercept and the same random effects.

Held by tests/diagnostics/test_explained_variance.py.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from multilevel.design.read_only import read_only
from multilevel.diagnostics.random_variance import random_variances
from multilevel.diagnostics.row_shares import row_shares
from multilevel.errors import DataError, FitError, SingularFitWarning
from multilevel.optimize.generalized.fit import fit_glmm
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.optimize.generalized.problem import build_glm_problem
from multilevel.prediction.marginal_mean import marginal_mean


def null_model(fitted: GeneralizedFittedModel) -> GeneralizedFittedModel:
    """Fitted by the same criterion to the same rows, with the same offset.

    Parameters
    ----------
    fitted : GeneralizedFittedModel

    Returns
    -------
    GeneralizedFittedModel
        `fitted` itself if it has no covariates.
    """
    design = fitted.design
    columns = design.X
    if columns.shape[1] == 1 and columns.all() and not np.ptp(columns):
        return fitted
    bare = replace(
        design,
        exog=np.ones((design.nobs, 1), order="F"),
        exog_names=("Intercept",),
        kept=np.array([0]),
        terms=tuple(
            replace(term, shared=(-1,) * len(term.effects)) for term in design.terms
        ),
    )
    with warnings.catch_warnings():
        # It would be about this model, which nobody asked for.
        warnings.simplefilter("ignore", SingularFitWarning)
        problem = build_glm_problem(bare, fitted.family)
        fit = fit_glmm(problem, nagq=fitted.fit.n_nodes)
    return replace(
        fitted, design=read_only(bare), fit=read_only(fit), prepare=lambda: problem
    )


def null_mean(fitted: GeneralizedFittedModel, at: str) -> float:
    """Mean of the response in the null model, at the mean of the offset.

    Parameters
    ----------
    fitted : GeneralizedFittedModel
    at : {"typical", "population"}
        At random effects of zero, or over their distribution.
    """
    null, shares = null_model(fitted), row_shares(fitted)
    design = null.design
    eta = shares @ (design.X @ null.beta)
    if design.offset is not None:
        eta += shares @ design.offset
    if at == "typical":
        return float(null.link.mean(np.array([eta]))[0])
    variance = random_variances(null).sum()
    try:
        found = marginal_mean(null.link, np.array([eta]), np.array([variance]))
    except FitError:
        raise DataError(
            f'at="population": the mean of the {null.link.name} link has no '
            'expectation over normal random effects; use at="typical"'
        ) from None
    return float(found.mean[0])
