"""What the likelihoods of counts share.

Held by tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.likelihood.families.stable_logs import poisson_norm

MANY = 1e5
"""Counts from which the likelihood is written by their ratio to the mean."""

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
