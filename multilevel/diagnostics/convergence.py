"""The end of a fit in plain words: checks, whether they matter, what to try.

Held by tests/diagnostics/test_convergence.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from multilevel.diagnostics.convergence_checks import Check, convergence_checks
from multilevel.diagnostics.convergence_words import (
    ADVICE,
    MATTERS,
    ON_THE_WAY,
    VERDICTS,
    State,
)
from multilevel.diagnostics.singularity import explain_singular
from multilevel.display.explanation import Explanation, Point
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
    state = _state(fitted, checks)
    return ConvergenceExplanation(
        formula=fitted.formula,
        criterion=fitted.criterion,
        verdict=_verdict(fitted, state),
        checks=checks,
        matters=MATTERS[state],
        advice=_advice(fitted, state),
    )


def _state(fitted: FittedModel, checks: tuple[Check, ...]) -> State:
    """How a fit ended, by the gravest of what was found."""
    problems = {check.name for check in checks if check.outcome == "problem"}
    if "separation" in problems:
        return "separated"
    if not fitted.fit.report.converged:
        return "unreached"
    if problems & {"other starts", "curvature"}:
        return "elsewhere"
    if "identification" in problems:
        return "unidentified"
    if fitted.fit.is_singular:
        return "singular"
    return "simpler family" if fitted.fit.report.boundary else "sound"


def _verdict(fitted: FittedModel, state: State) -> str:
    report = fitted.fit.report
    if not report.converged:
        return f"Not converged: {report.message}."
    return f"Converged, after {report.evaluations} evaluations{VERDICTS[state]}"


def _advice(fitted: FittedModel, state: State) -> tuple[Point, ...]:
    """What to try, the cheapest first."""
    if state == "sound":
        return (Point("Nothing. result.summary() and what follows can be read."),)
    if state == "singular":
        return explain_singular(fitted).advice()
    texts = ADVICE[state]
    if state == "unreached" and fitted.fit.report.expected_gain >= ENOUGH:
        texts = (ON_THE_WAY, *texts)
    numbered = (Point(text, mark=f"{n}.") for n, text in enumerate(texts, 1))
    # What the end of such a search lacks of its random part is worth a try as well.
    simpler = explain_singular(fitted).simpler if state == "unreached" else ()
    return (
        *numbered,
        *(Point(one.reason + ":", code=one.formula) for one in simpler),
    )
