"""Second derivatives of the approximate deviance, by differences of its gradient."""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.optimize.glm_objective import GlmPoint, evaluate_at
from multilevel.optimize.glm_problem import GeneralizedProblem

STEP = 1e-3
"""Of a difference, in units of a parameter's own standard error."""

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


def pseudo_inverse(hessian: FloatMatrix) -> FloatMatrix:
    """Inverse over the directions in which the Hessian is safely positive.

    Directions without curvature are the rotations of a singular covariance factor,
    which change nothing.
    """
    if not len(hessian):
        return hessian
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    kept = values > 1e-9 * max(values[-1], 1e-300)
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    return np.asarray(inverse * np.outer(scale, scale))
