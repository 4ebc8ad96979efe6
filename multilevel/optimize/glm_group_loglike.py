"""Contributions of independent groups to the log-likelihood of a generalized model."""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.errors import FitError
from multilevel.likelihood.level_integrals import level_log_integrals
from multilevel.likelihood.pirls import ConditionalModes
from multilevel.optimize.glm_fit_record import GLMMFit
from multilevel.optimize.glm_objective import split_parameters
from multilevel.optimize.glm_problem import GeneralizedProblem


def independent_factor(problem: GeneralizedProblem) -> int:
    """Position of the factor whose levels are independent of one another.

    Raises
    ------
    FitError
        If grouping factors are crossed, so that no partition of the rows is.
    """
    plan = problem.rows.layout.plan
    if plan.rest:
        raise FitError(
            f"the grouping factors {', '.join(problem.factor_names)} are crossed: the "
            "rows do not fall into independent groups, so there is no log-likelihood "
            "of a group. Use llf."
        )
    return int(plan.chain[-1])


def loglike_groups(
    problem: GeneralizedProblem, fit: GLMMFit, modes: ConditionalModes
) -> FloatVector:
    """Log-likelihood of each independent group at the estimates, (J,).

    Parameters
    ----------
    problem : GeneralizedProblem
    fit : GLMMFit
    modes : ConditionalModes
        At the estimates.

    Raises
    ------
    FitError
        If grouping factors are crossed.
    """
    top = independent_factor(problem)
    beta, _, log_dispersion = split_parameters(problem, fit.working_params)
    if len(problem.factor_names) == 1:
        base = problem.X @ beta + problem.offset
        return level_log_integrals(
            problem.rows, base, modes, log_dispersion, fit.n_nodes
        )
    likelihood, effects = problem.rows.likelihood, problem.rows.layout.rows
    plan = problem.rows.layout.plan
    logs, _ = likelihood.density(modes.eta, log_dispersion)
    logs = logs + likelihood.normalizer(log_dispersion)
    total = effects.factors[top].index.sums(logs)
    for c in plan.chain:
        # log|M_j| and u'u of every level, added to the group that holds it.
        own = modes.factor.absorbed[c].log_det + np.sum(
            modes.effects[c] * modes.slopes[c], axis=0
        )
        if c != top:
            parent = plan.parents[c, top]
            own = np.bincount(parent, weights=own, minlength=len(total))
        total = total - 0.5 * own
    return np.asarray(total)
