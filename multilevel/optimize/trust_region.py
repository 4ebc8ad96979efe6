"""Newton's method in a trust region, for a few parameters and a dear function.

Each evaluation gives a model of the function that is cheap to evaluate anywhere.  The
next point minimises the model inside a trust region, by Newton steps of its own whose
quadratic models may be indefinite: such a step follows the negative curvature, which
is how a stationary point that is not a minimum is left, theta = 0 among them.

References
----------
Nocedal & Wright (2006), Numerical Optimization, sections 4.1, 4.3 and 6.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as sla

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.optimize.covariance_model import CovarianceModel

NOISE = 1e-6
"""A fall of the deviance, less than which says nothing that matters and, with variance
ratios beyond 1e6, may be rounding."""

SMALL = 0.2
"""Relative length of a step for which the quadratic model in theta will do."""

Objective = Callable[[FloatVector], CovarianceModel]


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where the optimizer stopped.

    Parameters
    ----------
    x : (m,)
    model : CovarianceModel
        At x.
    expected_gain : float
        By how much the model says the function could still fall.
    evaluations : int
    converged : bool
    """

    x: FloatVector
    model: CovarianceModel
    expected_gain: float
    evaluations: int
    converged: bool


def trust_region_step(
    gradient: FloatVector, hessian: FloatMatrix, radius: float
) -> tuple[FloatVector, float]:
    """Minimise g's + s'Hs/2 over |s| <= radius; the step and the predicted fall."""
    values, vectors = np.linalg.eigh(hessian)
    slope = vectors.T @ gradient
    scale = max(float(np.abs(values).max(initial=0.0)), 1e-300)
    # Flat directions: rotations of a singular factor; nothing is gained along them.
    flat = (np.abs(values) <= 1e-11 * scale) & (np.abs(slope) <= 1e-9 * scale**0.5)
    slope = np.where(flat, 0.0, slope)
    along = _step_in_eigenvectors(np.where(flat, scale, values), slope, radius, scale)
    predicted = -(slope @ along + (values * along) @ along / 2.0)
    return vectors @ along, float(predicted)


def _step_in_eigenvectors(
    values: FloatVector, slope: FloatVector, radius: float, scale: float
) -> FloatVector:
    """The minimiser -slope / (values + shift), with the least shift that fits."""
    tiny = 1e-14 * scale
    low = max(0.0, -float(values.min(initial=0.0)))
    least = low if values.min(initial=scale) > tiny else low + tiny
    along: FloatVector = -slope / (values + least)
    length = float(np.linalg.norm(along))
    if length <= radius:
        if least > 0.0:
            worst = int(np.argmin(values))
            missing = np.sqrt(max(radius**2 - length**2, 0.0))
            along[worst] += missing if along[worst] >= 0 else -missing
        return along
    # Newton on 1/|s| = 1/radius in the shift: nearly linear, so a few steps suffice.
    shift = max(least, float(np.abs(slope).max()) / radius - float(values.max()))
    for _ in range(50):
        along = -slope / (values + shift)
        squared = float(along @ along)
        excess = np.sqrt(squared) / radius - 1.0
        if abs(excess) < 1e-3:
            break
        change = excess * squared / float(along**2 @ (1.0 / (values + shift)))
        # From the right of the root Newton may overshoot the pole: go half way then.
        shift = max(shift + change, least + 0.5 * (shift - least))
    return along


@dataclass(frozen=True, slots=True)
class _ModelStep:
    """Where the model is lowest inside the trust region, and by how much it falls."""

    x: FloatVector
    predicted: float
    distance: float


def _model_step(model: CovarianceModel, radius: float, *, enough: float) -> _ModelStep:
    """Descend on the model, from its centre, within a relative change of `radius`.

    Parameters
    ----------
    enough : float
        A further fall of the model that is not worth another step.
    """
    x, current = model.theta, model.expand_here()
    scale = _inverse_root(model.metric())
    inner, distance = radius, 0.0
    step, predicted = trust_region_step(
        scale.T @ current.gradient, scale.T @ current.hessian @ scale, inner
    )
    if predicted <= enough:
        return _ModelStep(x, predicted, 0.0)
    if np.linalg.norm(step) < min(SMALL, 0.4 * radius):
        target = x + scale @ step
        return _ModelStep(target, predicted, model.distance(target))
    for _ in range(30):
        step, predicted = trust_region_step(
            scale.T @ current.gradient, scale.T @ current.hessian @ scale, inner
        )
        if predicted <= max(0.02 * -current.change, enough):
            break
        target = x + scale @ step
        reach = model.distance(target)
        trial = model.expand(target) if reach <= radius else None
        if trial is None or current.change - trial.change < 0.1 * predicted:
            inner = 0.5 * min(inner, float(np.linalg.norm(step)))
            if inner < 1e-3 * radius and current.change < 0:
                break
            continue
        x, current, distance = target, trial, reach
    return _ModelStep(x, -current.change, distance)


def _inverse_root(metric: FloatMatrix) -> FloatMatrix:
    """C with C'metric C = I, upper triangular."""
    root = np.linalg.cholesky(metric).T
    inverse, _ = sla.lapack.dtrtri(root)
    return np.asarray(np.triu(inverse))


def minimize(
    objective: Objective,
    start: FloatVector,
    *,
    gain_tolerance: float = 1e-10,
    max_evaluations: int = 200,
    exact_hessian: bool = True,
    known: Minimum | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Minimum:
    """Minimise a function of which each evaluation gives a model.

    Parameters
    ----------
    objective : callable
        (m,) -> CovarianceModel; may raise LinAlgError outside its domain.
    start : (m,)
    gain_tolerance : float
        Stop when the model promises a smaller fall than this.
    max_evaluations : int
    exact_hessian : bool
        If False a secant correction is learnt for what the model's Hessian leaves out.
    known : Minimum, optional
        Stop on coming near to it, too, or when it is out of reach.
    on_step : callable, optional
        Told the number of evaluations and the value after each.
    """
    model, evaluations = objective(start), 1
    radius = 3.0
    is_quadratic, rejections, promise = False, 0, np.inf
    learnt = None if exact_hessian else np.zeros(model.curvature.shape)
    while True:
        if on_step is not None:
            on_step(evaluations, model.value)
        floor = max(gain_tolerance, 8.0 * np.finfo(float).eps * abs(model.value))
        used = model if learnt is None else model.corrected(learnt)
        if is_quadratic:
            used = replace(used, is_quadratic=True)
        step = _model_step(used, radius, enough=0.1 * floor)
        if step.predicted <= floor and radius < 1.0:
            # Little is gained within the region: is it so because that is small?
            radius = 1.0
            step = _model_step(used, radius, enough=0.1 * floor)
        is_near = step.distance < 0.5 * radius
        promised = step.predicted if is_near else np.inf
        if known is not None and _is_pointless(model, promised, known):
            return Minimum(model.theta, model, step.predicted, evaluations, False)
        if step.predicted <= floor:
            return Minimum(
                model.theta, model, max(step.predicted, 0.0), evaluations, True
            )
        if evaluations >= max_evaluations or radius < 1e-12:
            converged = step.predicted < NOISE
            return Minimum(model.theta, model, step.predicted, evaluations, converged)
        trial = _try(objective, step.x)
        evaluations += 1
        fall = model.value - trial.value if trial is not None else -np.inf
        ratio = fall / step.predicted
        if trial is not None and learnt is not None:
            learnt = used.learn(learnt, trial)
        if trial is not None and step.distance > SMALL and not 0.7 < ratio < 1.4:
            other = replace(used, is_quadratic=not is_quadratic)
            if abs(other.predict(step.x) + fall) < abs(fall - step.predicted):
                is_quadratic = not is_quadratic
        settled = step.predicted < NOISE and is_near
        if settled and not 0.2 < ratio < 5.0:
            best = model if trial is None or fall <= 0 else trial
            return Minimum(best.theta, best, step.predicted, evaluations, True)
        promise = step.predicted if rejections == 0 else promise
        rejections = 0 if ratio > 1e-4 else rejections + 1
        if rejections >= 3 and ratio < -1.0 and promise < 100.0 * NOISE:
            # The shorter the step, the worse the model: that is rounding.
            return Minimum(model.theta, model, promise, evaluations, True)
        radius = _next_radius(radius, ratio, step.distance)
        if trial is not None and ratio > 1e-4:
            model = trial


def _is_pointless(model: CovarianceModel, promised: float, known: Minimum) -> bool:
    """Whether a descent is about to end at the known minimum or above it."""
    above = model.value - known.model.value
    if above <= 0.0:
        return False
    return model.distance(known.x) < 0.1 or promised < 0.1 * above


def _next_radius(radius: float, ratio: float, distance: float) -> float:
    if ratio < 0.25:
        return 0.25 * min(max(distance, 1e-3 * radius), radius)
    if ratio > 0.75 and distance > 0.4 * radius:
        return radius * 2.0
    return radius


def _try(objective: Objective, x: FloatVector) -> CovarianceModel | None:
    try:
        model = objective(x)
    except np.linalg.LinAlgError:
        return None
    if not (np.isfinite(model.value) and np.isfinite(model.slopes).all()):
        return None
    return model
