"""Fit a generalized linear mixed model by maximum approximate likelihood."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.errors import (
    ConvergenceWarning,
    FitError,
    SingularFitWarning,
    warn_caller,
)
from multilevel.likelihood.quadrature import MAX_EFFECTS
from multilevel.optimize.blas_threads import blas_threads
from multilevel.optimize.fit_record import OptimizationReport
from multilevel.optimize.glm_estimates import (
    term_modes,
    user_covariance,
    user_params,
    working_theta,
)
from multilevel.optimize.glm_fit_record import GLMMFit
from multilevel.optimize.glm_objective import split_parameters
from multilevel.optimize.glm_problem import GeneralizedProblem
from multilevel.optimize.glm_search import ApproximateSearch, SearchEnd
from multilevel.optimize.glm_start import StartingPoint, starting_point
from multilevel.optimize.joint_hessian import parameter_covariance
from multilevel.optimize.separation import RunningOff, running_off
from multilevel.optimize.singularity import boundary_parameters, is_singular


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
        search = ApproximateSearch(problem, n_nodes, on_step)
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
    m = problem.terms.n_theta
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


def _read_fit(
    problem: GeneralizedProblem, end: SearchEnd, n_nodes: int, began: float
) -> tuple[GLMMFit, RunningOff]:
    p, m = problem.n_fixed, problem.terms.n_theta
    x = end.point.x.copy()
    _, theta, log_dispersion = split_parameters(problem, x)
    x[p : p + m] = problem.terms.theta_of(problem.terms.term_factors(theta))
    covariance = parameter_covariance(problem, end.hessian)
    params = user_params(problem, x)
    cov_params = user_covariance(problem, x, covariance.matrix)
    working = problem.terms.term_factors(x[p : p + m])
    off = running_off(problem, end.hessian.matrix, working)
    lower = problem.terms.term_factors(params[p : p + m])
    eta = end.point.modes.eta[problem.row_of]
    mu = np.asarray(problem.family.link.mean(eta))
    boundary = boundary_parameters(problem, lower)
    if problem.family.name == "negativebinomial" and problem.n_dispersion:
        boundary |= _size_on_the_edge(float(params[-1]), mu)
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
        mu,
        problem.n_parameters,
        n_nodes,
        is_singular(problem, x[p : p + m]),
        report,
    )
    return fit, off


def _size_on_the_edge(size: float, mu: FloatVector) -> dict[str, float]:
    """The size of a negative binomial that is no different from a Poisson."""
    return {"size": size} if mu.max(initial=0.0) < 1e-5 * size else {}


def _report(
    end: SearchEnd, boundary: dict[str, float], off: RunningOff, seconds: float
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
    if "size" in fit.report.boundary:
        warn_caller(
            f"size = {fit.report.boundary['size']:.3g} of the negative binomial is on "
            "the edge of the parameter space: the counts vary no more than Poisson "
            'counts do. Use family="poisson".',
            SingularFitWarning,
        )
    if fit.is_singular:
        edge = ", ".join(
            f"{name} = {value:.3g}"
            for name, value in fit.report.boundary.items()
            if name != "size"
        )
        warn_caller(
            f"{edge or 'a covariance matrix is not of full rank'}: the estimate is on "
            "the edge of the parameter space. Drop the term or keep it knowingly; "
            "Wald intervals for it do not apply.",
            SingularFitWarning,
        )
