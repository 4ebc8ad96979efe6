"""Conditional covariances of the random effects, given the data and the estimates."""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatArray
from multilevel.optimize.common.fit_record import LMMFit
from multilevel.optimize.linear.problem import LinearProblem


def conditional_covariances(
    problem: LinearProblem, fit: LMMFit
) -> tuple[FloatArray, ...]:
    """Cov(b_j | y, beta, theta, sigma) by level.

    Parameters
    ----------
    problem : LinearProblem
    fit : LMMFit

    Returns
    -------
    tuple of (J, S, S), one for each grouping factor
        In squared units of the random effects; terms on one factor are stacked in
        formula order.  The uncertainty of the fixed effects is left out, as it is in
        the conditional variances of other software.
    """
    lams = problem.working.factors(fit.working_theta)
    point = problem.point(lams, reml=fit.criterion == "REML")
    transforms = problem.terms.stack(problem.basis.terms)
    return tuple(
        fit.sigma**2 * np.einsum("ab,bcj,dc->jad", T, block, T)
        for T, block in zip(transforms, point.conditional_blocks(), strict=True)
    )
