"""Fit a generalized linear mixed model by maximum approximate likelihood.

Held by tests/optimize/generalized/test_fit_glmm.py and
tests/optimize/generalized/test_glmm_limits.py.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.errors import FitError
from multilevel.likelihood.families.traits import Family
from multilevel.likelihood.generalized.quadrature import MAX_EFFECTS
from multilevel.optimize.common.blas_threads import blas_threads
from multilevel.optimize.common.counted import Evaluations
from multilevel.optimize.common.singularity import boundary_parameters, is_singular
from multilevel.optimize.generalized.estimates import (
    refuse_impossible_shapes,
    user_covariance,
    user_params,
)
from multilevel.optimize.generalized.fit_record import GLMMFit
from multilevel.optimize.generalized.joint_hessian import parameter_covariance
from multilevel.optimize.generalized.objective import split_parameters
from multilevel.optimize.generalized.problem import GeneralizedProblem
from multilevel.optimize.generalized.report import (
    ENOUGH,
    obstacle_of,
    report_of,
    unknown_columns,
    warn_about,
)
from multilevel.optimize.generalized.search import ApproximateSearch, SearchEnd
from multilevel.optimize.generalized.separation import running_off
from multilevel.optimize.generalized.start import (
    StartingPoint,
    row_unit,
    starting_point,
)


def fit_glmm(
    problem: GeneralizedProblem,
    *,
    nagq: int = 1,
    start: FloatVector | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> GLMMFit:
    """Minimise the approximate deviance over beta, theta and the shapes.

    Parameters
    ----------
    problem : GeneralizedProblem
    nagq : int
        Nodes of the adaptive Gauss-Hermite quadrature for each random effect; one is
        the Laplace approximation.
    start : (m,) or (d,), optional
        theta, or [beta, theta, shape values], of the user's columns to start from.
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
    with blas_threads(problem.rows.layout.pattern.n_dense):
        search = ApproximateSearch(
            problem=problem, n_nodes=n_nodes, evaluations=Evaluations(on_step)
        )
        end = None if start is None else _end_from(search, start)
        end = end or search.run(_starting_point(problem))
        fit = _read_fit(problem, end, n_nodes, began)
    warn_about(fit.report, problem.family, is_singular=fit.is_singular)
    return fit


def checked_nodes(problem: GeneralizedProblem, nagq: int) -> int:
    """The number of nodes, if this model can have it.

    Raises
    ------
    FitError
        For several grouping factors, or too many effects a level, and nagq above 1.
    """
    try:
        n_nodes = 0 if isinstance(nagq, bool) else operator.index(nagq)
    except TypeError:
        n_nodes = 0
    if n_nodes < 1:
        raise FitError(
            f"nagq={nagq!r}; it is the number of quadrature nodes for each random "
            "effect: a whole number, 1 for the Laplace approximation"
        )
    sizes = problem.rows.layout.pattern.sizes
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


def _end_from(search: ApproximateSearch, start: FloatVector) -> SearchEnd | None:
    """Where a given start leads to; None if it leads nowhere.

    It is kept to if it is a minimum, but not where the deviance became flat far out,
    higher than where the fit would have begun by itself.
    """
    problem = search.problem
    m = problem.terms.n_theta
    params = _checked_start(problem, start)
    try:
        if len(params) == m:
            first = starting_point(problem, problem.working_terms.working_theta(params))
        else:
            first = starting_point(problem, params=params)
        end = search.run(first)
        usual = search.value_at(_starting_point(problem))
    except (FitError, np.linalg.LinAlgError):
        return None
    return end if end.expected_gain < ENOUGH and end.point.value <= usual else None


def _checked_start(problem: GeneralizedProblem, start: FloatVector) -> FloatVector:
    m = problem.terms.n_theta
    params = np.asarray(start, dtype=float)
    if params.ndim != 1 or len(params) not in (m, problem.n_parameters):
        raise FitError(
            f"start has shape {params.shape}; this model has {m} covariance "
            f"parameters theta and {problem.n_parameters} parameters in all. Pass "
            "the theta or the full_params of an earlier result, or leave start out."
        )
    if not np.isfinite(params).all():
        raise FitError("start has values that are not finite")
    if len(params) > m:
        refuse_impossible_shapes(problem, params, "start")
    return params


def _starting_point(problem: GeneralizedProblem) -> StartingPoint:
    try:
        return starting_point(problem)
    except np.linalg.LinAlgError as error:
        raise FitError(
            f"the likelihood cannot be evaluated at the starting values: {error}. "
            "Check that the link suits the response, and the columns for values that "
            "differ by many orders of magnitude."
        ) from error


def _read_fit(
    problem: GeneralizedProblem, end: SearchEnd, n_nodes: int, began: float
) -> GLMMFit:
    p, m = problem.n_fixed, problem.terms.n_theta
    x = end.point.x.copy()
    _, theta, _ = split_parameters(problem, x)
    # The search moves without bounds: signs of columns, which
    # mean nothing, are settled.
    x[p : p + m] = problem.terms.theta_of(problem.terms.term_factors(theta))
    covariance = parameter_covariance(problem, end.hessian)
    params = user_params(problem, x)
    cov_params = user_covariance(problem, x, covariance.matrix)
    working = problem.terms.term_factors(x[p : p + m])
    off = running_off(problem, end.point, end.hessian.matrix, working)
    # What runs off is flat as well, but is called by its name.
    unknown = () if off else unknown_columns(problem, covariance.unknown)
    lower = problem.terms.term_factors(params[p : p + m])
    eta = end.point.modes.eta[problem.row_of]
    mu = np.asarray(problem.family.link.mean(eta))
    unit = row_unit(problem, end.point.modes)
    boundary = boundary_parameters(problem, lower, unit=unit)
    boundary |= _shapes_on_the_edge(problem.family, params[p + m :], mu)
    obstacle = obstacle_of(problem, end, off, unknown)
    report = report_of(end, boundary, obstacle, time.perf_counter() - began)
    fit = GLMMFit(
        criterion="Laplace" if n_nodes == 1 else f"AGQ({n_nodes})",
        theta=params[p : p + m],
        working_theta=x[p : p + m],
        working_params=x,
        beta=params[:p],
        cov_beta=cov_params[:p, :p],
        cov_params=cov_params,
        shape_values=params[p + m :],
        sigma=1.0,
        llf=-0.5 * end.point.value,
        factors=tuple(lower),
        modes=problem.working_terms.user_modes(end.point.modes.effects),
        eta=eta,
        mu=mu,
        n_parameters=problem.n_parameters,
        n_nodes=n_nodes,
        is_singular=is_singular(problem, x[p : p + m], unit=unit),
        report=report,
    )
    return fit


def _shapes_on_the_edge(
    family: Family, values: FloatVector, mu: FloatVector
) -> dict[str, float]:
    """The shape parameters that make the family no different from a simpler one."""
    return {
        shape.name: float(value)
        for shape, value in zip(family.shapes, values, strict=True)
        if shape.edge is not None and shape.edge.is_reached(value, mu)
    }
