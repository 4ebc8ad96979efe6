"""Fit a linear mixed model by restricted or full maximum likelihood.

Held by tests/optimize/linear/test_fit_lmm.py.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.errors import ConvergenceWarning, FitError, SingularFitWarning
from multilevel.likelihood.linear.dense_system import n_random_effects
from multilevel.optimize.common.blas_threads import blas_threads
from multilevel.optimize.common.counted import Evaluations
from multilevel.optimize.common.fit_record import OptimizationReport
from multilevel.optimize.common.singularity import (
    boundary_parameters,
    is_singular,
)
from multilevel.optimize.common.trust_region import Minimum
from multilevel.optimize.linear.estimates import estimates_at
from multilevel.optimize.linear.exact_fit import refuse_exact_fit
from multilevel.optimize.linear.fit_record import LMMFit
from multilevel.optimize.linear.other_minima import (
    lowest_minimum,
    may_have_other_minima,
)
from multilevel.optimize.linear.problem import LinearProblem
from multilevel.optimize.linear.search import LMMSearch
from multilevel.optimize.linear.starting_values import starting_theta


def fit_lmm(
    problem: LinearProblem,
    *,
    reml: bool = True,
    start: FloatVector | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> LMMFit:
    """Minimise the profiled deviance over theta.

    Parameters
    ----------
    problem : LinearProblem
    reml : bool
        Restricted (default) or full maximum likelihood.
    start : (m,), optional
        theta of the user's columns to start from.
    on_step : callable, optional
        Told the number of evaluations and the deviance after each.

    Raises
    ------
    FitError
        If `start` has the wrong length or the deviance cannot be evaluated there.
    """
    began = time.perf_counter()
    with blas_threads(problem.prepared.n_dense):
        search = LMMSearch(problem, reml, Evaluations(on_step))
        found = None if start is None else _find_from(search, start)
        found = found or _find(search, starting_theta(problem.products, problem.terms))
        fit = _read_fit(problem, found, time.perf_counter() - began, reml=reml)
    _warn_about(fit)
    return fit


def fit_design(
    design: ModelDesign,
    problem: LinearProblem,
    *,
    reml: bool,
    start: FloatVector | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> LMMFit:
    """`fit_lmm`, which refuses a design whose response leaves no residual.

    Raises
    ------
    FitError
        As `fit_lmm`, and if the effects explain the response exactly.
    """
    # Where nothing is left for the residual, the search runs into zero variance.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        fit = fit_lmm(problem, reml=reml, start=start, on_step=on_step)
    refuse_exact_fit(design, fit.sigma)
    return fit


@dataclass(frozen=True)
class _Found:
    """The minimum, whether it is none, and evaluations of descents elsewhere."""

    minimum: Minimum
    unbounded: bool
    elsewhere: int = 0


def _find_from(search: LMMSearch, start: FloatVector) -> _Found | None:
    """The minimum that a given start leads to; None if it leads nowhere.

    It is kept to if it is a minimum, but not where the deviance became flat far out,
    higher than where the fit would have begun by itself.
    """
    problem = search.problem
    theta = _working_start(problem, start)
    try:
        minimum = search.prefer_singular(search.descend(theta))
        usual = problem.point(
            problem.working.lams(starting_theta(problem.products, problem.terms)),
            reml=search.reml,
        ).profiled
    except (FitError, np.linalg.LinAlgError):
        return None
    if not minimum.converged or minimum.point.value > usual.deviance:
        return None
    return _Found(minimum, search.is_unbounded(minimum))


def _find(search: LMMSearch, theta: FloatVector) -> _Found:
    """Descend from theta, and from other starts where that may lead lower."""
    minimum = search.prefer_singular(search.descend(theta))
    unbounded = search.is_unbounded(minimum)
    if not (unbounded or may_have_other_minima(search.problem, minimum)):
        return _Found(minimum, unbounded)
    other, elsewhere = lowest_minimum(search, minimum, unbounded=unbounded)
    if other is None:
        return _Found(minimum, unbounded, elsewhere)
    # Of the first descent and the others; those of the one that is kept are its own.
    elsewhere += minimum.evaluations - other.evaluations
    return _Found(search.prefer_singular(other), False, elsewhere)


def _working_start(problem: LinearProblem, start: FloatVector) -> FloatVector:
    theta = np.asarray(start, dtype=float)
    if theta.shape != (problem.terms.n_theta,) or not np.isfinite(theta).all():
        raise FitError(
            f"start has shape {theta.shape}; this model has "
            f"{problem.terms.n_theta} finite covariance parameters theta. "
            "Pass the theta of an earlier result, or leave start out."
        )
    return problem.working_terms.working_theta(theta)


def _read_fit(
    problem: LinearProblem, found: _Found, seconds: float, *, reml: bool
) -> LMMFit:
    minimum = found.minimum
    estimates = estimates_at(problem, minimum.point.point)
    theta = problem.working_terms.user_theta(minimum.x)
    lower = problem.terms.term_factors(theta)
    return LMMFit(
        criterion="REML" if reml else "ML",
        theta=theta,
        working_theta=minimum.x,
        beta=estimates.beta,
        cov_beta=estimates.cov_beta,
        sigma=estimates.sigma,
        llf=-0.5 * estimates.deviance,
        factors=tuple(lower),
        modes=estimates.modes,
        n_parameters=problem.n_fixed + len(theta) + 1,
        is_singular=is_singular(problem, minimum.x),
        report=_report(problem, found, boundary_parameters(problem, lower), seconds),
    )


def _report(
    problem: LinearProblem,
    found: _Found,
    boundary: dict[str, float],
    seconds: float,
) -> OptimizationReport:
    minimum = found.minimum
    elsewhere = f" and {found.elsewhere} from other starts" if found.elsewhere else ""
    if found.unbounded:
        message = (
            f"no maximum: {n_random_effects(problem.products)} random and "
            f"{problem.n_fixed} fixed effects can fit the {problem.n_rows} rows "
            "exactly, and the likelihood rises for ever as the residual variance "
            "goes to zero"
        )
    elif minimum.converged:
        message = (
            f"converged after {minimum.evaluations} evaluations{elsewhere}: the "
            f"deviance could fall by {minimum.expected_gain:.1g} at most"
        )
    else:
        message = (
            f"stopped after {minimum.evaluations} evaluations while the deviance "
            f"could still fall by {minimum.expected_gain:.2g}"
        )
    return OptimizationReport(
        converged=minimum.converged and not found.unbounded,
        evaluations=minimum.evaluations + found.elsewhere,
        gradient_norm=float(np.abs(minimum.point.gradient).max(initial=0.0)),
        expected_gain=minimum.expected_gain,
        boundary=boundary,
        message=message,
        seconds=seconds,
    )


def _warn_about(fit: LMMFit) -> None:
    if not fit.report.converged:
        warnings.warn(
            f"{fit.report.message}. Simplify the random terms or check the data for "
            "groups that determine them.",
            ConvergenceWarning,
            stacklevel=3,
        )
    if fit.is_singular:
        edge = ", ".join(f"{name} = {v:.3g}" for name, v in fit.report.boundary.items())
        warnings.warn(
            f"{edge or 'a covariance matrix is not of full rank'}: the estimate is on "
            "the edge of the parameter space. Drop the term or keep it knowingly; "
            "Wald intervals for it do not apply. result.explain_singular() says more.",
            SingularFitWarning,
            stacklevel=3,
        )
