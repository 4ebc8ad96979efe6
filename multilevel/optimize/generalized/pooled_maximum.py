"""The maximum of the likelihood without random effects, to the last digits.

Held by tests/comparison/test_pooled_glm.py and
tests/optimize/generalized/test_two_shapes.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.errors import ComparisonError
from multilevel.optimize.generalized.pooled import fit_pooled, shape_information
from multilevel.optimize.generalized.problem import GeneralizedProblem

MAX_STEPS = 100

Likelihood: TypeAlias = Callable[[FloatVector, FloatVector], float]
"""Of beta (p,) and the shapes (s,)."""


@dataclass(frozen=True, slots=True)
class PooledMaximum:
    """Maximum likelihood without random effects.

    Parameters
    ----------
    eta : (n,)
        Linear predictor of the design's rows.
    shapes : (s,)
        Logarithms of the shape parameters that are estimated.
    llf : float
        With all constants.
    """

    eta: FloatVector
    shapes: FloatVector
    llf: float


def pooled_maximum(problem: GeneralizedProblem) -> PooledMaximum:
    """Maximise the likelihood of the rows over beta and the shapes.

    Parameters
    ----------
    problem : GeneralizedProblem

    Returns
    -------
    PooledMaximum

    Raises
    ------
    ComparisonError
        If its likelihood is nowhere finite.
    """
    likelihood = problem.rows.likelihood
    try:
        start = fit_pooled(problem)
    except np.linalg.LinAlgError as error:
        raise ComparisonError(
            f"the model without random effects cannot be fitted: {error}"
        ) from error
    beta, shapes = start.beta, start.shapes

    def total(beta: FloatVector, shapes: FloatVector) -> float:
        eta = problem.X @ beta + problem.offset
        value = likelihood.terms(eta, shapes).total
        return value + float(likelihood.normalizer(shapes).sum())

    with np.errstate(all="ignore"):
        value = total(beta, shapes)
        for _ in range(MAX_STEPS):
            before = value
            beta, value = _climbed(problem, beta, shapes, value, total)
            shapes, value = _climbed_shapes(problem, beta, shapes, value, total)
            if len(shapes) > 1:
                beta, shapes, value = _climbed_together(
                    problem, beta, shapes, value, total
                )
            if value - before <= 1e-13 * (1.0 + abs(value)):
                break
    eta = problem.X @ beta + problem.offset
    return PooledMaximum(eta=eta[problem.row_of], shapes=shapes, llf=value)


def _climbed(
    problem: GeneralizedProblem,
    beta: FloatVector,
    shapes: FloatVector,
    value: float,
    total: Likelihood,
) -> tuple[FloatVector, float]:
    """One Newton step in beta, halved until the likelihood does not fall."""
    if not len(beta):
        return beta, value
    likelihood, columns = problem.rows.likelihood, problem.X
    eta = columns @ beta + problem.offset
    terms = likelihood.terms(eta, shapes)
    slope = columns.T @ terms.score
    for weight in (terms.weight, likelihood.expected_weight(eta, shapes)):
        if not np.isfinite(weight).all():
            continue
        information = columns.T @ (columns * weight[:, None])
        step = np.linalg.lstsq(information, slope, rcond=1e-12)[0]
        for share in 0.5 ** np.arange(12):
            trial = beta + share * step
            reached = total(trial, shapes)
            if reached >= value:
                return trial, reached
    return beta, value


def _climbed_shapes(
    problem: GeneralizedProblem,
    beta: FloatVector,
    shapes: FloatVector,
    value: float,
    total: Likelihood,
) -> tuple[FloatVector, float]:
    """One Newton step in each of the shapes, halved likewise."""
    eta = problem.X @ beta + problem.offset

    def slope(at: FloatVector, k: int) -> float:
        return float(problem.rows.likelihood.shape_terms(eta, at).total[k])

    for k, unit in enumerate(np.eye(len(shapes))):
        here, h = slope(shapes, k), 1e-4 * unit
        curve = (slope(shapes + h, k) - slope(shapes - h, k)) / 2e-4
        step = -here / curve if curve < 0.0 else np.sign(here)
        step = float(np.clip(step, -2.0, 2.0))
        for share in 0.5 ** np.arange(30):
            trial = shapes + share * step * unit
            reached = total(beta, trial)
            if reached >= value:
                shapes, value = trial, reached
                break
    return shapes, value


def _climbed_together(
    problem: GeneralizedProblem,
    beta: FloatVector,
    shapes: FloatVector,
    value: float,
    total: Likelihood,
) -> tuple[FloatVector, FloatVector, float]:
    """One Newton step in all parameters, halved likewise.

    A single dispersion or size is orthogonal to beta; several shapes are not to one
    another, and step by step they would come near the maximum only.
    """
    likelihood, columns, p = problem.rows.likelihood, problem.X, len(beta)
    eta = columns @ beta + problem.offset
    terms, among = likelihood.terms(eta, shapes), likelihood.shape_terms(eta, shapes)
    across = -columns.T @ among.score.T
    own = shape_information(likelihood, eta, shapes, 1e-4)
    information = np.block(
        [[columns.T @ (columns * terms.weight[:, None]), across], [across.T, own]]
    )
    slope = np.concatenate([columns.T @ terms.score, among.total])
    if not np.isfinite(information).all():
        return beta, shapes, value
    step = np.linalg.lstsq(information, slope, rcond=1e-12)[0]
    for share in 0.5 ** np.arange(12):
        moved = beta + share * step[:p], shapes + share * step[p:]
        reached = total(*moved)
        if reached >= value:
            return *moved, reached
    return beta, shapes, value
