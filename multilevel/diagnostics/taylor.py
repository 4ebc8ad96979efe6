"""Quadratic surfaces of many quantities at once, by central differences.

Each evaluation tells of all groups together, so that 1,000 of them cost as much as one:
what the estimates are without a group is read off surfaces around those of all.

Held by tests/diagnostics/test_group_influence.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix

STEP = 0.05
"""Of a difference, in standard errors: truncation and rounding are both small there."""

FARTHEST = 2.0
"""Longest step that is taken, in standard errors of all data."""

LEAST = 0.3
"""Of the information of all data, what counts at least to be left without a group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """``value + slope s + s'curvature s / 2`` for each group, s (m,) a step.

    Parameters
    ----------
    value : (J, ...)
    slope : (m, J, ...)
    curvature : (m, m, J, ...)
    """

    value: FloatArray
    slope: FloatArray
    curvature: FloatArray

    def at(self, steps: FloatMatrix) -> FloatArray:
        """The surface of each group at its own step (J, m)."""
        first = np.einsum("jm,mj...->j...", steps, self.slope)
        second = np.einsum("ja,jb,abj...->j...", steps, steps, self.curvature)
        return np.asarray(self.value + first + 0.5 * second)

    def newton_steps(self) -> FloatMatrix:
        """The step (J, m) to each group's minimum.

        In coordinates in which the curvature of all groups together is 2: one step is
        a standard error there.
        """
        slope, curvature = self.slope.T, self.curvature.transpose(2, 0, 1)
        values, vectors = np.linalg.eigh(curvature / 2.0)
        # A group that holds nearly all of the information would send the estimate to
        # where the surface is none.
        values = np.maximum(values, LEAST)
        turned = np.einsum("jab,ja->jb", vectors, slope / 2.0) / values
        steps = -np.einsum("jab,jb->ja", vectors, turned)
        length = np.linalg.norm(steps, axis=1, keepdims=True)
        return np.asarray(
            steps * np.minimum(1.0, FARTHEST / np.maximum(length, 1e-300))
        )


def surfaces(
    evaluate: Callable[[FloatMatrix], tuple[FloatArray, ...]], n_directions: int
) -> tuple[Surface, ...]:
    """Surfaces of all that `evaluate` gives, around a step of zero.

    Parameters
    ----------
    evaluate : callable
        From a step (m,), in standard errors, to arrays (J, ...).
    n_directions : int
        m.
    """
    m, axes = n_directions, STEP * np.eye(n_directions)
    middle = evaluate(np.zeros(m))
    ahead, behind = [evaluate(e) for e in axes], [evaluate(-e) for e in axes]
    pairs = {
        (a, b): (evaluate(axes[a] + axes[b]), evaluate(-axes[a] - axes[b]))
        for a, b in combinations(range(m), 2)
    }
    return tuple(
        _surface(
            value,
            [point[q] for point in ahead],
            [point[q] for point in behind],
            {key: (one[q], other[q]) for key, (one, other) in pairs.items()},
        )
        for q, value in enumerate(middle)
    )


def _surface(
    value: FloatArray,
    ahead: list[FloatArray],
    behind: list[FloatArray],
    pairs: dict[tuple[int, int], tuple[FloatArray, FloatArray]],
) -> Surface:
    m = len(ahead)
    slope = np.zeros((m, *value.shape))
    curvature = np.zeros((m, m, *value.shape))
    for a in range(m):
        slope[a] = (ahead[a] - behind[a]) / (2.0 * STEP)
        curvature[a, a] = (ahead[a] + behind[a] - 2.0 * value) / STEP**2
    for (a, b), (one, other) in pairs.items():
        both = (one + other - 2.0 * value) / STEP**2
        mixed = (both - curvature[a, a] - curvature[b, b]) / 2.0
        curvature[a, b] = curvature[b, a] = mixed
    return Surface(value=value, slope=slope, curvature=curvature)
