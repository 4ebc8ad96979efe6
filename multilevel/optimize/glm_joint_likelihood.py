"""The approximate log-likelihood at any [beta, theta, dispersion], and its derivatives.

The dispersion is the last parameter where the family estimates one, as in
`GLMMFit.cov_params`; elsewhere the parameters are [beta, theta].
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.errors import FitError
from multilevel.likelihood.pirls import TIGHT
from multilevel.optimize.glm_objective import GlmPoint, evaluate_at
from multilevel.optimize.glm_problem import GeneralizedProblem
from multilevel.optimize.joint_hessian import CONVERGED

STEP = 1e-4
"""Of a difference: of the linear predictor, or of the logarithm of the dispersion."""


def loglike(
    problem: GeneralizedProblem, params: FloatVector, *, n_nodes: int = 1
) -> float:
    """Approximate log-likelihood with all its constants.

    Parameters
    ----------
    problem : GeneralizedProblem
    params : (d,)
        [beta, theta, dispersion] of the user's columns.
    n_nodes : int
        Quadrature nodes for each effect; one is the Laplace approximation.

    Raises
    ------
    FitError
        For a wrong length, a dispersion that is not positive, and parameters at which
        the likelihood is not finite.
    """
    x = _half_working(problem, np.asarray(params, dtype=float))
    return -0.5 * _evaluated(problem, x, n_nodes).value


def score(
    problem: GeneralizedProblem, params: FloatVector, *, n_nodes: int = 1
) -> FloatVector:
    """Gradient (d,) of `loglike`, exact."""
    x = _half_working(problem, np.asarray(params, dtype=float))
    return _user_gradient(problem, x, _evaluated(problem, x, n_nodes).gradient)


def hessian(
    problem: GeneralizedProblem, params: FloatVector, *, n_nodes: int = 1
) -> FloatMatrix:
    """Second derivatives (d, d) of `loglike`, by central differences of `score`."""
    x = _half_working(problem, np.asarray(params, dtype=float))
    size = len(x)
    steps = _steps(problem, x)
    rows = np.empty((size, size))
    for j in range(size):
        shift = np.zeros(size)
        shift[j] = steps[j]
        ahead, behind = (
            _user_gradient(
                problem, at, _evaluated(problem, at, n_nodes, CONVERGED).gradient
            )
            for at in (x + shift, x - shift)
        )
        rows[j] = (ahead - behind) / (2.0 * steps[j])
    return _user_rows(problem, x, rows)


def _half_working(problem: GeneralizedProblem, params: FloatVector) -> FloatVector:
    """[working beta, user's theta, log dispersion]: theta keeps its exact values."""
    if params.shape != (problem.n_parameters,):
        raise FitError(
            f"params has shape {params.shape}; this model has {problem.n_parameters} "
            f"parameters: {problem.n_fixed} fixed effects, {problem.terms.n_theta} "
            f"theta and {problem.n_dispersion} dispersion"
        )
    p = problem.n_fixed
    x = params.copy()
    x[:p] = np.linalg.solve(problem.fixed_transform, params[:p])
    if problem.n_dispersion:
        if not params[-1] > 0.0:
            raise FitError(f"the dispersion is {params[-1]:g}; it must be positive")
        x[-1] = np.log(params[-1])
    return x


def _evaluated(
    problem: GeneralizedProblem, x: FloatVector, n_nodes: int, tolerance: float = TIGHT
) -> GlmPoint:
    try:
        return evaluate_at(
            problem,
            x,
            n_nodes=n_nodes,
            tolerance=tolerance,
            theta_map=problem.user,
        )
    except np.linalg.LinAlgError as error:
        raise FitError(
            f"the log-likelihood cannot be evaluated at these parameters: {error}"
        ) from error


def _user_gradient(
    problem: GeneralizedProblem, x: FloatVector, gradient: FloatVector
) -> FloatVector:
    """Gradient of the log-likelihood in the parameters from that of the deviance."""
    p = problem.n_fixed
    out = -0.5 * gradient
    out[:p] = np.linalg.solve(problem.fixed_transform.T, out[:p])
    if problem.n_dispersion:
        out[-1] /= np.exp(x[-1])
    return out


def _user_rows(
    problem: GeneralizedProblem, x: FloatVector, rows: FloatMatrix
) -> FloatMatrix:
    """Hessian from derivatives of the user's gradient along x."""
    p = problem.n_fixed
    out = rows.copy()
    out[:p] = np.linalg.solve(problem.fixed_transform.T, rows[:p])
    if problem.n_dispersion:
        out[-1] /= np.exp(x[-1])
    return (out + out.T) / 2.0


def _steps(problem: GeneralizedProblem, x: FloatVector) -> FloatVector:
    """Steps (d,) that move the linear predictor by about `STEP`."""
    p, m = problem.n_fixed, problem.terms.n_theta
    steps = np.full(len(x), STEP)
    jacobians = problem.user.jacobians(x[p : p + m])
    size = np.max([np.abs(J).max(axis=(1, 2), initial=0.0) for J in jacobians], axis=0)
    steps[p : p + m] /= np.maximum(size, 1e-300)
    return steps
