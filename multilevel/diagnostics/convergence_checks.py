"""What is checked of the end of a fit, each with its outcome and its numbers.

Held by tests/diagnostics/test_convergence.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.display.number_text import listing
from multilevel.errors import MultilevelError
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.generalized.fit import fit_glmm
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.optimize.generalized.report import ENOUGH
from multilevel.optimize.generalized.separation import (
    columns_along,
    ends_of,
    separating_direction,
)
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.optimize.linear.theta_hessian import theta_hessian

Outcome: TypeAlias = Literal["ok", "note", "problem"]

SAME = 1e-3
"""Difference of two deviances that are taken for the same maximum."""

NEGATIVE = 1e-4
"""Share of the largest curvature below which a negative one is rounding."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question about the end of a fit.

    Parameters
    ----------
    name : str
    outcome : {"ok", "note", "problem"}
    words : str
        The answer, with its numbers.
    """

    name: str
    outcome: Outcome
    words: str


def convergence_checks(fitted: FittedModel, starts: int = 0) -> tuple[Check, ...]:
    """All that is asked of a fit.

    Parameters
    ----------
    fitted : FittedModel
    starts : int
        From how many more starts it is fitted again.

    Returns
    -------
    tuple of Check
    """
    checks = [_gain(fitted), _gradient(fitted)]
    checks += [check for check in (_curvature(fitted), _separation(fitted)) if check]
    checks += [_boundary(fitted), _identification(fitted)]
    checks.append(_other_starts(fitted, starts))
    if not fitted.fit.report.converged and all(c.outcome != "problem" for c in checks):
        checks.insert(0, _no_maximum())
    return tuple(checks)


def _no_maximum() -> Check:
    words = "the search ended where the likelihood has none, for the reason given above"
    return Check("maximum", "problem", words)


def _gain(fitted: FittedModel) -> Check:
    report = fitted.fit.report
    gain = report.expected_gain
    small = gain < ENOUGH
    words = f"one more step could lower the deviance by {_size(gain, 1e-8)}; "
    words += (
        "a hundredth would not show in any result"
        if small
        else "that is more than rounding: the search stopped on its way"
    )
    return Check("expected gain", "ok" if small else "problem", words)


def _size(value: float, below: float) -> str:
    """A number, or that it is below what matters, which rounding decides."""
    return f"less than {below:g}" if value < below else f"{value:.1g}"


def _gradient(fitted: FittedModel) -> Check:
    report = fitted.fit.report
    slope = report.gradient_norm
    return Check(
        "gradient",
        "ok" if report.expected_gain < ENOUGH else "problem",
        f"the steepest slope of the deviance is {_size(slope, 1e-6)}, in parameters "
        "free of units; whether that is near enough to zero, the expected gain says",
    )


def _curvature(fitted: FittedModel) -> Check | None:
    """Whether the deviance rises on all sides."""
    if isinstance(fitted, GeneralizedFittedModel):
        return _joint_curvature(fitted)
    assert isinstance(fitted, LinearFittedModel)
    if not len(fitted.fit.theta):
        return None
    problem, theta = fitted.problem, fitted.fit.working_theta
    try:
        hessian = theta_hessian(problem, fitted.point(), problem.working, theta)
        values = np.asarray(np.linalg.eigvalsh(hessian), dtype=float)
    except (np.linalg.LinAlgError, MultilevelError):
        return Check("curvature", "problem", "it cannot be evaluated at the estimates")
    return _curvature_check(values)


def _curvature_check(values: FloatVector) -> Check:
    low, high = float(values[0]), float(values[-1])
    numbers = f"its curvatures in the covariance parameters lie between {low:.3g} and "
    numbers += f"{high:.3g}"
    if low < -NEGATIVE * abs(high):
        return Check(
            "curvature",
            "problem",
            f"the deviance falls on some side: {numbers}. This is no minimum",
        )
    if low < 1e-8 * high:
        return Check(
            "curvature",
            "note",
            f"the deviance is flat in some direction: {numbers}. The data do not tell "
            "some parameter from others",
        )
    return Check("curvature", "ok", f"the deviance rises on all sides: {numbers}")


def _joint_curvature(fitted: GeneralizedFittedModel) -> Check:
    """By the standard errors, which are the inverse of the curvature."""
    spread = np.diag(fitted.fit.cov_params)
    if np.isfinite(spread).all() and (spread >= 0.0).all():
        return Check(
            "curvature",
            "ok",
            "the deviance rises on all sides, in fixed effects and variances jointly",
        )
    return Check(
        "curvature",
        "problem",
        "the curvature in some direction is not positive: standard errors are missing",
    )


def _separation(fitted: FittedModel) -> Check | None:
    """Fixed effects that tell responses without error, by the linear programme."""
    if not isinstance(fitted, GeneralizedFittedModel):
        return None
    problem = fitted.problem
    if not (problem.family.link.is_bounded and problem.n_fixed):
        return None
    if not fitted.fit.report.converged:
        shapes = fitted.fit.working_params[problem.n_fixed + len(fitted.fit.theta) :]
        found = separating_direction(problem.X, ends_of(problem, shapes))
        if found is not None:
            names = columns_along(problem, found)
            return Check(
                "separation",
                "problem",
                f"{listing(names)} can tell some responses without error: the "
                "likelihood rises for ever as these estimates grow",
            )
    return Check("separation", "ok", "no fixed effect tells a response without error")


def _boundary(fitted: FittedModel) -> Check:
    edge = fitted.fit.report.boundary
    if edge:
        shown = listing([f"{name} = {value:.3g}" for name, value in edge.items()])
        return Check("boundary", "note", f"on the edge of what is possible: {shown}")
    if fitted.fit.is_singular:
        return Check(
            "boundary", "note", "a covariance matrix of random effects is singular"
        )
    return Check("boundary", "ok", "no variance is zero, no correlation is 1 or -1")


def _identification(fitted: FittedModel) -> Check:
    names = sorted(fitted.problem.undetermined)
    if names:
        return Check(
            "identification",
            "problem",
            f"no data of this design could tell apart {listing(names)}: other values "
            "of them give the same likelihood",
        )
    return Check(
        "identification", "ok", "the design tells all variance parameters apart"
    )


def _other_starts(fitted: FittedModel, starts: int) -> Check:
    if starts:
        return _compared(fitted, starts)
    if "other starts" in fitted.fit.report.message:
        return Check(
            "other starts", "ok", "the fit itself tried others and kept the best end"
        )
    offer = "optimization.explain(starts=5) fits from five more"
    if not fitted.fit.report.converged:
        return Check("other starts", "note", f"none were tried; {offer}")
    return Check("other starts", "ok", f"none were called for; {offer}")


def _compared(fitted: FittedModel, starts: int) -> Check:
    """The deviances that fits from random covariances end at."""
    ends = np.array(list(_ends(fitted, starts)))
    lower = fitted.deviance - ends.min(initial=np.inf)
    if not len(ends):
        return Check("other starts", "note", f"none of {starts} fits came to an end")
    if lower > SAME:
        return Check(
            "other starts",
            "problem",
            f"one of {starts} more fits has a deviance lower by {lower:.3g}: this is "
            "not the best maximum",
        )
    same = int((np.abs(ends - fitted.deviance) <= SAME).sum())
    words = f"{same} of {starts} more fits end at the same deviance, none ends lower"
    return Check("other starts", "ok", words)


def _ends(fitted: FittedModel, starts: int) -> Iterator[float]:
    rng = np.random.default_rng(0)
    terms = fitted.problem.working_terms
    sizes = [structure.n_effects for structure in terms.terms.structures]
    again = _fit_again(fitted)
    for _ in range(starts):
        theta = terms.terms.theta_of(
            [10.0 ** rng.uniform(-1, 1) * rng.normal(size=(q, q)) for q in sizes]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield again(terms.user_theta(theta))
            except (MultilevelError, np.linalg.LinAlgError):
                continue


def _fit_again(fitted: FittedModel) -> Callable[[FloatVector], float]:
    """From theta to the deviance at which a fit ends."""
    if isinstance(fitted, GeneralizedFittedModel):
        problem, nodes = fitted.problem, fitted.fit.n_nodes
        return lambda theta: -2.0 * fit_glmm(problem, nagq=nodes, start=theta).llf
    assert isinstance(fitted, LinearFittedModel)
    linear = fitted

    def refit(theta: FloatVector) -> float:
        # What else the fit was given, such as a known sigma, it keeps.
        return replace(linear, fit=replace(linear.fit, theta=theta)).refit().deviance

    return refit
