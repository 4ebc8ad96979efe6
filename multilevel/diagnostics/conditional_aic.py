"""The conditional Akaike criterion: how well new rows of the *same* levels are told.

    cAIC = -2 log p(y | b^, beta^, ...) + 2 df

with df the effective number of parameters. The usual criterion counts variance
parameters, and is about new rows of new levels.

References
----------
Vaida & Blanchard (2005), Biometrika 92, 351-370; Greven & Kneib (2010), Biometrika 97,
773-789; Donohue, Overholser, Xu & Vaida (2011), Biometrika 98, 685-700; Saefken, Kneib,
van Waveren & Greven (2014), Electron. J. Statist. 8, 201-225.

Held by tests/diagnostics/test_conditional_aic.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from multilevel.comparison.working_model import working_design
from multilevel.covariance.triangular import lower_factor
from multilevel.diagnostics.effective_df import (
    n_scale_parameters,
    theta_correction,
    trace_of_fitted,
)
from multilevel.diagnostics.refitted_df import refitted_df
from multilevel.likelihood.families.traits import bind_rows
from multilevel.methods import Method, Methods, methods, names_for
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.optimize.linear.problem import build_problem
from multilevel.option_values import as_word


def corrected_df(fitted: LinearFittedModel) -> float:
    """The trace, what estimating theta adds to it, and sigma."""
    return known_theta_df(fitted) + theta_correction(fitted)


def known_theta_df(fitted: FittedModel) -> float:
    """The trace as if theta were known, and sigma or the shape parameters.

    A generalized model is replaced by the linear one that it resembles near its modes,
    with expected weights.
    """
    if isinstance(fitted, LinearFittedModel):
        lams = fitted.problem.working.lams(fitted.fit.working_theta)
        return trace_of_fitted(fitted.problem, lams) + n_scale_parameters(fitted)
    shapes = np.log(fitted.shape_values)
    design = working_design(fitted.family, fitted.design, fitted.eta, shapes)
    problem = build_problem(design)
    inverses = [np.linalg.inv(T) for T in problem.basis.terms]
    solved = zip(inverses, fitted.effect_factors, strict=True)
    roots = [np.asarray(inverse @ root) for inverse, root in solved]
    lams = [lower_factor(root) for root in problem.terms.stack(roots)]
    return trace_of_fitted(problem, lams) + n_scale_parameters(fitted)


DfFunction: TypeAlias = Callable[[Any], float]

EFFECTIVE_DF: Methods[DfFunction] = methods(
    Method(
        name="greven-kneib",
        text="corrected for estimated variances",
        function=corrected_df,
        kinds=("linear",),
    ),
    Method(
        name="vaida-blanchard",
        text="variances taken as known",
        function=known_theta_df,
    ),
    Method(
        name="saefken",
        text="by refits with one response moved",
        function=refitted_df,
        kinds=("generalized",),
    ),
)

USUAL = {"linear": "greven-kneib", "generalized": "vaida-blanchard"}
"""Kind of model -> the method that ``"auto"`` stands for."""


def conditional_aic(fitted: FittedModel, method: str = "auto") -> pd.Series:
    """Conditional log-likelihood, effective number of parameters, and cAIC.

    Parameters
    ----------
    fitted : FittedModel
    method : str
        A name in `EFFECTIVE_DF`, or ``"auto"``.

    Returns
    -------
    Series
        `llf`, `df`, `caic`.

    Raises
    ------
    DataError
        For a method that there is not, or not for this family.
    """
    words = ("auto", *names_for(EFFECTIVE_DF, fitted.kind))
    as_word(method, words, "method", of=f"for a {fitted.kind} model")
    name = USUAL[fitted.kind] if method == "auto" else method
    found = EFFECTIVE_DF[name]
    llf, df = conditional_loglike(fitted), found.function(fitted)
    return pd.Series({"llf": llf, "df": df, "caic": -2.0 * llf + 2.0 * df}, name=name)


def conditional_loglike(fitted: FittedModel) -> float:
    """log p(y | b) at the estimates and the conditional modes."""
    design, shapes = fitted.design, np.log(fitted.shape_values)
    rows = bind_rows(fitted.family, design.y, design.weights, design.trials)
    density, _ = rows.density(fitted.eta, shapes)
    return float(density.sum() + rows.normalizer(shapes).sum())
