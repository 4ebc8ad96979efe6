"""Further descents where the deviance may have several minima.

A covariance on the edge of the parameter space has given up some directions, and which
ones may depend on the start.  So a singular fit that rests on few levels is compared
with what other starts lead to: equal variances, and covariances drawn at random, always
the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.likelihood.dense_system import n_random_effects
from multilevel.optimize.linear_problem import LinearProblem
from multilevel.optimize.singularity import is_singular
from multilevel.optimize.trust_region import Minimum

FEW_LEVELS = 6  # for every effect
N_RANDOM_STARTS = 8
MAX_RANDOM_EFFECTS = 100
"""Above this many the random starts, which were seldom better, would cost seconds."""
SCOUT_TOLERANCE = 1e-4  # of deviance: enough to see where a descent leads
SCOUT_EVALUATIONS = 60

Descend = Callable[[FloatVector, float, int], Minimum]


def may_have_other_minima(problem: LinearProblem, minimum: Minimum) -> bool:
    """Whether the fit is singular and few levels have to tell many effects apart.

    Second minima of the deviance were seen in such designs only.
    """
    few = any(
        block.shape[2] < FEW_LEVELS * block.shape[0]
        for block in problem.products.diagonal
    )
    return few and len(minimum.x) > 1 and is_singular(problem, minimum.x)


def lowest_minimum(
    problem: LinearProblem, minimum: Minimum, descend: Descend, gain_tolerance: float
) -> Minimum:
    """The lowest of the minimum given and those that other starts lead to.

    Parameters
    ----------
    problem : LinearProblem
    minimum : Minimum
    descend : callable
        theta (m,), tolerance of the gain, most evaluations -> Minimum.
    gain_tolerance : float
        To which a lower minimum is to be found.
    """
    evaluations, lowest = minimum.evaluations, minimum
    for start in _other_starts(problem):
        scout = descend(start, SCOUT_TOLERANCE, SCOUT_EVALUATIONS)
        evaluations += scout.evaluations
        if scout.point.value - scout.expected_gain < lowest.point.value - 1e-7:
            other = descend(scout.x, gain_tolerance, 300)
            evaluations += other.evaluations
            if other.converged and other.point.value < lowest.point.value:
                lowest = other
    return replace(lowest, evaluations=evaluations)


def _other_starts(problem: LinearProblem) -> Iterator[FloatVector]:
    """theta (m,) of equal variances, then of covariances at random."""
    terms = problem.terms
    sizes = [structure.n_effects for structure in terms.structures]
    for scale in (1.0, 100.0):
        yield terms.theta_of([scale * np.eye(q) for q in sizes])
    if max(sizes) == 1 or n_random_effects(problem.products) > MAX_RANDOM_EFFECTS:
        return
    rng = np.random.default_rng(0)
    for _ in range(N_RANDOM_STARTS):
        scales = 10.0 ** rng.uniform(0.0, 1.5, len(sizes))
        yield terms.theta_of(
            [s * rng.normal(size=(q, q)) for s, q in zip(scales, sizes, strict=True)]
        )
