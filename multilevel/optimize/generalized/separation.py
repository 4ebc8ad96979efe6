"""Estimates that run off to infinity, found out and named.

Where the fixed effects tell some responses without error (separation), the likelihood
has no maximum. Whatever the random effects are, it rises for ever along a direction d
of the fixed effects if and only if no row's own likelihood falls along it:

    x_i'd >= 0 (<= 0) where the response is the largest (least) there is, else x_i'd = 0

and not all are zero. That is a linear programme; it knows no units and no origin, and
is asked only where some response is told nearly without error.

References
----------
Albert & Anderson (1984), Biometrika 71, 1-10; Konis (2007), Linear programming
algorithms for detecting separated data in binary logistic regression models, Oxford.

Held by tests/optimize/generalized/test_separation.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.covariance.standard_deviations import sd_name
from multilevel.likelihood.families.row_likelihood import RowLikelihood
from multilevel.optimize.generalized.objective import GlmPoint
from multilevel.optimize.generalized.problem import GeneralizedProblem

FAR = 40.0
"""Linear predictor at which a row's likelihood shows where it tends to."""

TOLD = 1e-5
"""Score of a row below which its response may be told without error."""

TINY = 1e-7
"""By how much a linear programme may miss its constraints."""

FLAT = 2.0 / 25.0**2
"""Curvature of the deviance in a column of unit size that makes separation likely."""

WIDE = 40.0
"""Standard deviation of a random effect on the link scale that may mean infinity."""

ONE_SIDED, MOST = 0.05, 0.5
"""Sum of absolute scores of a level whose responses its effects tell; share of levels
that makes a wide standard deviation an infinite one."""


@dataclass(frozen=True, slots=True)
class RunningOff:
    """What has no finite estimate.

    Parameters
    ----------
    fixed : names of fixed-effects columns
    random : names as ``sd(x | g)``
    n_rows : int
        Rows whose response the columns tell without error.
    """

    fixed: tuple[str, ...]
    random: tuple[str, ...]
    n_rows: int

    def __bool__(self) -> bool:
        return bool(self.fixed or self.random)

    def message(self) -> str:
        """What happened and what to do, in plain words."""
        parts = []
        if self.fixed:
            parts.append(
                f"no finite estimate of {', '.join(self.fixed)} exists: the fixed "
                f"effects tell the responses of {self.n_rows} rows without error "
                "(separation), so these estimates and their standard errors mean "
                "nothing. Drop the column, or merge the level that has one outcome only"
            )
        if self.random:
            parts.append(
                f"{', '.join(self.random)} runs off to infinity: nearly every group "
                "has one outcome only. Drop the term, or use fewer and larger groups"
            )
        return "; ".join(parts)


def running_off(
    problem: GeneralizedProblem,
    point: GlmPoint,
    hessian: FloatMatrix,
    factors: Sequence[FloatMatrix],
) -> RunningOff:
    """Columns and terms without a finite estimate.

    Parameters
    ----------
    problem : GeneralizedProblem
    point : GlmPoint
        Where the search ended.
    hessian : (d, d)
        Of the approximate deviance there, in the working parameters.
    factors : one (k, k) for each term
        Covariance factors of the working columns.
    """
    if not problem.family.link.is_bounded:
        return RunningOff((), (), 0)
    random = _wide_terms(problem, point, factors)
    p = problem.n_fixed
    if not p:
        return RunningOff((), random, 0)
    terms = point.modes.terms
    told = (np.abs(terms.score) < TOLD) & (np.abs(terms.weight) < TOLD)
    flat = np.linalg.eigvalsh(hessian[:p, :p])[0] < FLAT
    # Rows that are not told yet do not change along a direction that runs off.
    room = told.any() and _null_space(problem.X[~told]).shape[1] > 0
    if not (room or flat):
        return RunningOff((), random, 0)
    shapes = point.x[p + problem.terms.n_theta :]
    direction = separating_direction(problem.X, ends_of(problem, shapes))
    if direction is None:
        return RunningOff((), random, 0)
    along = np.abs(problem.X @ direction)
    n_rows = int((along > 1e-6 * along.max())[problem.row_of].sum())
    return RunningOff(columns_along(problem, direction), random, n_rows)


def ends_of(problem: GeneralizedProblem, shapes: FloatVector) -> FloatVector:
    """Where each row's likelihood rises for ever: 1, -1, or 0 for nowhere, (n,)."""
    return ends_of_rows(problem.rows.likelihood, len(problem.offset), shapes)


def ends_of_rows(
    likelihood: RowLikelihood, n_rows: int, shapes: FloatVector
) -> FloatVector:
    """The same of the likelihood of rows."""
    far = np.full(n_rows, FAR)
    with np.errstate(all="ignore"):
        up = likelihood.terms(far, shapes).score >= 0.0
        down = likelihood.terms(-far, shapes).score <= 0.0
    return up.astype(float) - down


def separating_direction(columns: FloatMatrix, ends: FloatVector) -> FloatVector | None:
    """Along which no likelihood falls and some rise for ever, (p,), if there is one.

    Parameters
    ----------
    columns : (n, p)
        Well-conditioned.
    ends : (n,)
        1, -1 or 0: where each row's likelihood rises for ever.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.optimize.generalized.separation import separating_direction
    >>> columns = np.column_stack([np.ones(4), [-2.0, -1.0, 1.0, 2.0]])
    >>> separating_direction(columns, np.array([-1.0, 1.0, -1.0, 1.0])) is None
    True
    >>> bool(separating_direction(columns, np.array([-1.0, -1.0, 1.0, 1.0]))[1] > 0)
    True
    """
    # A row with a likelihood of two sides must not move at all: directions are sought
    # in what is left, which makes the linear programme small.
    free = _null_space(columns[ends == 0.0])
    signed = ends[:, None] * columns @ free
    signed = signed[ends != 0.0]
    sizes = np.abs(signed).max(axis=1, initial=0.0)
    # Rows that the free directions do not reach say nothing; the rest have unit size.
    reached = sizes > 1e-9 * np.abs(columns).max(initial=0.0)
    if not reached.any():
        return None
    rows = np.unique(signed[reached] / sizes[reached, None], axis=0)
    found = _most_separating(rows)
    return None if found is None else np.asarray(free @ found)


def _null_space(columns: FloatMatrix) -> FloatMatrix:
    """Orthonormal directions (p, r) that leave these rows as they are."""
    p = columns.shape[1]
    if not len(columns):
        return np.eye(p)
    # Rows of unit size: an outlier must not hide the others.
    sizes = np.linalg.norm(columns, axis=1)
    unit = columns[sizes > 0.0] / sizes[sizes > 0.0, None]
    values, vectors = np.linalg.eigh(unit.T @ unit)
    return vectors[:, values < 1e-20 * len(columns) + 1e-13 * max(values[-1], 0.0)]


def _most_separating(rows: FloatMatrix) -> FloatVector | None:
    """Direction (r,) with rows @ direction >= 0, positive wherever that can be."""
    # The import takes longer than most fits.
    from scipy.optimize import linprog

    n, r = rows.shape
    total = np.zeros(r)
    left = np.ones(n, dtype=bool)
    while left.any():
        # One programme finds the direction for most rows; rows that it leaves at zero
        # may be separated along another one, so the search goes on with these.
        aim = rows[left].sum(axis=0)
        found = linprog(-aim, -rows, np.zeros(n), bounds=[(-1.0, 1.0)] * r).x
        if found is None or (rows @ found).min() < -TINY:
            break
        reached = left & (rows @ found > 1e3 * TINY)
        if not reached.any():
            break
        total += found
        left &= ~reached
    return None if left.all() else total


def columns_along(
    problem: GeneralizedProblem, direction: FloatVector
) -> tuple[str, ...]:
    """User's columns that have a part in a working direction (p,)."""
    transform = problem.fixed_transform
    sizes = np.sqrt(((problem.X @ np.linalg.inv(transform)) ** 2).mean(axis=0))
    parts = np.abs(transform @ direction) * sizes
    involved = parts > 1e-3 * parts.max(initial=0.0)
    return tuple(
        name for name, has in zip(problem.fixed_names, involved, strict=True) if has
    )


def _wide_terms(
    problem: GeneralizedProblem,
    point: GlmPoint,
    factors: Sequence[FloatMatrix],
) -> tuple[str, ...]:
    """Wide effects that tell the responses of most levels without error."""
    found: list[str] = []
    score = np.abs(point.modes.terms.score)
    for t, factor in enumerate(factors):
        k = problem.terms.factor_of_term[t]
        left = problem.rows.layout.rows.factors[k].index.sums(score)
        if (left < ONE_SIDED).mean() < MOST:
            continue
        group = problem.factor_names[problem.terms.factor_of_term[t]]
        sds = np.sqrt((factor**2).sum(axis=1))
        found += [
            sd_name(name, group)
            for name, sd in zip(problem.effect_names[t], sds, strict=True)
            if sd > WIDE
        ]
    return tuple(found)
