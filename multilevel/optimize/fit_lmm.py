"""Fit a linear mixed model by restricted or full maximum likelihood."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.errors import ConvergenceWarning, FitError, SingularFitWarning
from multilevel.likelihood.block_system import BlockSystem
from multilevel.likelihood.evaluation import has_exact_hessian
from multilevel.likelihood.theta_derivatives import (
    ThetaDerivatives,
    theta_derivatives,
)
from multilevel.optimize.blas_threads import blas_threads
from multilevel.optimize.estimates import estimates_at
from multilevel.optimize.fit_record import LMMFit, OptimizationReport
from multilevel.optimize.linear_problem import LinearProblem
from multilevel.optimize.other_minima import lowest_minimum, may_have_other_minima
from multilevel.optimize.singularity import (
    boundary_parameters,
    is_singular,
    nearest_singular,
)
from multilevel.optimize.starting_values import starting_theta
from multilevel.optimize.trust_region import Minimum, minimize


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
    with blas_threads(_dense_columns(problem)):
        theta = _working_start(problem, start)
        minimum = _descend(problem, theta, reml=reml, on_step=on_step)
        minimum = _prefer_singular(problem, minimum, reml=reml)
        if start is None and may_have_other_minima(problem, minimum):
            minimum = _lowest(problem, minimum, reml=reml)
        fit = _read_fit(problem, minimum, time.perf_counter() - began, reml=reml)
    _warn_about(fit)
    return fit


def _lowest(problem: LinearProblem, minimum: Minimum, *, reml: bool) -> Minimum:
    """The lowest of the minima reached from this one and from other starts."""

    def descend(theta: FloatVector, tolerance: float, most: int) -> Minimum:
        return _descend(
            problem, theta, reml=reml, gain_tolerance=tolerance, max_evaluations=most
        )

    lowest = lowest_minimum(problem, minimum, descend, _gain_tolerance(problem))
    moved = lowest.point is not minimum.point
    return _prefer_singular(problem, lowest, reml=reml) if moved else lowest


def _gain_tolerance(problem: LinearProblem) -> float:
    # 1e-8 of deviance is 1e-4 of a standard error of theta.  With exact second
    # derivatives one cheap step more gains all digits.
    return 1e-10 if has_exact_hessian(problem.prepared) else 1e-8


def _dense_columns(problem: LinearProblem) -> int:
    prepared = problem.prepared
    return len(prepared.dense) if isinstance(prepared, BlockSystem) else 0


def _working_start(problem: LinearProblem, start: FloatVector | None) -> FloatVector:
    if start is None:
        return starting_theta(problem.products, problem.terms)
    theta = np.asarray(start, dtype=float)
    if theta.shape != (problem.terms.n_theta,) or not np.isfinite(theta).all():
        raise FitError(
            f"start has shape {theta.shape}; this model has "
            f"{problem.terms.n_theta} finite covariance parameters theta. "
            "Pass the theta of an earlier result, or leave start out."
        )
    inverses = [np.linalg.inv(T) for T in problem.basis.terms]
    factors = problem.terms.term_factors(theta)
    return problem.terms.theta_of(
        [T @ factor for T, factor in zip(inverses, factors, strict=True)]
    )


def _objective(
    problem: LinearProblem, *, reml: bool
) -> Callable[[FloatVector], ThetaDerivatives]:
    theta_map = problem.working

    def objective(theta: FloatVector) -> ThetaDerivatives:
        point = problem.point(theta_map.factors(theta), reml=reml)
        return theta_derivatives(point, theta_map, theta)

    return objective


def _descend(
    problem: LinearProblem,
    theta: FloatVector,
    *,
    reml: bool,
    gain_tolerance: float | None = None,
    max_evaluations: int = 300,
    on_step: Callable[[int, float], None] | None = None,
) -> Minimum:
    objective = _objective(problem, reml=reml)
    # Far out digits may be lost; then the start is drawn towards zero.
    for shrinkage in (1.0, 0.1, 1e-2, 1e-3):
        try:
            return minimize(
                objective,
                shrinkage * theta,
                gain_tolerance=gain_tolerance or _gain_tolerance(problem),
                max_evaluations=max_evaluations,
                exact_hessian=has_exact_hessian(problem.prepared),
                on_step=on_step,
            )
        except np.linalg.LinAlgError as error:
            reason = str(error)
    raise FitError(
        f"the deviance cannot be evaluated at the starting values: {reason}. Check the "
        "fixed and random columns for values that differ by many orders of magnitude."
    )


def _prefer_singular(
    problem: LinearProblem, minimum: Minimum, *, reml: bool
) -> Minimum:
    """The point on the edge next to the minimum, if the deviance is no higher there."""
    theta = nearest_singular(problem, minimum.x)
    if theta is None:
        return minimum
    edge = _objective(problem, reml=reml)(theta)
    evaluations = minimum.evaluations + 1
    slack = 1e-9 + 8.0 * np.finfo(float).eps * abs(minimum.point.value)
    if edge.value <= minimum.point.value + slack:
        return Minimum(
            theta, edge, minimum.expected_gain, evaluations, minimum.converged
        )
    return Minimum(
        minimum.x,
        minimum.point,
        minimum.expected_gain,
        evaluations,
        minimum.converged,
    )


def _read_fit(
    problem: LinearProblem, minimum: Minimum, seconds: float, *, reml: bool
) -> LMMFit:
    estimates = estimates_at(problem, minimum.point.point)
    factors = [
        T @ factor
        for T, factor in zip(
            problem.basis.terms, problem.terms.term_factors(minimum.x), strict=True
        )
    ]
    theta = problem.terms.theta_of(factors)
    lower = problem.terms.term_factors(theta)
    return LMMFit(
        "REML" if reml else "ML",
        theta,
        minimum.x,
        estimates.beta,
        estimates.cov_beta,
        estimates.sigma,
        -0.5 * estimates.deviance,
        tuple(lower),
        estimates.modes,
        problem.n_fixed + len(theta) + 1,
        is_singular(problem, minimum.x),
        _report(problem, minimum, boundary_parameters(problem, lower), seconds),
    )


def _report(
    problem: LinearProblem,
    minimum: Minimum,
    boundary: dict[str, float],
    seconds: float,
) -> OptimizationReport:
    if minimum.converged:
        message = (
            f"converged after {minimum.evaluations} evaluations: the deviance could "
            f"fall by {minimum.expected_gain:.1g} at most"
        )
    else:
        message = (
            f"stopped after {minimum.evaluations} evaluations while the deviance "
            f"could still fall by {minimum.expected_gain:.2g}"
        )
    return OptimizationReport(
        minimum.converged,
        minimum.evaluations,
        float(np.abs(minimum.point.gradient).max(initial=0.0)),
        minimum.expected_gain,
        boundary,
        message,
        seconds,
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
            "Wald intervals for it do not apply.",
            SingularFitWarning,
            stacklevel=3,
        )
