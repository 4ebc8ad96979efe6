"""The test of all random effects at once: a mixed model against the pooled one.

Held by tests/comparison/test_pooled_invariance.py.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from multilevel.comparison.pooled import pooled_loglike, pooled_null
from multilevel.design.formula_text import fixed_formula_text
from multilevel.inference.likelihood_ratio import LRTest, likelihood_ratio_test
from multilevel.inference.null_distribution import NullDistribution
from multilevel.inference.pooled_glm_null import pooled_glm_null
from multilevel.methods import ModelKind
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.optimize.generalized.pooled_maximum import pooled_maximum
from multilevel.optimize.linear.fitted_model import LinearFittedModel


def _linear(fitted: LinearFittedModel) -> tuple[float, NullDistribution]:
    problem, reml = fitted.problem, fitted.is_restricted
    return pooled_loglike(problem, reml=reml), pooled_null(problem, reml=reml)


def _generalized(fitted: GeneralizedFittedModel) -> tuple[float, NullDistribution]:
    problem, pooled = fitted.problem, pooled_maximum(fitted.problem)
    null = pooled_glm_null(problem, fitted.design, pooled.eta, pooled.shapes)
    return pooled.llf, null


POOLED: MappingProxyType[ModelKind, Callable[[Any], tuple[float, NullDistribution]]] = (
    MappingProxyType({"linear": _linear, "generalized": _generalized})
)
"""Kind of model -> log-likelihood without random effects, and the null distribution."""


def compare_pooled(fitted: FittedModel) -> LRTest:
    """Likelihood-ratio test against the same model without random effects.

    Parameters
    ----------
    fitted : FittedModel
        Of a REML fit restricted likelihoods are compared, as X is the same.

    Returns
    -------
    LRTest
    """
    llf, null = POOLED[fitted.kind](fitted)
    return likelihood_ratio_test(
        llf,
        fitted.llf,
        df=len(fitted.fit.theta),
        null=null,
        restricted=fixed_formula_text(fitted.design),
        full=fitted.formula,
        criterion=fitted.criterion,
    )
