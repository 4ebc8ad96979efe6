"""Newton's method in a trust region, for a few parameters and a dear function.

A step minimises the quadratic model inside a ball.  The model's Hessian may be
indefinite: then the step follows its negative curvature, which is how a stationary
point that is not a minimum is left, theta = 0 among them.

References
----------
Nocedal & Wright (2006), Numerical Optimization, sections 4.1, 4.3 and 6.2.

Held by tests/optimize/common/test_trust_region.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.linear.theta_derivatives import ThetaDerivatives

Objective = Callable[[FloatVector], ThetaDerivatives]


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where the optimizer stopped.

    Parameters
    ----------
    x : (m,)
    point : ThetaDerivatives
        At x.
    expected_gain : float
        By how much the model says the function could still fall.
    evaluations : int
    converged : bool
    """

    x: FloatVector
    point: ThetaDerivatives
    expected_gain: float
    evaluations: int
    converged: bool


def trust_region_step(
    gradient: FloatVector, hessian: FloatMatrix, radius: float
) -> tuple[FloatVector, float]:
    """Minimise g's + s'Hs/2 over |s| <= radius; the step and the predicted fall."""
    values, vectors = np.linalg.eigh(hessian)
    slope = vectors.T @ gradient
    scale = max(np.abs(values).max(initial=0.0), 1e-300)
    # Below that an eigenvalue is rounding of the largest: its sign means nothing.
    interior = values[0] > 1e-11 * scale
    if interior:
        along = -slope / values
        if along @ along <= radius**2:
            return vectors @ along, float(-(slope @ along) / 2.0)
    along = _boundary_step(values, slope, radius, scale)
    predicted = -(slope @ along + (values * along) @ along / 2.0)
    return vectors @ along, float(predicted)


def _boundary_step(
    values: FloatVector, slope: FloatVector, radius: float, scale: float
) -> FloatVector:
    """Step of length `radius` (shorter in flat directions), in eigenvectors."""
    # Flat directions: rotations of a singular factor; nothing is gained along them.
    flat = (np.abs(values) <= 1e-11 * scale) & (np.abs(slope) <= 1e-9 * scale**0.5)
    slope = np.where(flat, 0.0, slope)
    active = np.where(flat, scale, values)
    low = max(0.0, -float(active.min()))

    def length(shift: float) -> float:
        return float(np.linalg.norm(slope / (active + shift)))

    tiny = 1e-14 * scale
    if active.min() > 0 and length(0.0) <= radius:
        return np.asarray(-slope / active)
    # The hard case: the gradient has no part along the most negative curvature, so no
    # shift makes the step long enough; the rest of its length is taken along it.
    if length(low + tiny) <= radius:
        along: FloatVector = -slope / (active + low + tiny)
        worst = int(np.argmin(active))
        missing = float(np.sqrt(max(radius**2 - float(along @ along), 0.0)))
        along[worst] += missing if along[worst] >= 0 else -missing
        return along
    # Newton on 1/|s| = 1/radius in the shift: nearly linear, so a few steps suffice.
    shift = low + max(tiny, float(np.abs(slope).max()) / radius - low)
    for _ in range(30):
        along = slope / (active + shift)
        squared = float(along @ along)
        excess = np.sqrt(squared) / radius - 1.0
        if abs(excess) < 1e-3:
            break
        change = excess * squared / float(along**2 @ (1.0 / (active + shift)))
        # From the right of the root Newton may overshoot the pole: go half way then.
        shift = max(shift + change, low + 0.5 * (shift - low))
    return -slope / (active + shift)


def _secant_correction(
    correction: FloatMatrix,
    model: FloatMatrix,
    step: FloatVector,
    change: FloatVector,
) -> FloatMatrix:
    """Symmetric rank-one update that makes model + correction match the last step."""
    missed = change - (model + correction) @ step
    overlap = missed @ step
    # Nearly orthogonal, the rank-one update would be huge (Nocedal & Wright, 6.26).
    if abs(overlap) < 1e-8 * np.linalg.norm(missed) * np.linalg.norm(step):
        return correction
    return correction + np.outer(missed, missed) / overlap


def minimize(
    objective: Objective,
    start: FloatVector,
    *,
    gain_tolerance: float = 1e-10,
    max_evaluations: int = 300,
    exact_hessian: bool = True,
    on_step: Callable[[int, float], None] | None = None,
) -> Minimum:
    """Minimise a function whose gradient and Hessian (or a model of it) are known.

    Parameters
    ----------
    objective : callable
        (m,) -> ThetaDerivatives; may raise LinAlgError outside its domain.
    start : (m,)
    gain_tolerance : float
        Stop when the model promises a smaller fall than this.
    max_evaluations : int
    exact_hessian : bool
        If False a secant correction is learnt for what the Hessian leaves out.
    on_step : callable, optional
        Told the number of evaluations and the value after each.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the function cannot be evaluated at the start.
    """
    x, point, evaluations = start, objective(start), 1
    if not _is_finite(point):
        raise np.linalg.LinAlgError("the function is not finite at the start")
    radius = max(1.0, float(np.linalg.norm(start)))
    correction = np.zeros((len(start), len(start)))
    while True:
        if on_step is not None:
            on_step(evaluations, point.value)
        model = point.hessian + correction
        step, predicted = trust_region_step(point.gradient, model, radius)
        # A promise below the rounding of the value itself cannot be kept, nor checked.
        floor = max(gain_tolerance, 8.0 * np.finfo(float).eps * abs(point.value))
        if predicted <= floor:
            return Minimum(
                x=x,
                point=point,
                expected_gain=max(predicted, 0.0),
                evaluations=evaluations,
                converged=True,
            )
        if evaluations >= max_evaluations or np.linalg.norm(step) < 1e-14 * (
            1.0 + np.linalg.norm(x)
        ):
            converged = predicted < 1e-6
            return Minimum(
                x=x,
                point=point,
                expected_gain=predicted,
                evaluations=evaluations,
                converged=converged,
            )
        trial = _try(objective, x + step)
        evaluations += 1
        fall = point.value - trial.value if trial is not None else -np.inf
        ratio = fall / predicted
        length = float(np.linalg.norm(step))
        if ratio < 0.25:
            radius = 0.25 * length
        elif ratio > 0.75 and length > 0.9 * radius:
            # Where the function fell far more than predicted the model is no good
            # either: grow with more care.
            radius *= 4.0 if ratio < 1.5 else 2.0
        if trial is not None and ratio > 1e-4:
            if not exact_hessian:
                change = trial.gradient - point.gradient
                # Learnt only from steps that the model describes; after any other
                # it starts anew, as what was learnt belongs to a part of the
                # function that is left behind.
                if 0.25 < ratio < 4.0:
                    correction = _secant_correction(
                        correction, trial.hessian, step, change
                    )
                else:
                    correction = np.zeros_like(correction)
            x, point = x + step, trial
        elif not exact_hessian:
            correction = np.zeros_like(correction)


def _try(objective: Objective, x: FloatVector) -> ThetaDerivatives | None:
    try:
        point = objective(x)
    except np.linalg.LinAlgError:
        return None
    return point if _is_finite(point) else None


def _is_finite(point: ThetaDerivatives) -> bool:
    """Whether a next step can be computed: a Hessian may overflow before the rest."""
    return bool(
        np.isfinite(point.value)
        and np.isfinite(point.gradient).all()
        and np.isfinite(point.hessian).all()
    )
