"""Conditional covariances and log-likelihoods of groups, for generalized models."""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatArray
from multilevel.likelihood.penalized_inverse import pattern_inverse
from multilevel.likelihood.pirls import ConditionalModes
from multilevel.optimize.glm_fit_record import GLMMFit
from multilevel.optimize.glm_objective import evaluate_at
from multilevel.optimize.glm_problem import GeneralizedProblem


def modes_of_fit(problem: GeneralizedProblem, fit: GLMMFit) -> ConditionalModes:
    """The conditional modes at the estimates, with their elimination.

    Parameters
    ----------
    problem : GeneralizedProblem
    fit : GLMMFit
    """
    return evaluate_at(problem, fit.working_params).modes


def conditional_covariances(
    problem: GeneralizedProblem, modes: ConditionalModes
) -> tuple[FloatArray, ...]:
    """Cov(b_j | y, beta, theta, dispersion) by level, by the curvature at the modes.

    Parameters
    ----------
    problem : GeneralizedProblem
    modes : ConditionalModes
        At the estimates.

    Returns
    -------
    tuple of (J, S, S), one for each grouping factor
        In squared units of the linear predictor; terms on one factor are stacked in
        formula order. The uncertainty of the fixed effects is left out.
    """
    blocks = pattern_inverse(modes.factor).blocks
    transforms = problem.terms.stack(list(problem.term_transforms))
    return tuple(
        np.einsum("ab,bcj,dc->jad", T, block, T)
        for T, block in zip(transforms, blocks, strict=True)
    )
