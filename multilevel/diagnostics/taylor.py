"""Surfaces of many quantities at once, by central differences.

Each evaluation tells of all groups together, so that 1,000 of them cost as much as one:
what the estimates are without a group is read off surfaces around those of all. Those
of deviances are cubic: a third derivative is how information changes on the way.

Held by tests/diagnostics/test_group_influence.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations, permutations

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector

STEP = 0.05
"""Of a difference, in standard errors: truncation and rounding are both small there."""

FARTHEST = 4.0
"""Longest step that is taken, in standard errors of all data."""

LEAST = 0.3
"""Of the information of all data, what counts at least to be left without a group."""

CUBIC_UP_TO = 6
"""Directions; third derivatives along more of them would take long."""

Evaluate = Callable[[FloatVector], tuple[FloatArray, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """``value + slope s + s'curvature s / 2 + third sss / 6`` for each group.

    Parameters
    ----------
    value : (J, ...)
    slope : (m, J, ...)
    curvature : (m, m, J, ...)
    third : (m, m, m, J) or None
        Of deviances, unless there are many directions.
    """

    value: FloatArray
    slope: FloatArray
    curvature: FloatArray
    third: FloatArray | None = None

    def at(self, steps: FloatMatrix) -> FloatArray:
        """The quadratic surface of each group at its own step (J, m)."""
        first = np.einsum("jm,mj...->j...", steps, self.slope)
        second = np.einsum("ja,jb,abj...->j...", steps, steps, self.curvature)
        return np.asarray(self.value + first + 0.5 * second)

    def curvature_at(self, steps: FloatMatrix) -> FloatArray:
        """Second derivatives at the step (J, m) of each group, (J, m, m)."""
        here = self.curvature.transpose(2, 0, 1)
        if self.third is None:
            return here
        return np.asarray(here + np.einsum("ja,abcj->jbc", steps, self.third))

    def slope_at(self, steps: FloatMatrix) -> FloatMatrix:
        """First derivatives there, (J, m)."""
        here = self.curvature.transpose(2, 0, 1)
        middle = (here + self.curvature_at(steps)) / 2.0
        return np.asarray(self.slope.T + np.einsum("jab,jb->ja", middle, steps))

    def steps_to_minima(self) -> FloatMatrix:
        """The step (J, m) to each group's minimum: Newton's, corrected for the third.

        In coordinates in which the curvature of all groups together is 2: one step is
        a standard error there.
        """
        steps = _bounded(self._step_from(np.zeros_like(self.slope.T)))
        if self.third is None:
            return steps
        for _ in range(2):
            steps = _bounded(steps + self._step_from(steps))
        return steps

    def _step_from(self, steps: FloatMatrix) -> FloatMatrix:
        """Newton's step from where each group is, (J, m)."""
        values, vectors = np.linalg.eigh(self.curvature_at(steps) / 2.0)
        # A group that holds nearly all of the information would send the estimate to
        # where the surface is none.
        values = np.maximum(values, LEAST)
        slope = self.slope_at(steps) / 2.0
        turned = np.einsum("jab,ja->jb", vectors, slope) / values
        return np.asarray(-np.einsum("jab,jb->ja", vectors, turned))


def _bounded(steps: FloatMatrix) -> FloatMatrix:
    length = np.linalg.norm(steps, axis=1, keepdims=True)
    return np.asarray(steps * np.minimum(1.0, FARTHEST / np.maximum(length, 1e-300)))


def surfaces(evaluate: Evaluate, n_directions: int) -> tuple[Surface, ...]:
    """Surfaces of all that `evaluate` gives, around a step of zero.

    Parameters
    ----------
    evaluate : callable
        From a step (m,), in standard errors, to arrays (J, ...); deviances first.
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
    first, *others = (
        _surface(
            value,
            [point[q] for point in ahead],
            [point[q] for point in behind],
            {key: (one[q], other[q]) for key, (one, other) in pairs.items()},
        )
        for q, value in enumerate(middle)
    )
    if m > CUBIC_UP_TO:
        return (first, *others)
    return (replace(first, third=_third_derivatives(evaluate, m)), *others)


def _third_derivatives(evaluate: Evaluate, m: int) -> FloatArray:
    """Of the first quantity, (m, m, m, J), by polarization of those along a line."""
    axes = np.eye(m)

    def along(direction: FloatVector) -> FloatArray:
        # Longer than the steps of the others, whose differences are of lower order.
        d = 4.0 * STEP * direction
        far, near = (evaluate(t * d)[0] - evaluate(-t * d)[0] for t in (1.0, 0.5))
        return np.asarray((far - 2.0 * near) / (2.0 * (2.0 * STEP) ** 3))

    pure = [along(e) for e in axes]
    if not m:
        return np.zeros((0, 0, 0, 1))
    out = np.zeros((m, m, m, len(pure[0])))
    for a in range(m):
        out[a, a, a] = pure[a]
    for a, b in combinations(range(m), 2):
        plus, minus = along(axes[a] + axes[b]), along(axes[a] - axes[b])
        _fill(out, (a, a, b), ((plus - minus) / 2.0 - pure[b]) / 3.0)
        _fill(out, (a, b, b), ((plus + minus) / 2.0 - pure[a]) / 3.0)
    for a, b, c in combinations(range(m), 3):
        single = pure[a] + pure[b] + pure[c]
        double = sum(out[i, i, k] for i, k in permutations((a, b, c), 2))
        total = along(axes[a] + axes[b] + axes[c])
        _fill(out, (a, b, c), (total - single - 3.0 * double) / 6.0)
    return out


def _fill(out: FloatArray, places: tuple[int, int, int], values: FloatVector) -> None:
    for place in set(permutations(places)):
        out[place] = values


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
