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

VAGUE = 25.0
"""Standard error on the link scale, of a column of unit size, that means infinity."""

WIDE = 40.0
"""Standard deviation of a random effect on the link scale that means infinity."""

BOUNDED_BELOW = ("logit", "probit", "cloglog", "loglog", "cauchy", "log", "logc")
"""Links for which an infinite eta gives a mean on the edge of its range."""


@dataclass(frozen=True, slots=True)
class RunningOff:
    """What has no finite estimate.

    Parameters
    ----------
    fixed : names of fixed-effects columns
    random : names as ``sd(x | g)``
    n_rows : int
        Rows that are told without error.
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
                f"the estimates of {', '.join(self.fixed)} run off to infinity: the "
                f"fixed effects tell {self.n_rows} rows' responses without error "
                "(separation), so these estimates and their standard errors mean "
                "nothing. Drop or merge the columns' levels that have a single outcome"
            )
        if self.random:
            parts.append(
                f"{', '.join(self.random)} runs off to infinity: nearly every group "
                "has a single outcome. Drop the term or use fewer, larger groups"
            )
        return "; ".join(parts)


def running_off(
    problem: GeneralizedProblem,
    x: FloatVector,
    covariance: FloatMatrix,
    factors: Sequence[FloatMatrix],
    eta: FloatVector,
) -> RunningOff:
    """Columns and terms without a finite estimate.

    Parameters
    ----------
    problem : GeneralizedProblem
    x : (d,)
        Estimates of the working columns.
    covariance : (d, d)
        Of x.
    factors : one (k, k) for each term
        Covariance factors of the working columns.
    eta : (N,)
    """
    if problem.family.link.name not in BOUNDED_BELOW:
        return RunningOff((), (), 0)
    p = problem.n_fixed
    errors = _row_errors(problem, covariance[:p, :p])
    vague = errors > VAGUE
    fixed: tuple[str, ...] = ()
    if vague.any():
        fixed = _vague_columns(problem, covariance[:p, :p])
    return RunningOff(fixed, _wide_terms(problem, factors), int(vague.sum()))


def _row_errors(problem: GeneralizedProblem, covariance: FloatMatrix) -> FloatVector:
    """Standard error of the fixed part of every row, (N,)."""
    products = problem.X @ covariance
    return np.sqrt(np.maximum(np.einsum("ij,ij->i", products, problem.X), 0.0))


def _vague_columns(
    problem: GeneralizedProblem, covariance: FloatMatrix
) -> tuple[str, ...]:
    """User's columns along which the estimates are not held."""
    T = problem.fixed_transform
    sizes = np.sqrt(((problem.X @ np.linalg.inv(T)) ** 2).mean(axis=0))
    errors = np.sqrt(np.maximum(np.diag(T @ covariance @ T.T), 0.0)) * sizes
    limit = min(VAGUE, 0.5 * errors.max(initial=0.0))
    return tuple(
        name
        for name, error in zip(problem.fixed_names, errors, strict=True)
        if error >= limit
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
