"""Fit a generalized linear mixed model by maximum approximate likelihood."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.errors import (
    ConvergenceWarning,
    FitError,
    SingularFitWarning,
    warn_caller,
)
from multilevel.likelihood.quadrature import MAX_EFFECTS
from multilevel.optimize.blas_threads import blas_threads
from multilevel.optimize.fit_record import OptimizationReport
from multilevel.optimize.glm_edge import edge_point, way_off_the_edge
from multilevel.optimize.glm_estimates import (
    term_modes,
    user_covariance,
    user_params,
    working_theta,
)
from multilevel.optimize.glm_fit_record import GLMMFit
from multilevel.optimize.glm_objective import (
    GlmObjective,
    GlmPoint,
    evaluate_at,
    split_parameters,
)
from multilevel.optimize.glm_problem import GeneralizedProblem
from multilevel.optimize.glm_start import StartingPoint, starting_point
from multilevel.optimize.joint_hessian import joint_hessian, pseudo_inverse
from multilevel.optimize.quasi_newton import minimize_bfgs
from multilevel.optimize.separation import RunningOff, running_off
from multilevel.optimize.singularity import boundary_parameters, is_singular

GAIN = 1e-9
"""Expected fall of the deviance at which the descent ends."""

POLISH = 1e-7
"""Expected fall, by the Hessian of the end point, for which it goes on."""

MAX_EVALUATIONS = 1000


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
    start : (m,) or (d,), optional
        theta, or [beta, theta, dispersion], of the user's columns to start from.
    on_step : callable, optional
        Told the number of evaluations and the deviance after each.

    Raises
    ------
    FitError
        If `nagq` cannot be had for this model, if `start` has the wrong length, or if
        the likelihood cannot be evaluated where the fit has to start.

    Warns
    -----
    ConvergenceWarning
        If the likelihood has no maximum, or it was not reached.
    SingularFitWarning
        If the estimate is on the edge of the parameter space.
    """
    began = time.perf_counter()
    n_nodes = checked_nodes(problem, nagq)
    with blas_threads(problem.rows.layout.n_dense):
        search = _Search(problem, n_nodes, on_step)
        end = search.run(_first_point(problem, start))
        fit, off = _read_fit(problem, end, n_nodes, began)
    _warn_about(fit, off)
    return fit


def checked_nodes(problem: GeneralizedProblem, nagq: int) -> int:
    """The number of nodes, if this model can have it.

    Raises
    ------
    FitError
        For several grouping factors, or too many effects a level, and nagq above 1.
    """
    try:
        n_nodes = operator.index(nagq)
    except TypeError:
        n_nodes = 0
    if n_nodes < 1:
        raise FitError(
            f"nagq={nagq!r}; it is the number of quadrature nodes for each random "
            "effect: a whole number, 1 for the Laplace approximation"
        )
    sizes = problem.rows.layout.sizes
    if n_nodes > 1 and len(sizes) > 1:
        raise FitError(
            f"nagq={n_nodes} needs one grouping factor; this model has "
            f"{len(sizes)}: {', '.join(problem.factor_names)}. Use nagq=1, the Laplace "
            "approximation."
        )
    if n_nodes > 1 and sizes[0] > MAX_EFFECTS:
        raise FitError(
            f"nagq={n_nodes} needs at most {MAX_EFFECTS} random effects a level; "
            f"{problem.factor_names[0]} has {sizes[0]}. Use nagq=1, the Laplace "
            "approximation."
        )
    return n_nodes


def _first_point(
    problem: GeneralizedProblem, start: FloatVector | None
) -> StartingPoint:
    p, m = problem.n_fixed, problem.terms.n_theta
    params: FloatVector | None = None
    if start is not None:
        params = np.asarray(start, dtype=float)
        allowed = (m, problem.n_parameters)
        if params.ndim != 1 or len(params) not in allowed:
            raise FitError(
                f"start has shape {params.shape}; this model has {m} covariance "
                f"parameters theta and {problem.n_parameters} parameters in all. Pass "
                "the theta or the full_params of an earlier result, or leave start out."
            )
        if not np.isfinite(params).all():
            raise FitError("start has values that are not finite")
        if problem.n_dispersion and len(params) > m and params[-1] <= 0:
            raise FitError(f"start has dispersion {params[-1]:g}; it must be positive")
    try:
        if params is None:
            return starting_point(problem)
        if len(params) == m:
            return starting_point(problem, working_theta(problem, params))
        return starting_point(problem, params=params)
    except np.linalg.LinAlgError as error:
        raise FitError(
            f"the likelihood cannot be evaluated at the starting values: {error}. "
            "Check that the link suits the response, and the columns for values that "
            "differ by many orders of magnitude."
        ) from error


@dataclass(frozen=True, slots=True)
class _End:
    """Where the search ended."""

    point: GlmPoint
    hessian: FloatMatrix
    expected_gain: float
    evaluations: int


class _Search:
    """The descent from a start to a proved optimum, counting evaluations."""

    def __init__(
        self,
        problem: GeneralizedProblem,
        n_nodes: int,
        on_step: Callable[[int, float], None] | None,
    ) -> None:
        self._problem = problem
        self._n_nodes = n_nodes
        self._on_step = on_step
        self._evaluations = 0

    def run(self, first: StartingPoint) -> _End:
        """Descend, try the edge, leave it if the deviance falls, and polish."""
        inverse = np.linalg.inv(first.hessian)
        point, inverse = self._descend(first.x, inverse, 1, first)
        if self._n_nodes > 1:
            again = replace(first, modes=point.modes)
            point, inverse = self._descend(point.x, inverse, self._n_nodes, again)
        point = self._on_the_edge(point)
        away = way_off_the_edge(self._problem, point)
        if away is not None:
            again = replace(first, modes=point.modes)
            other, inverse = self._descend(
                away, np.linalg.inv(first.hessian), self._n_nodes, again
            )
            if other.value < point.value:
                point = self._on_the_edge(other)
        return self._polish(point, inverse, first)

    def _descend(
        self, x: FloatVector, inverse: FloatMatrix, n_nodes: int, first: StartingPoint
    ) -> tuple[GlmPoint, FloatMatrix]:
        objective = GlmObjective(self._problem, n_nodes, first.modes)
        point = objective(x)
        if point is None:
            raise FitError(
                "the approximate deviance cannot be evaluated at the starting values. "
                "Check that the link suits the response."
            )
        counted = self._evaluations

        def told(evaluations: int, value: float) -> None:
            if self._on_step is not None:
                self._on_step(counted + 1 + evaluations, value)

        descent = minimize_bfgs(
            objective,
            x,
            point,
            inverse,
            gain_tolerance=GAIN,
            max_evaluations=MAX_EVALUATIONS,
            on_step=told,
        )
        self._evaluations += objective.evaluations
        assert isinstance(descent.point, GlmPoint)
        return descent.point, descent.inverse_hessian

    def _on_the_edge(self, point: GlmPoint) -> GlmPoint:
        """The point on the edge nearby, if the deviance is no higher there."""
        x = edge_point(self._problem, point.x)
        if x is None:
            return point
        objective = GlmObjective(self._problem, self._n_nodes, point.modes)
        edge = objective(x)
        self._evaluations += 1
        slack = 1e-8 + 16.0 * np.finfo(float).eps * abs(point.value)
        return edge if edge is not None and edge.value <= point.value + slack else point

    def _polish(
        self, point: GlmPoint, inverse: FloatMatrix, first: StartingPoint
    ) -> _End:
        """Newton's steps until the Hessian of the point itself promises no more."""
        for _ in range(4):
            hessian = self._hessian(point, inverse)
            newton = pseudo_inverse(hessian)
            gain = 0.5 * float(point.gradient @ newton @ point.gradient)
            if gain < POLISH:
                break
            again = replace(first, modes=point.modes)
            other, inverse = self._descend(
                point.x, _positive(hessian), self._n_nodes, again
            )
            if other.value >= point.value:
                break
            point = other
        return _End(point, hessian, gain, self._evaluations)

    def _hessian(self, point: GlmPoint, inverse: FloatMatrix) -> FloatMatrix:
        scales = np.minimum(np.sqrt(2.0 * np.abs(np.diag(inverse))), 1.0)
        self._evaluations += 2 * len(scales)
        try:
            return joint_hessian(self._problem, point, scales, n_nodes=self._n_nodes)
        except np.linalg.LinAlgError:
            return np.asarray(np.linalg.inv(inverse))


def _positive(hessian: FloatMatrix) -> FloatMatrix:
    """Inverse with the eigenvalues made positive, for a descent."""
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-8))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    inverse = (vectors / np.maximum(np.abs(values), 1e-4)) @ vectors.T
    return np.asarray(inverse * np.outer(scale, scale))


def _read_fit(
    problem: GeneralizedProblem, end: _End, n_nodes: int, began: float
) -> tuple[GLMMFit, RunningOff]:
    p, m = problem.n_fixed, problem.terms.n_theta
    x = end.point.x.copy()
    _, theta, log_dispersion = split_parameters(problem, x)
    x[p : p + m] = problem.terms.theta_of(problem.terms.term_factors(theta))
    covariance = 2.0 * pseudo_inverse(end.hessian)
    params = user_params(problem, x)
    cov_params = user_covariance(problem, x, covariance)
    working = problem.terms.term_factors(x[p : p + m])
    off = running_off(problem, x, covariance, working, end.point.modes.eta)
    lower = problem.terms.term_factors(params[p : p + m])
    eta = end.point.modes.eta[problem.row_of]
    boundary = boundary_parameters(problem, lower)
    report = _report(end, boundary, off, time.perf_counter() - began)
    fit = GLMMFit(
        "Laplace" if n_nodes == 1 else f"AGQ({n_nodes})",
        params[p : p + m],
        x[p : p + m],
        x,
        params[:p],
        cov_params[:p, :p],
        cov_params,
        float(np.exp(log_dispersion)) if problem.n_dispersion else 1.0,
        1.0,
        -0.5 * end.point.value,
        tuple(lower),
        term_modes(problem, end.point.modes.effects),
        eta,
        np.asarray(problem.family.link.mean(eta)),
        problem.n_parameters,
        n_nodes,
        is_singular(problem, x[p : p + m]),
        report,
    )
    return fit, off


def _report(
    end: _End, boundary: dict[str, float], off: RunningOff, seconds: float
) -> OptimizationReport:
    converged = end.expected_gain < 1e-4 and not off
    if off:
        message = off.message()
    elif converged:
        message = (
            f"converged after {end.evaluations} evaluations: the deviance could fall "
            f"by {end.expected_gain:.1g} at most"
        )
    else:
        message = (
            f"stopped after {end.evaluations} evaluations while the deviance could "
            f"still fall by {end.expected_gain:.2g}"
        )
    return OptimizationReport(
        converged,
        end.evaluations,
        float(np.abs(end.point.gradient).max(initial=0.0)),
        end.expected_gain,
        boundary,
        message,
        seconds,
    )


def _warn_about(fit: GLMMFit, off: RunningOff) -> None:
    if off:
        warn_caller(fit.report.message, ConvergenceWarning)
    elif not fit.report.converged:
        warn_caller(
            f"{fit.report.message}. Simplify the random terms or check the data for "
            "groups that determine them.",
            ConvergenceWarning,
        )
    if fit.is_singular:
        edge = ", ".join(f"{name} = {v:.3g}" for name, v in fit.report.boundary.items())
        warn_caller(
            f"{edge or 'a covariance matrix is not of full rank'}: the estimate is on "
            "the edge of the parameter space. Drop the term or keep it knowingly; "
            "Wald intervals for it do not apply.",
            SingularFitWarning,
        )
