"""Second derivatives of the approximate deviance, by differences of its gradient."""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.optimize.glm_objective import GlmPoint, evaluate_at
from multilevel.optimize.glm_problem import GeneralizedProblem

STEP = 1e-3
"""Of a difference, in units of a parameter's own standard error."""

FLAT = 1e-10
"""Least curvature of a working fixed effect or log dispersion that is inverted."""

CONVERGED = 1e-19
"""Decrement of the modes: errors of the gradient are divided by the step."""


def joint_hessian(
    problem: GeneralizedProblem,
    point: GlmPoint,
    scales: FloatVector,
    *,
    n_nodes: int = 1,
) -> FloatMatrix:
    """Hessian of the approximate deviance at a point, (d, d), symmetrized.

    Parameters
    ----------
    problem : GeneralizedProblem
    point : GlmPoint
    scales : (d,)
        Standard errors, roughly: steps are a small share of them.
    n_nodes : int

    Raises
    ------
    numpy.linalg.LinAlgError
        If the deviance cannot be evaluated next to the point.
    """
    size = len(point.x)
    hessian = np.empty((size, size))
    for j in range(size):
        shift = np.zeros(size)
        shift[j] = STEP * scales[j]
        ahead, behind = (
            evaluate_at(
                problem,
                point.x + way * shift,
                n_nodes=n_nodes,
                start=point.modes,
                tolerance=CONVERGED,
            ).gradient
            for way in (1.0, -1.0)
        )
        hessian[j] = (ahead - behind) / (2.0 * shift[j])
    return (hessian + hessian.T) / 2.0


def parameter_covariance(
    problem: GeneralizedProblem, hessian: FloatMatrix
) -> FloatMatrix:
    """Covariance of the working parameters, (d, d): twice the inverse Hessian.

    Directions of theta without curvature are the rotations of a singular covariance
    factor, which change nothing: they get no variance. Elsewhere a lack of curvature
    means that nothing is known: the variance is huge.

    Parameters
    ----------
    problem : GeneralizedProblem
    hessian : (d, d)
        Of the approximate deviance.
    """
    p, m = problem.n_fixed, problem.terms.n_theta
    inner = np.arange(p, p + m)
    outer = np.setdiff1d(np.arange(len(hessian)), inner)
    theta_inverse = pseudo_inverse(hessian[np.ix_(inner, inner)])
    across = hessian[np.ix_(outer, inner)] @ theta_inverse
    own = hessian[np.ix_(outer, outer)] - across @ hessian[np.ix_(inner, outer)]
    outer_inverse = _floored_inverse(own)
    covariance = np.empty_like(hessian)
    covariance[np.ix_(outer, outer)] = outer_inverse
    covariance[np.ix_(outer, inner)] = -outer_inverse @ across
    covariance[np.ix_(inner, outer)] = covariance[np.ix_(outer, inner)].T
    covariance[np.ix_(inner, inner)] = theta_inverse + across.T @ outer_inverse @ across
    return 2.0 * covariance


def _floored_inverse(matrix: FloatMatrix) -> FloatMatrix:
    if not len(matrix):
        return matrix
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2.0)
    return np.asarray((vectors / np.maximum(values, FLAT)) @ vectors.T)


def pseudo_inverse(hessian: FloatMatrix) -> FloatMatrix:
    """Inverse over the directions in which the Hessian is safely positive."""
    if not len(hessian):
        return hessian
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    kept = values > 1e-9 * max(values[-1], 1e-300)
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    return np.asarray(inverse * np.outer(scale, scale))


def falling_direction(hessian: FloatMatrix) -> FloatVector | None:
    """Direction (d,) of clearly negative curvature, a tenth long; None if none."""
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1.0))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    if values[0] > -1e-4 * max(values[-1], 1e-300):
        return None
    direction = scale * vectors[:, 0]
    return np.asarray(0.1 * direction / np.abs(direction).max())
