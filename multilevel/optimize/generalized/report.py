"""What a fit of a generalized model says of itself, and what it warns of.

Held by tests/optimize/generalized/test_report.py and
tests/optimize/generalized/test_joint_hessian.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatMatrix
from multilevel.errors import ConvergenceWarning, SingularFitWarning, warn_caller
from multilevel.likelihood.families.traits import Family
from multilevel.optimize.common.fit_record import OptimizationReport
from multilevel.optimize.generalized.objective import split_parameters
from multilevel.optimize.generalized.problem import GeneralizedProblem
from multilevel.optimize.generalized.search import SearchEnd
from multilevel.optimize.generalized.separation import (
    RunningOff,
    columns_along,
    ends_of,
)

ENOUGH = 1e-4
"""Expected fall of the deviance with which a fit has converged."""

NEAR_EDGE = 1e-3
"""Distance of a probability from 0 or 1 at which a link may hold up the fit."""

SIMPLIFY = "Simplify the random terms or check the data for groups that determine them."


def unknown_columns(
    problem: GeneralizedProblem, directions: FloatMatrix
) -> tuple[str, ...]:
    """Parameters of which the curvature of the deviance tells nothing.

    Parameters
    ----------
    problem : GeneralizedProblem
    directions : (d, r)
        Of the working parameters.
    """
    p, first = problem.n_fixed, problem.n_fixed + problem.terms.n_theta
    names: list[str] = []
    for direction in directions.T:
        if np.abs(direction[:p]).max(initial=0.0) > 0.0:
            names += columns_along(problem, direction[:p])
        along = zip(problem.family.shapes, direction[first:], strict=True)
        names += [f"the {shape.name}" for shape, part in along if abs(part) > 0.1]
    return tuple(dict.fromkeys(names))


def obstacle_of(
    problem: GeneralizedProblem,
    end: SearchEnd,
    off: RunningOff,
    unknown: tuple[str, ...],
) -> str:
    """Why the fit is not to be trusted and what to do, in plain words; "" if it is."""
    if end.expected_gain < ENOUGH and not (off or unknown):
        return ""
    # From the most telling reason to the least: each stands for those below it as well.
    impossible = _responses_without_mean(problem, end)
    if impossible:
        return (
            f"{impossible} of {problem.n_rows} responses are not positive, but every "
            f"mean of a {problem.family.link.name} link is, and the fit has run "
            "against that edge. Use the identity link, or another family"
        )
    if off:
        return off.message()
    stopped = (
        f"stopped after {end.evaluations} evaluations while the deviance could still "
        f"fall by {end.expected_gain:.2g}"
    )
    rounding = 4.0 * np.finfo(float).eps * abs(end.point.value)
    if rounding > 0.01 * ENOUGH:
        return (
            f"{stopped}. The deviance is {end.point.value:.3g}, of which doubles keep "
            f"{rounding:.1g}: give the response in another unit, such as thousands"
        )
    at_edge = _probabilities_at_an_edge(problem, end)
    if at_edge:
        return (
            f"{stopped}: the probability of {at_edge} rows has come to the edge of "
            f"what a {problem.family.link.name} link allows. Use the logit link"
        )
    if unknown:
        return (
            f"the likelihood does not change with {', '.join(unknown)} as far as "
            "rounding lets it be seen: the standard errors of these are lower limits. "
            "Check the columns for values that hardly vary or lie far from the rest"
        )
    return f"{stopped}. {SIMPLIFY[:-1]}"


def _responses_without_mean(problem: GeneralizedProblem, end: SearchEnd) -> int:
    """Responses below every mean that the link gives, if the family may have such.

    Their likelihood rises for ever as the linear predictor falls.
    """
    link, support = problem.family.link, problem.family.traits.support
    if not (link.is_bounded and link.lowest == 0.0 and support.low < 0.0):
        return 0
    below = ends_of(problem, split_parameters(problem, end.point.x)[2]) < 0.0
    return int(below[problem.row_of].sum())


def _probabilities_at_an_edge(problem: GeneralizedProblem, end: SearchEnd) -> int:
    """Rows whose probability a link lets leave [0, 1], and that are about to."""
    link = problem.family.link
    if not problem.family.traits.has_trials:
        return 0
    mean = np.asarray(link.mean(end.point.modes.eta))
    above = (mean > 1.0 - NEAR_EDGE) & (link.highest > 1.0)
    below = (mean < NEAR_EDGE) & (link.lowest < 0.0)
    return int((above | below)[problem.row_of].sum())


def report_of(
    end: SearchEnd, boundary: dict[str, float], obstacle: str, seconds: float
) -> OptimizationReport:
    """How the search went.

    Parameters
    ----------
    end : SearchEnd
    boundary : dict
        Parameters on the edge, by name.
    obstacle : str
        Of `obstacle_of`.
    seconds : float
    """
    message = obstacle or (
        f"converged after {end.evaluations} evaluations: the deviance could fall by "
        f"{end.expected_gain:.1g} at most"
    )
    return OptimizationReport(
        converged=not obstacle,
        evaluations=end.evaluations,
        gradient_norm=float(np.abs(end.point.gradient).max(initial=0.0)),
        expected_gain=end.expected_gain,
        boundary=boundary,
        message=message,
        seconds=seconds,
    )


def warn_about(
    report: OptimizationReport, family: Family, *, is_singular: bool
) -> None:
    """Warn of a fit that has no maximum, did not reach it or lies on the edge."""
    if not report.converged:
        warn_caller(report.message, ConvergenceWarning)
    edges = {shape.name: shape.edge for shape in family.shapes}
    for name, edge in edges.items():
        if edge is not None and name in report.boundary:
            warn_caller(
                f"{name} = {report.boundary[name]:.3g} of the "
                f"{family.traits.spoken_name} is on the edge of the parameter space: "
                f'{edge.words}. Use family="{edge.family}".',
                SingularFitWarning,
            )
    if is_singular:
        words = ", ".join(
            f"{name} = {value:.3g}"
            for name, value in report.boundary.items()
            if name not in edges
        )
        warn_caller(
            f"{words or 'a covariance matrix is not of full rank'}: the estimate is on "
            "the edge of the parameter space. Drop the term or keep it knowingly; "
            "Wald intervals for it do not apply. result.explain_singular() says more.",
            SingularFitWarning,
        )
