"""Estimates that run off to infinity, found out and named.

Where the fixed effects tell some responses without error (separation), the likelihood
has no maximum: the optimizer stops where it has become flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.optimize.glm_problem import GeneralizedProblem
from multilevel.optimize.glm_start import BOUNDED

FLAT = 2.0 / 25.0**2
"""Curvature of the deviance in a column of unit size that is none: a standard error
of 25 on the link scale."""

WIDE = 40.0
"""Standard deviation of a random effect on the link scale that means infinity."""


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
    problem: GeneralizedProblem, hessian: FloatMatrix, factors: Sequence[FloatMatrix]
) -> RunningOff:
    """Columns and terms without a finite estimate.

    Parameters
    ----------
    problem : GeneralizedProblem
    hessian : (d, d)
        Of the approximate deviance, in the working parameters.
    factors : one (k, k) for each term
        Covariance factors of the working columns.
    """
    if problem.family.link.name not in BOUNDED:
        return RunningOff((), (), 0)
    random = _wide_terms(problem, factors)
    p = problem.n_fixed
    if not p:
        return RunningOff((), random, 0)
    values, vectors = np.linalg.eigh(hessian[:p, :p])
    flat = vectors[:, values < FLAT]
    if not flat.shape[1]:
        return RunningOff((), random, 0)
    along = np.abs(problem.X @ flat)
    told = (along > 0.5 * along.max(axis=0)).any(axis=1)
    n_rows = int(told[problem.row_of].sum())
    return RunningOff(_columns_along(problem, flat), random, n_rows)


def _columns_along(
    problem: GeneralizedProblem, directions: FloatMatrix
) -> tuple[str, ...]:
    """User's columns that have a part in working directions (p, r)."""
    transform = problem.fixed_transform
    sizes = np.sqrt(((problem.X @ np.linalg.inv(transform)) ** 2).mean(axis=0))
    parts: FloatVector = np.abs(transform @ directions) * sizes[:, None]
    involved = (parts > 0.1 * parts.max(axis=0)).any(axis=1)
    return tuple(
        name for name, has in zip(problem.fixed_names, involved, strict=True) if has
    )


def _wide_terms(
    problem: GeneralizedProblem, factors: Sequence[FloatMatrix]
) -> tuple[str, ...]:
    found = []
    for t, factor in enumerate(factors):
        group = problem.factor_names[problem.terms.factor_of_term[t]]
        sds = np.sqrt((factor**2).sum(axis=1))
        found += [
            f"sd({name} | {group})"
            for name, sd in zip(problem.effect_names[t], sds, strict=True)
            if sd > WIDE
        ]
    return tuple(found)
