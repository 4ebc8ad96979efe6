"""Further descents where the deviance may have several minima.

A covariance on the edge of the parameter space has given up some directions, and which
ones may depend on the start.  So a singular fit that rests on few levels is compared
with what other starts lead to: equal variances, and covariances drawn at random, always
the same ones.

Held by tests/stress/test_stress_set.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.errors import FitError
from multilevel.likelihood.linear.dense_system import n_random_effects
from multilevel.optimize.common.singularity import is_singular
from multilevel.optimize.common.trust_region import Minimum
from multilevel.optimize.linear.problem import LinearProblem
from multilevel.optimize.linear.search import LMMSearch

FEW_LEVELS = 6  # for every effect
FEW_ROWS = 3  # for every random effect
FEW_ROWS_OF_ONE = 5  # if there is one variance
MAX_ROWS_OF_ONE = 500
"""With one variance no second minimum was seen from 25 rows on."""
N_RANDOM_STARTS = 8
"""With one random term two were enough wherever any helped."""
MAX_RANDOM_EFFECTS = 100
"""Above this many the random starts, which were seldom better, would cost seconds."""
SCANNED = np.geomspace(0.2, 500.0, 20).tolist()
"""Values of a theta that is alone: a second minimum is wider than their steps."""
SCOUT_TOLERANCE = 1e-4  # of deviance: enough to see where a descent leads
SCOUT_EVALUATIONS = 60


def may_have_other_minima(problem: LinearProblem, minimum: Minimum) -> bool:
    """Whether the fit is singular, and few levels or rows tell many effects apart.

    Second minima of the deviance were hardly seen elsewhere. If there is one variance,
    zero may be the lower of two minima too.
    """
    products, one = problem.products, len(minimum.x) == 1
    if one and products.n_rows > MAX_ROWS_OF_ONE:
        return False
    few = any(
        block.shape[2] < FEW_LEVELS * block.shape[0] for block in products.diagonal
    )
    rows = FEW_ROWS_OF_ONE if one else FEW_ROWS
    few |= rows * n_random_effects(products) > products.n_rows
    return few and (one or is_singular(problem, minimum.x))


def lowest_minimum(
    search: LMMSearch, first: Minimum, *, unbounded: bool
) -> tuple[Minimum | None, int]:
    """A minimum lower than the first that another start leads to, and evaluations.

    Parameters
    ----------
    search : LMMSearch
    first : Minimum
        The one already found.
    unbounded : bool
        Whether the first is none, since the deviance falls for ever from there.

    Returns
    -------
    Minimum or None
        Not one from which the deviance falls for ever.
    int
        Evaluations that were made.
    """
    before, lowest = search.evaluations.made, None
    bar = np.inf if unbounded else first.point.value
    one = len(first.x) == 1
    starts = _scan(search, first) if one else _other_starts(search.problem)
    for start in starts:
        try:
            scout = search.descend(
                start,
                gain_tolerance=SCOUT_TOLERANCE,
                max_evaluations=SCOUT_EVALUATIONS,
            )
            # A rough descent tells which valley it is in; only one that may be
            # lower is gone down to the end.
            if scout.point.value - scout.expected_gain > bar - 1e-7:
                continue
            other = search.descend(scout.x)
        except FitError:  # too far out to be evaluated
            continue
        lower = other.converged and other.point.value < bar
        if lower and not search.is_unbounded(other):
            lowest, bar = other, other.point.value
    return lowest, search.evaluations.made - before


def _scan(search: LMMSearch, first: Minimum) -> Iterator[FloatVector]:
    """Minima (1,) among some values of the only theta; zero beside one above it."""
    if not is_singular(search.problem, first.x):
        yield np.zeros(1)
        return
    values = [_deviance(search, theta) for theta in SCANNED]
    for i in range(1, len(SCANNED) - 1):
        if values[i] < min(values[i - 1], values[i + 1]):
            yield np.array([SCANNED[i]])


def _deviance(search: LMMSearch, theta: float) -> float:
    problem = search.problem
    try:
        lams = problem.working.lams(np.array([theta]))
        return problem.point(lams, reml=search.reml).profiled.deviance
    except np.linalg.LinAlgError:
        return np.inf


def _other_starts(problem: LinearProblem) -> Iterator[FloatVector]:
    """theta (m,) of equal variances, then of covariances at random."""
    terms = problem.terms
    sizes = [structure.n_effects for structure in terms.structures]
    # Large covariances too: from there the descent gives up other
    # directions than from small ones.
    for scale in (1.0, 100.0):
        yield terms.theta_of([scale * np.eye(q) for q in sizes])
    if max(sizes) == 1 or n_random_effects(problem.products) > MAX_RANDOM_EFFECTS:
        return
    rng = np.random.default_rng(0)
    for _ in range(min(2, N_RANDOM_STARTS) if len(sizes) == 1 else N_RANDOM_STARTS):
        scales = 10.0 ** rng.uniform(0.0, 1.5, len(sizes))
        yield terms.theta_of(
            [s * rng.normal(size=(q, q)) for s, q in zip(scales, sizes, strict=True)]
        )
