"""Contributions of independent groups to the log-likelihood.

Held by tests/optimize/linear/test_group_loglike.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.likelihood.linear.profiled import LOG_2PI
from multilevel.optimize.linear.fit_record import LMMFit
from multilevel.optimize.linear.problem import LinearProblem


def loglike_groups(
    problem: LinearProblem, design: ModelDesign, fit: LMMFit
) -> FloatVector:
    """Log-likelihood (ML) of each independent group at the estimates, (J,).

    The rows are needed: of y'W y, and of the log weights, the cross-products hold the
    sums over all groups only.

    Raises
    ------
    FitError
        If grouping factors are crossed.
    """
    factor = problem.independent_factor()
    codes = design.factors[factor].codes
    n_levels = len(design.factors[factor].levels)
    offset = 0.0 if design.offset is None else design.offset
    marginal = design.y - design.X @ fit.beta - offset
    conditional = marginal.copy()
    for term, modes in zip(design.terms, fit.modes, strict=True):
        own = design.factors[term.factor_index].codes
        conditional -= (term.columns * modes[own]).sum(axis=1)
    # e'V0^-1 e = e'W (e - Z b) at the modes, a sum over rows, so that it falls apart by
    # group without an elimination for each.
    terms = marginal * conditional / fit.sigma**2 + LOG_2PI + 2.0 * np.log(fit.sigma)
    if design.weights is not None:
        w = design.weights
        terms = terms + marginal * conditional * (w - 1.0) / fit.sigma**2 - np.log(w)
    sums = np.bincount(codes, weights=terms, minlength=n_levels)
    lams = problem.working.lams(fit.working_theta)
    return np.asarray(-0.5 * (sums + problem.prepared.level_log_dets(lams)))
