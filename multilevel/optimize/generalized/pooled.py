"""A generalized linear model without random effects, as a start for one with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as sla

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.families.row_likelihood import RowTerms
from multilevel.optimize.generalized.problem import GeneralizedProblem
from multilevel.optimize.generalized.rows import eta_inside

MAX_STEPS = 25
"""Enough for a start; when separation sends estimates to infinity, a welcome end."""

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
    log_dispersion : float
        Zero if there is none.
    """

    beta: FloatVector
    eta: FloatVector
    log_dispersion: float


def fit_pooled(problem: GeneralizedProblem) -> PooledFit:
    """Fisher scoring from the responses' own means."""
    likelihood = problem.rows.likelihood
    eta = eta_inside(problem.family.link, likelihood)
    log_dispersion = 0.0
    weight = likelihood.expected_weight(eta, log_dispersion)
    beta = _weighted_fit(problem, eta, weight)
    beta, eta = _feasible(problem, beta, eta, log_dispersion)
    if likelihood.has_dispersion:
        log_dispersion = best_dispersion(problem, eta, log_dispersion)
    terms = likelihood.terms(eta, log_dispersion)
    for _ in range(MAX_STEPS):
        weight = terms.weight
        # Fisher's weights are positive for every link; the observed ones may be
        # negative far from the optimum.
        if not problem.family.is_canonical:
            weight = likelihood.expected_weight(eta, log_dispersion)
        response = eta + terms.score / np.maximum(weight, 1e-300)
        target = _weighted_fit(problem, response, weight)
        before = terms.total
        beta, eta, terms = _halved(problem, beta, target, before, log_dispersion)
        if abs(terms.total - before) <= ENOUGH * max(1.0, 1e-6 * abs(before)):
            break
    if likelihood.has_dispersion:
        log_dispersion = best_dispersion(problem, eta, log_dispersion)
    return PooledFit(beta, eta, log_dispersion)


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
    log_dispersion: float,
) -> tuple[FloatVector, FloatVector]:
    """beta, drawn towards a constant eta until the likelihood is finite."""
    columns, likelihood = problem.X, problem.rows.likelihood
    fitted = columns @ beta + problem.offset
    if np.isfinite(likelihood.terms(fitted, log_dispersion).total):
        return beta, fitted
    centre = np.full_like(eta, float(np.median(eta)))
    inner = solve_positive(columns.T @ columns, columns.T @ (centre - problem.offset))
    for share in [*(0.5 ** np.arange(1, 30)), 0.0]:
        trial = inner + share * (beta - inner)
        fitted = columns @ trial + problem.offset
        if np.isfinite(likelihood.terms(fitted, log_dispersion).total):
            return trial, fitted
    raise np.linalg.LinAlgError("no fixed effects with a finite likelihood were found")


def _halved(
    problem: GeneralizedProblem,
    beta: FloatVector,
    target: FloatVector,
    total: float,
    log_dispersion: float,
) -> tuple[FloatVector, FloatVector, RowTerms]:
    """As far from beta towards the target as the likelihood does not fall."""
    slack = 1e-10 * (1.0 + abs(total))
    for share in [*(0.5 ** np.arange(20)), 0.0]:
        trial = beta + share * (target - beta)
        eta = problem.X @ trial + problem.offset
        terms = problem.rows.likelihood.terms(eta, log_dispersion)
        if terms.total >= total - slack:
            break
    return trial, eta, terms


def best_dispersion(
    problem: GeneralizedProblem, eta: FloatVector, log_dispersion: float
) -> float:
    """Maximise the likelihood of given eta over the dispersion, roughly."""
    likelihood = problem.rows.likelihood
    # By bisection of the slope, which has one sign change where there is a maximum:
    # Newton's method leaves the range from either end.
    low, high = problem.family.shapes[0].search
    slopes = [likelihood.dispersion(eta, at).total for at in (low, high)]
    if not (slopes[0] > 0.0 > slopes[1]):
        return high if slopes[1] > 0.0 else log_dispersion
    for _ in range(60):
        middle = 0.5 * (low + high)
        if likelihood.dispersion(eta, middle).total > 0.0:
            low = middle
        else:
            high = middle
        if high - low < 1e-3:
            break
    return 0.5 * (low + high)
