"""What the likelihoods of counts share.

Held by tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from multilevel.array_types import FloatArray, FloatVector
from multilevel.likelihood.families.stable_logs import poisson_norm

MANY = 1e5
"""Counts from which the likelihood is written by their ratio to the mean."""

MOST_DRAWN = 1e15
"""Means up to which Poisson counts are drawn as such."""

LARGEST = 690.0
"""Logarithm of the largest mean."""


def count_logs(counts: FloatVector) -> FloatVector:
    """log y, zero where the count is; (n,)."""
    return np.log(np.where(counts > 0.0, counts, 1.0))


def count_constant(y: FloatVector, weights: FloatVector | None) -> FloatVector:
    """Log density of each count at its own mean, times its case weight, (n,)."""
    constant = poisson_norm(y)
    return constant if weights is None else weights * constant


def halfway_to_mean(counts: FloatVector) -> FloatVector:
    """Where the means of counts start, (n,): above zero, and not at the counts."""
    return 0.5 * (counts + max(float(counts.mean()), 0.1))


def draw_counts(rng: Generator, mean: FloatArray) -> FloatArray:
    """Poisson counts with given means."""
    few = rng.poisson(np.minimum(mean, MOST_DRAWN)).astype(float)
    if not (mean > MOST_DRAWN).any():
        return few
    # Of more, numpy's integers hold none; they are normal to fifteen digits.
    many = np.round(mean + np.sqrt(mean) * rng.standard_normal(mean.shape))
    return np.where(mean > MOST_DRAWN, many, few)
