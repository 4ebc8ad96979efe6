"""A generalized linear model without random effects, as a start for one with them.

Held by tests/comparison/test_pooled_glm.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as sla

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.families.row_likelihood import RowLikelihood, RowTerms
from multilevel.optimize.common.differences import central_differences
from multilevel.optimize.generalized.problem import GeneralizedProblem
from multilevel.optimize.generalized.rows import eta_inside

MAX_STEPS = 25
"""Enough for a start; when separation sends estimates to infinity, a welcome end."""

MAX_SWEEPS = 5
"""Over the shapes, where there are several."""

ENOUGH = 1e-2
"""Change of the log-likelihood with which a start is good enough."""


@dataclass(frozen=True, slots=True)
class PooledFit:
    """Maximum likelihood without random effects, roughly converged.

    Parameters
    ----------
    beta : (p,)
        Of the working columns.
    eta : (n,)
    shapes : (s,)
    """

    beta: FloatVector
    eta: FloatVector
    shapes: FloatVector


def fit_pooled(problem: GeneralizedProblem) -> PooledFit:
    """Fisher scoring from the responses' own means."""
    likelihood = problem.rows.likelihood
    eta = eta_inside(problem.family.link, likelihood)
    shapes = np.zeros(likelihood.n_shapes)
    weight = likelihood.expected_weight(eta, shapes)
    beta = _weighted_fit(problem, eta, weight)
    beta, eta = _feasible(problem, beta, eta, shapes)
    shapes = best_shapes(problem, eta, shapes)
    terms = likelihood.terms(eta, shapes)
    for _ in range(MAX_STEPS):
        weight = terms.weight
        # Fisher's weights are positive for every link; the observed ones may be
        # negative far from the optimum.
        if not problem.family.is_canonical:
            weight = likelihood.expected_weight(eta, shapes)
        # The working response; a row without information has a response without weight.
        response = eta + terms.score / np.maximum(weight, 1e-300)
        target = _weighted_fit(problem, response, weight)
        before = terms.total
        beta, eta, terms = _halved(problem, beta, target, before, shapes)
        if abs(terms.total - before) <= ENOUGH * max(1.0, 1e-6 * abs(before)):
            break
    shapes = best_shapes(problem, eta, shapes)
    return PooledFit(beta, eta, shapes)


def _weighted_fit(
    problem: GeneralizedProblem, response: FloatVector, weight: FloatVector
) -> FloatVector:
    """Weighted least squares of the working response, (p,)."""
    columns = problem.X
    if not columns.shape[1]:
        return np.zeros(0)
    if not np.isfinite(weight).all():
        weight = np.where(np.isfinite(weight), weight, 0.0)
    weighted = columns * weight[:, None]
    return solve_positive(
        columns.T @ weighted, weighted.T @ (response - problem.offset)
    )


def solve_positive(matrix: FloatMatrix, rhs: FloatVector) -> FloatVector:
    """Solve for a positive definite matrix, by least squares if it is singular."""
    _, solution, info = sla.lapack.dposv(matrix, rhs)
    if info or not np.isfinite(solution).all():
        finite = np.nan_to_num(matrix)
        return np.asarray(np.linalg.lstsq(finite, np.nan_to_num(rhs), rcond=1e-12)[0])
    return np.asarray(solution)


def _feasible(
    problem: GeneralizedProblem,
    beta: FloatVector,
    eta: FloatVector,
    shapes: FloatVector,
) -> tuple[FloatVector, FloatVector]:
    """beta, drawn towards a constant eta until the likelihood is finite."""
    columns, likelihood = problem.X, problem.rows.likelihood
    fitted = columns @ beta + problem.offset
    if np.isfinite(likelihood.terms(fitted, shapes).total):
        return beta, fitted
    centre = np.full_like(eta, float(np.median(eta)))
    inner = solve_positive(columns.T @ columns, columns.T @ (centre - problem.offset))
    for share in [*(0.5 ** np.arange(1, 30)), 0.0]:
        trial = inner + share * (beta - inner)
        fitted = columns @ trial + problem.offset
        if np.isfinite(likelihood.terms(fitted, shapes).total):
            return trial, fitted
    raise np.linalg.LinAlgError("no fixed effects with a finite likelihood were found")


def _halved(
    problem: GeneralizedProblem,
    beta: FloatVector,
    target: FloatVector,
    total: float,
    shapes: FloatVector,
) -> tuple[FloatVector, FloatVector, RowTerms]:
    """As far from beta towards the target as the likelihood does not fall."""
    slack = 1e-10 * (1.0 + abs(total))
    for share in [*(0.5 ** np.arange(20)), 0.0]:
        trial = beta + share * (target - beta)
        eta = problem.X @ trial + problem.offset
        terms = problem.rows.likelihood.terms(eta, shapes)
        if terms.total >= total - slack:
            break
    return trial, eta, terms


def best_shapes(
    problem: GeneralizedProblem, eta: FloatVector, shapes: FloatVector
) -> FloatVector:
    """Maximise the likelihood of given eta over the shapes, roughly, one by one."""
    best = shapes.copy()
    for _ in range(1 if len(shapes) < 2 else MAX_SWEEPS):
        before = best.copy()
        for k in range(len(shapes)):
            best[k] = _best_shape(problem, eta, best, k)
        if np.abs(best - before).max(initial=0.0) < 0.1:
            break
    return best


def _best_shape(
    problem: GeneralizedProblem, eta: FloatVector, shapes: FloatVector, k: int
) -> float:
    """The best of one shape, the others held."""

    def slope(at: float) -> float:
        trial = shapes.copy()
        trial[k] = at
        return float(problem.rows.likelihood.shape_density(eta, trial)[k].sum())

    # By bisection of the slope, which has one sign change where there is a maximum:
    # Newton's method leaves the range from either end.
    low, high = problem.family.shapes[k].search
    slopes = slope(low), slope(high)
    if not (slopes[0] > 0.0 > slopes[1]):
        return high if slopes[1] > 0.0 else float(shapes[k])
    for _ in range(60):
        middle = 0.5 * (low + high)
        if slope(middle) > 0.0:
            low = middle
        else:
            high = middle
        if high - low < 1e-3:
            break
    return 0.5 * (low + high)


def shape_information(
    likelihood: RowLikelihood, eta: FloatVector, shapes: FloatVector, step: float
) -> FloatMatrix:
    """Observed information of the shapes, (s, s), by differences of their slopes."""
    changes = central_differences(
        lambda moved: np.asarray(likelihood.shape_terms(eta, moved).total),
        shapes,
        step * np.eye(len(shapes)),
    )
    found = -np.reshape(changes, (len(shapes),) * 2) / step
    return np.asarray((found + found.T) / 2.0)
