"""The end of a fit in plain words: checks, whether they matter, what to try.

Held by tests/diagnostics/test_convergence.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from multilevel.diagnostics.convergence_checks import Check, convergence_checks
from multilevel.diagnostics.singularity import SingularFit, explain_singular
from multilevel.display.explanation import Explanation, Point
from multilevel.display.number_text import listing
from multilevel.display.shown import ShownAsTable
from multilevel.errors import FitError
from multilevel.optimize.common.fit_record import OptimizationReport
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.generalized.report import ENOUGH


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ConvergenceExplanation(ShownAsTable):
    """What `explain` says of a fit; prints as text, shows as HTML.

    Parameters
    ----------
    formula, criterion : str
    verdict : str
    checks : tuple of Check
        Each with `name`, `outcome` (``"ok"``, ``"note"`` or ``"problem"``) and `words`.
    matters : tuple of str
        For which results it matters.
    advice : tuple of Point
        What to try, the first thing first.
    """

    formula: str
    criterion: str
    verdict: str
    checks: tuple[Check, ...]
    matters: tuple[str, ...]
    advice: tuple[Point, ...]

    def outcome(self, name: str) -> str:
        """Outcome of a check by its name; ``"not asked"`` where it has no meaning."""
        found = {check.name: check.outcome for check in self.checks}
        return str(found.get(name, "not asked"))

    def as_table(self) -> Explanation:
        """The explanation."""
        checks = tuple(
            Point(f"{check.name}: {check.words}.", mark=check.outcome)
            for check in self.checks
        )
        return Explanation(
            f"Convergence of {self.formula} ({self.criterion})",
            self.verdict,
            (
                ("What was checked", checks),
                ("Whether it matters", tuple(Point(text) for text in self.matters)),
                ("What to try", self.advice),
            ),
        )


class ConvergenceReport(OptimizationReport):
    """How the optimum was found, and what that means.

    The numbers are those of `OptimizationReport`, which is what files keep.

    Parameters
    ----------
    fitted : FittedModel
    """

    __slots__ = ("_fitted",)
    _fitted: FittedModel

    def __init__(self, fitted: FittedModel) -> None:
        report = fitted.fit.report
        super().__init__(
            converged=report.converged,
            evaluations=report.evaluations,
            gradient_norm=report.gradient_norm,
            expected_gain=report.expected_gain,
            boundary=dict(report.boundary),
            message=report.message,
            seconds=report.seconds,
        )
        # Not a field: what makes a dict or a file of the report takes its numbers.
        object.__setattr__(self, "_fitted", fitted)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._fitted,)

    def explain(self, *, starts: int = 0) -> ConvergenceExplanation:
        """In plain words: what was checked, whether it matters, what to try.

        Parameters
        ----------
        starts : int
            From how many more starts, always the same ones, the model is fitted again,
            to see whether any ends lower. Each takes about as long as the fit.

        Returns
        -------
        ConvergenceExplanation
            Prints as text, shows as HTML in notebooks.

        Raises
        ------
        FitError
            If `starts` is no whole number from zero on.
        """
        return explain_convergence(self._fitted, starts=starts)


def explain_convergence(
    fitted: FittedModel, *, starts: int = 0
) -> ConvergenceExplanation:
    """What was checked at the end of a fit, and what to make of it.

    Parameters
    ----------
    fitted : FittedModel
    starts : int
        As `ConvergenceReport.explain`.
    """
    if isinstance(starts, bool) or not isinstance(starts, int) or starts < 0:
        raise FitError(f"starts={starts!r}; it is a number of fits: 0, 1, 2, ...")
    checks = convergence_checks(fitted, starts)
    singular = explain_singular(fitted)
    return ConvergenceExplanation(
        formula=fitted.formula,
        criterion=fitted.criterion,
        verdict=_verdict(fitted, checks),
        checks=checks,
        matters=tuple(_matters(fitted, checks)),
        advice=tuple(_advice(fitted, checks, singular)),
    )


def _problems(checks: tuple[Check, ...]) -> set[str]:
    return {check.name for check in checks if check.outcome == "problem"}


def _verdict(fitted: FittedModel, checks: tuple[Check, ...]) -> str:
    report, problems = fitted.fit.report, _problems(checks)
    if not report.converged:
        return f"Not converged: {report.message}."
    if "other starts" in problems or "curvature" in problems:
        return "Converged, but not to the maximum of the likelihood: see below."
    done = f"Converged, after {report.evaluations} evaluations"
    if "identification" in problems:
        return f"{done}; some variances cannot be told apart by any data."
    if fitted.fit.is_singular or report.boundary:
        return f"{done}, on the edge of the parameter space: a result, not a failure."
    return f"{done}, inside the parameter space. Nothing needs to be done."


def _matters(fitted: FittedModel, checks: tuple[Check, ...]) -> Iterator[str]:
    problems, report = _problems(checks), fitted.fit.report
    if "separation" in problems:
        yield (
            "Yes: the estimates named are as large as the search let them become, and "
            "their standard errors and Wald tests mean nothing. Fitted probabilities, "
            "the log-likelihood and likelihood-ratio tests are close to their limits "
            "and can be used; so can other fixed effects, as a rule."
        )
    elif not report.converged or problems & {"other starts", "curvature"}:
        yield (
            "Yes: no number of this fit is that of a maximum. Do not report it; the "
            "fixed effects may be near their values, variances and tests need not be."
        )
    elif "identification" in problems:
        yield (
            "Only for the variances named: the fixed effects, their tests, the "
            "likelihood and predictions are the same whichever values are taken."
        )
    elif fitted.fit.is_singular:
        yield (
            "Not for the fixed effects: the likelihood has its maximum here, and their "
            "estimates, standard errors and tests stand, as do predictions."
        )
        yield (
            "For what is on the edge itself: it has no standard error and no Wald "
            "limits, and a test that it is zero needs a mixture of chi-squares, which "
            "compare_lr_test and compare_pooled take."
        )
    elif report.boundary:
        edge = listing(list(report.boundary))
        yield (
            f"Not for the fixed effects; {edge} has no Wald limits, and a simpler "
            "family gives the same likelihood."
        )
    else:
        yield "No: every result can be used as it is."


def _advice(
    fitted: FittedModel, checks: tuple[Check, ...], singular: SingularFit
) -> Iterator[Point]:
    problems, report = _problems(checks), fitted.fit.report
    if "separation" in problems:
        yield from _numbered(
            "Tabulate the response against the columns named: a level or a range of "
            "them has one outcome only.",
            "Merge such a level with another one, or drop the column if it is the "
            "outcome in another guise.",
            "If the separation is real, report it as such, and test the column by a "
            "likelihood-ratio test: fit without it and use compare_lr_test.",
        )
        return
    if not report.converged or problems & {"other starts", "curvature"}:
        yield from _not_converged(fitted, singular)
        return
    if "identification" in problems:
        yield from _numbered(
            "Keep one of the terms that say the same, or replace | by || where the "
            "correlation is one of the parameters named.",
            "Look for two grouping factors that group the rows alike, and for columns "
            "that are constant within the levels.",
        )
        return
    if singular:
        yield from singular.advice()
        return
    if report.boundary:
        yield from _numbered("Fit the simpler family that the warning names.")
        return
    yield Point("Nothing. result.summary() and what follows from it can be read.")


def _not_converged(fitted: FittedModel, singular: SingularFit) -> Iterator[Point]:
    """From the cheapest to the dearest."""
    unbounded = "no maximum" in fitted.fit.report.message
    texts = [
        "Do what the message above asks for, if it asks for something: it is the most "
        "telling reason that was found.",
        "Look for mistyped values and for units that differ by many orders: "
        "data.describe() shows both.",
    ]
    if not unbounded and fitted.fit.report.expected_gain >= ENOUGH:
        texts.append(
            "Fit again from here, by model.fit(start=result.theta), and from other "
            "starts, by result.optimization.explain(starts=5)."
        )
    texts.append(
        "Simplify the random part: || for |, then (1 | g) alone; terms whose effects "
        "number nearly as many as the rows first."
    )
    yield from _numbered(*texts)
    for one in singular.simpler:
        yield Point(one.reason + ":", code=one.formula)


def _numbered(*texts: str) -> Iterator[Point]:
    for number, text in enumerate(texts, 1):
        yield Point(text, mark=f"{number}.")
