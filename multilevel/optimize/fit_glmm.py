"""Fit a generalized linear mixed model by maximum approximate likelihood."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.errors import FitError, SingularFitWarning
from multilevel.optimize.blas_threads import blas_threads
from multilevel.optimize.fit_record import OptimizationReport
from multilevel.optimize.glm_fit_record import GLMMFit
from multilevel.optimize.glm_objective import (
    GlmObjective,
    GlmPoint,
    evaluate_at,
    split_parameters,
)
from multilevel.optimize.glm_problem import GeneralizedProblem
from multilevel.optimize.glm_start import starting_point
from multilevel.optimize.joint_hessian import joint_hessian, pseudo_inverse
from multilevel.optimize.quasi_newton import Descent, minimize_bfgs
from multilevel.optimize.singularity import (
    boundary_parameters,
    is_singular,
    nearest_singular,
)


def fit_glmm(
    problem: GeneralizedProblem,
    *,
    nagq: int = 1,
    start: FloatVector | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> GLMMFit:
    """Minimise the approximate deviance over beta, theta and the dispersion.

    Parameters
    ----------
    problem : GeneralizedProblem
    nagq : int
        Nodes of the adaptive Gauss-Hermite quadrature for each random effect; one is
        the Laplace approximation.
    start : (m,), optional
        theta of the user's columns to start from.
    on_step : callable, optional
        Told the number of evaluations and the deviance after each.

    Raises
    ------
    FitError
        If `nagq` cannot be had for this model, if `start` has the wrong length, or if
        the likelihood cannot be evaluated where the fit has to start.
    """
    began = time.perf_counter()
    with blas_threads(problem.rows.layout.n_dense):
        first = starting_point(problem, start)
        objective = GlmObjective(problem, 1, first.modes)
        x = first.x
        point = objective(x)
        descent = minimize_bfgs(objective, x, point, np.linalg.inv(first.hessian), on_step=on_step)
        print('evals', objective.evaluations, 'steps', objective.mode_steps, 'dev', descent.point.value, 'gain', descent.expected_gain, 'time', time.perf_counter()-began, 'start', point.value)
    return descent
