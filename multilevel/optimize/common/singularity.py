"""Covariances on the edge of the parameter space.

Held by tests/optimize/common/test_singularity.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.covariance.standard_deviations import (
    StandardDeviations,
    correlation_name,
    sd_name,
)

SINGULAR = 1e-4
"""A relative standard deviation, in columns of unit size, that counts as zero.

Relative to the residuals: of a generalized model, to what one row can tell of its eta.
"""


class RandomTerms(Protocol):
    """The random terms of a problem, with their names."""

    @property
    def terms(self) -> StackedTerms:
        """From theta to covariance factors."""

    @property
    def effect_names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the effects of each term."""

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Name of each grouping factor."""

    @property
    def column_scales(self) -> list[FloatVector]:
        """Root mean square (k,) of the user's random columns, by term."""


def nearest_singular(
    problem: RandomTerms,
    theta: FloatVector,
    *,
    below: float = 1e-2,
) -> FloatVector | None:
    """theta with every covariance's directions below `below` set to zero.

    Parameters
    ----------
    theta : (m,)
        Of the working columns.

    Returns
    -------
    (m,) or None
        None if no direction is that small.
    """
    factors, found = [], False
    structures = problem.terms.structures
    for structure, factor in zip(
        structures, problem.terms.term_factors(theta), strict=True
    ):
        kept, is_smaller = structure.without_small(factor, below)
        factors.append(kept)
        found |= is_smaller
    return problem.terms.theta_of(factors) if found else None


def is_singular(problem: RandomTerms, theta: FloatVector, *, unit: float = 1.0) -> bool:
    """Whether a covariance matrix is not of full rank, by working-column units."""
    return any(
        np.linalg.svd(factor, compute_uv=False)[-1] < SINGULAR * unit
        for factor in problem.terms.term_factors(theta)
    )


def boundary_parameters(
    problem: RandomTerms, factors: Sequence[FloatMatrix], *, unit: float = 1.0
) -> dict[str, float]:
    """Names and values of the standard deviations and correlations on the edge.

    Parameters
    ----------
    factors : one (k, k) for each term
        Relative covariance factors of the user's columns.
    unit : float
        Of theta; one where it is relative to the residuals.
    """
    found: dict[str, float] = {}
    scales = problem.column_scales
    for t, factor in enumerate(factors):
        group = problem.factor_names[problem.terms.factor_of_term[t]]
        names = problem.effect_names[t]
        relative = StandardDeviations.of(factor)
        sds, cor = relative.sd, relative.correlation
        zero = sds * scales[t] < SINGULAR * unit
        found |= {sd_name(names[i], group): float(sds[i]) for i in np.flatnonzero(zero)}
        for i, j in zip(*np.tril_indices(len(names), -1), strict=True):
            if not (zero[i] or zero[j]) and abs(cor[i, j]) > 1.0 - 1e-7:
                pair = correlation_name(names[j], names[i], group)
                found[pair] = float(np.sign(cor[i, j]))
    return found
