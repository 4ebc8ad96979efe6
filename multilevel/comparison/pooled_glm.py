"""Complete pooling of a generalized model: statsmodels' results, same rows.

Held by tests/comparison/test_pooled_glm.py.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from statsmodels.tools.sm_exceptions import DomainWarning, HessianInversionWarning

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.comparison.statsmodels_family import statsmodels_family
from multilevel.design.model_design import ModelDesign
from multilevel.errors import ComparisonError
from multilevel.likelihood.families.traits import Family, bind_rows
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.optimize.generalized.pooled_maximum import (
    PooledMaximum,
    pooled_maximum,
)

if TYPE_CHECKING:
    from statsmodels.base.wrapper import ResultsWrapper
    from statsmodels.discrete.discrete_model import NegativeBinomial

_NEAR_POISSON = 9.0  # log(size / mean) above which alpha is as good as zero
_STEP = 1e-2  # of log size, in differences of the fourth order


def pooled_glm(fitted: GeneralizedFittedModel, given: object) -> ResultsWrapper:
    """statsmodels' results of the model without random terms, on the same rows.

    Parameters
    ----------
    fitted : GeneralizedFittedModel
    given : str, Family or statsmodels family
        The family as the model was asked for.

    Returns
    -------
    GLM results; of statsmodels' discrete `NegativeBinomial` where the dispersion of a
    negative binomial with log link is estimated from rows without weights

    Raises
    ------
    ComparisonError
        If the model has no fixed effects.
    """
    from statsmodels.discrete import discrete_model

    design, family = fitted.design, fitted.family
    if not len(design.kept):
        raise ComparisonError(
            "the model has no fixed effects, so there is no pooled regression to fit; "
            "write at least an intercept, as in 'y ~ 1 + ...'"
        )
    problem = fitted.problem
    exog = pd.DataFrame(design.X, index=design.index, columns=list(design.kept_names))
    endog: Any = pd.Series(design.y, design.index, name=design.response)
    theirs, values = family.traits.statsmodels, np.ones(len(family.traits.shapes))
    if family.shapes and theirs.inverse_shape:
        pooled = pooled_maximum(problem)
        values = np.exp(pooled.shapes)
        if family.link.name == theirs.joint_link and design.weights is None:
            beta = np.linalg.lstsq(
                design.X,
                pooled.eta - (0.0 if design.offset is None else design.offset),
                rcond=None,
            )[0]
            model = getattr(discrete_model, theirs.joint_model)(
                endog, exog, offset=design.offset
            )
            covariance = _covariance(family, design, pooled)
            params = np.append(beta, 1.0 / values)
            ones = np.ones((len(problem.X), 1))
            constant = pooled_maximum(replace(problem, X=ones))
            return _at_estimates(model, params, covariance, (pooled.llf, constant.llf))
    return statsmodels_glm(design, family, statsmodels_family(given, family, values))


def statsmodels_glm(
    design: ModelDesign, family: Family, instance: Any
) -> ResultsWrapper:
    """statsmodels' GLM results of the fixed part on the rows of a design.

    Parameters
    ----------
    design : ModelDesign
    family : Family
    instance : statsmodels family
        The same family.
    """
    from statsmodels.genmod.generalized_linear_model import GLM

    exog = pd.DataFrame(design.X, index=design.index, columns=list(design.kept_names))
    endog: Any = pd.Series(design.y, design.index, name=design.response)
    options: dict[str, Any] = {"offset": design.offset}
    if family.traits.has_trials and design.weights is not None:
        endog = _successes_and_failures(design)
        if design.trials is not None:
            options["freq_weights"] = design.weights / design.trials
    elif design.weights is not None:
        counts = family.traits.weights == "cases"
        options["freq_weights" if counts else "var_weights"] = design.weights
    with warnings.catch_warnings():
        # The mixed model was fitted with this link, whatever its range.
        warnings.simplefilter("ignore", DomainWarning)
        return GLM(endog, exog, family=instance, **options).fit(tol=1e-10)


def _at_estimates(
    model: NegativeBinomial,
    params: FloatVector,
    covariance: FloatMatrix,
    llfs: tuple[float, float],
) -> ResultsWrapper:
    """statsmodels' results at estimates that were found elsewhere.

    Its own optimizers step to alpha < 0 where counts are hardly overdispersed, and do
    not come back.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HessianInversionWarning)
        fitted = model.fit(
            start_params=params,
            method="newton",
            maxiter=0,
            disp=0,
            skip_hessian=True,
            warn_convergence=False,
        )
    inner = fitted._results
    inner.params = params
    inner.normalized_cov_params = inner.cov_params_default = covariance
    # Its own log-likelihood is rounding where 1 / alpha is huge, and that of a constant
    # alone would come from its own optimizers.
    inner._cache["llf"], inner._cache["llnull"] = llfs
    inner.mle_retvals = {"converged": True, "iterations": 0}
    return fitted


def _covariance(
    family: Family, design: ModelDesign, pooled: PooledMaximum
) -> FloatMatrix:
    """Inverse observed information of beta and alpha = 1 / size, (p + 1, p + 1).

    On the edge at alpha = 0 the curvature is that next to it; where there is none, the
    variance of alpha is NaN.
    """
    rows, columns = bind_rows(family, design.y, design.weights, design.trials), design.X
    at = float(pooled.shapes[0])
    weight = rows.terms(pooled.eta, pooled.shapes).weight
    mean = float(family.link.mean(pooled.eta).mean())
    at = min(at, np.log(mean) + _NEAR_POISSON)
    steps = _STEP * np.array([-2.0, -1.0, 1.0, 2.0])
    shares = np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * _STEP)
    beside = [np.array([at + step]) for step in steps]
    slopes = [rows.shape_terms(pooled.eta, near).total[0] for near in beside]
    scores = [rows.terms(pooled.eta, near).score for near in beside]
    # By the chain rule from log size = -log alpha.
    alpha = np.exp(-at)
    slope = rows.shape_terms(pooled.eta, np.array([at])).total[0]
    curve = (shares @ slopes + slope) / alpha**2
    across = columns.T @ (shares @ np.array(scores)) / alpha
    information = np.zeros((columns.shape[1] + 1,) * 2)
    information[:-1, :-1] = columns.T @ (columns * weight[:, None])
    if at == pooled.shapes[0]:  # else on the edge, where alpha is not free
        information[:-1, -1] = information[-1, :-1] = across
    information[-1, -1] = -curve
    return _inverse_or_beta(information)


def _inverse_or_beta(information: FloatMatrix) -> FloatMatrix:
    """The inverse; of the first rows alone if the last parameter has no curvature."""
    size = np.abs(np.diag(information))
    units = np.sqrt(np.where(size > 0.0, size, 1.0))
    unit = information / np.outer(units, units)
    if np.linalg.eigvalsh(unit)[0] > 1e-12:
        return np.asarray(np.linalg.inv(unit) / np.outer(units, units))
    out = np.full_like(information, np.nan)
    out[:-1, :-1] = np.linalg.pinv(unit[:-1, :-1]) / np.outer(units[:-1], units[:-1])
    return out


def _successes_and_failures(design: ModelDesign) -> FloatMatrix:
    """The two columns (n, 2) that statsmodels takes for counts of trials."""
    trials = np.asarray(design.observation_weights)
    successes = design.y * trials
    return np.column_stack([successes, trials - successes])
