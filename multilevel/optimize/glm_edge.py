"""Fits on the edge of the parameter space: preferred if no worse, left if not optimal.

A covariance of zero is a stationary point in its factor whatever the data. There the
derivative in the covariance itself decides: f still falls along a direction v of the
null space with v'(df/dG) v < 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.laplace import laplace_deviance, laplace_slopes
from multilevel.optimize.glm_objective import GlmPoint, split_parameters
from multilevel.optimize.glm_problem import GeneralizedProblem
from multilevel.optimize.singularity import nearest_singular

STEP = 0.2
"""Standard deviation, in working columns, with which an edge is left."""

WORTH_IT = 1e-6
"""Fall of the deviance, by its slope in the covariance, for which it is left."""


def edge_point(problem: GeneralizedProblem, x: FloatVector) -> FloatVector | None:
    """x with nearly singular covariances made singular; None if none is near."""
    p, m = problem.n_fixed, problem.terms.n_theta
    theta = nearest_singular(problem, x[p : p + m])
    if theta is None:
        return None
    moved = x.copy()
    moved[p : p + m] = theta
    return moved


def way_off_the_edge(
    problem: GeneralizedProblem, point: GlmPoint
) -> FloatVector | None:
    """x moved along a direction in which the deviance falls; None at an optimum."""
    p, m = problem.n_fixed, problem.terms.n_theta
    _, theta, log_dispersion = split_parameters(problem, point.x)
    factors = problem.terms.term_factors(theta)
    if not any(_null_space(factor).size for factor in factors):
        return None
    with np.errstate(all="ignore"):
        deviance = laplace_deviance(problem.rows, point.modes, log_dispersion)
        gammas = laplace_slopes(problem.rows, deviance).covariances
    moved = _moved_factors(problem, factors, gammas)
    if moved is None:
        return None
    x = point.x.copy()
    x[p : p + m] = problem.terms.theta_of(moved)
    return x


def _null_space(factor: FloatMatrix) -> FloatMatrix:
    vectors, values, _ = np.linalg.svd(factor)
    return np.asarray(vectors[:, values == 0.0])


def _moved_factors(
    problem: GeneralizedProblem,
    factors: Sequence[FloatMatrix],
    gammas: Sequence[FloatMatrix],
) -> list[FloatMatrix] | None:
    terms = problem.terms
    moved, found = [], False
    for structure, factor, k, block in zip(
        terms.structures, factors, terms.factor_of_term, terms.blocks, strict=True
    ):
        gamma = gammas[k][block, block]
        null = _null_space(factor)
        if structure.freedom == "scale":
            zero = np.diag(factor) == 0.0
            null = np.eye(len(factor))[:, zero]
            values, vectors = np.diag(gamma)[zero], np.eye(null.shape[1])
        elif structure.freedom == "any" and null.size:
            values, vectors = np.linalg.eigh(null.T @ gamma @ null)
        else:
            moved.append(factor)
            continue
        falling = values * STEP**2 < -WORTH_IT
        found |= bool(falling.any())
        step = STEP * null @ vectors[:, falling]
        if structure.freedom == "scale":
            moved.append(factor + np.diag(step.sum(axis=1)))
        else:
            moved.append(np.hstack([factor, step]))
    return moved if found else None
