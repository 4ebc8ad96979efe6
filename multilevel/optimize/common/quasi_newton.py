"""BFGS with a good first Hessian, for a dear function whose gradient is known.

References
----------
Nocedal & Wright (2006), Numerical Optimization, sections 3.5 (step lengths) and 6.1.

Held by tests/optimize/common/test_quasi_newton.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector


class Evaluation(Protocol):
    """The function at one point."""

    @property
    def value(self) -> float:
        """Its value."""

    @property
    def gradient(self) -> FloatVector:
        """Its gradient (d,)."""


@dataclass(frozen=True, slots=True)
class Descent:
    """Where the optimizer stopped.

    Parameters
    ----------
    x : (d,)
    point : Evaluation
        At x.
    inverse_hessian : (d, d)
        As learnt on the way.
    expected_gain : float
        By how much the function could still fall, by its quadratic model.
    evaluations : int
    converged : bool
    """

    x: FloatVector
    point: Evaluation
    inverse_hessian: FloatMatrix
    expected_gain: float
    evaluations: int
    converged: bool


NOISE = 1e-9
"""Rise of the function that is put down to rounding."""

MAX_IDLE = 4
"""Steps in a row that bring nothing after which the descent ends."""

Objective = Callable[[FloatVector], Evaluation | None]
"""x (d,) -> Evaluation; None where it cannot be evaluated."""


def minimize_bfgs(
    objective: Objective,
    x: FloatVector,
    point: Evaluation,
    inverse_hessian: FloatMatrix,
    *,
    gain_tolerance: float = 1e-9,
    max_evaluations: int = 500,
    longest: float = 4.0,
    reach: float | FloatVector = 1.0,
    on_step: Callable[[int, float], None] | None = None,
) -> Descent:
    """Minimise from a point that has been evaluated.

    Parameters
    ----------
    objective : callable
    x : (d,)
    point : Evaluation
        At x.
    inverse_hessian : (d, d)
        Positive definite.
    gain_tolerance : float
        Stop when the model promises a smaller fall than this.
    max_evaluations : int
    longest : float
        Longest step, in the metric of the first Hessian; doubled when such a step went
        well, as the optimum may be farther away than that Hessian thought.
    reach : float or (d,)
        Steps up to this length in a parameter are allowed however well it is known.
    on_step : callable, optional
        Told the number of evaluations and the value after each step.
    """
    inverse, evaluations, idle = inverse_hessian, 0, 0
    metric = _length_metric(inverse_hessian, longest / reach)
    while True:
        step = -inverse @ point.gradient
        gain = -0.5 * float(step @ point.gradient)
        if on_step is not None:
            on_step(evaluations, point.value)
        floor = max(gain_tolerance, 4.0 * np.finfo(float).eps * abs(point.value))
        if gain <= floor or evaluations >= max_evaluations:
            return Descent(
                x=x,
                point=point,
                inverse_hessian=inverse,
                expected_gain=max(gain, 0.0),
                evaluations=evaluations,
                converged=gain <= floor,
            )
        length = float(np.sqrt(step @ metric @ step))
        cut = length > longest
        if cut:
            step *= longest / length
        found, used = _search(objective, x, point, step)
        evaluations += used
        if found is None:
            # What was learnt may be wrong by now: once more with the first Hessian, and
            # if that does not lead down either, this is as low as it gets.
            if inverse is inverse_hessian:
                return Descent(
                    x=x,
                    point=point,
                    inverse_hessian=inverse,
                    expected_gain=gain,
                    evaluations=evaluations,
                    converged=gain < 1e-6,
                )
            inverse = inverse_hessian
            continue
        share, trial = found
        if cut and share == 1.0:
            longest *= 2.0
        step = share * step
        inverse = _updated(inverse, step, trial.gradient - point.gradient)
        # Rounding may keep the gradient above what the tolerance asks for.
        idle = idle + 1 if point.value - trial.value < gain_tolerance else 0
        x, point = x + step, trial
        if idle == MAX_IDLE:
            gain = 0.5 * float(point.gradient @ inverse @ point.gradient)
            return Descent(
                x=x,
                point=point,
                inverse_hessian=inverse,
                expected_gain=gain,
                evaluations=evaluations,
                converged=gain < 1e-6,
            )


def _length_metric(inverse: FloatMatrix, most: float | FloatVector) -> FloatMatrix:
    """The metric of a first Hessian, its diagonal at most the squares of `most`."""
    metric = np.linalg.inv(inverse)
    sizes = np.sqrt(np.diag(metric))
    shrunk = np.minimum(1.0, most / sizes)
    return np.asarray(metric * np.outer(shrunk, shrunk))


def _search(
    objective: Objective, x: FloatVector, point: Evaluation, step: FloatVector
) -> tuple[tuple[float, Evaluation] | None, int]:
    """A share of the step that brings enough of what the slope promises."""
    slope = float(step @ point.gradient)
    share, used = 1.0, 0
    # Rounding in the value must not hold up a step that the gradient asks for.
    slack = NOISE + 8.0 * np.finfo(float).eps * abs(point.value)
    while used < 30:
        trial = objective(x + share * step)
        used += 1
        if trial is None:
            share *= 0.25
            continue
        if trial.value <= point.value + 1e-4 * share * slope + slack:
            return (share, trial), used
        # The minimum of the parabola through value, slope and the trial, kept within a
        # tenth and a half of the step that failed.
        rise = trial.value - point.value - share * slope
        best = -0.5 * slope * share * share / rise if rise > 0 else 0.5 * share
        share = float(np.clip(best, 0.1 * share, 0.5 * share))
    return None, used


def _updated(
    inverse: FloatMatrix, step: FloatVector, change: FloatVector
) -> FloatMatrix:
    """The inverse Hessian after a step; unchanged where the function is not convex."""
    overlap = float(step @ change)
    # The update keeps the inverse positive definite only if
    # the slope rose along the step.
    if overlap <= 1e-10 * np.linalg.norm(step) * np.linalg.norm(change):
        return inverse
    along = inverse @ change
    scale = (1.0 + float(change @ along) / overlap) / overlap
    cross = np.outer(along, step) / overlap
    return np.asarray(inverse + scale * np.outer(step, step) - cross - cross.T)
