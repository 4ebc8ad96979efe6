"""A singular fit in plain words: what has no variance, whether it matters, what to try.

Held by tests/diagnostics/test_singular_fit.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.diagnostics.simpler_formulas import SimplerFormula, simpler_formulas
from multilevel.diagnostics.singular_directions import LostDirections, lost_directions
from multilevel.display.explanation import Explanation, Point
from multilevel.display.number_text import listing
from multilevel.display.shown import ShownAsTable
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.identification.identification_words import bar

_SMALL = 0.05
"""Share of an effect in a combination that is not told, its square below 1 in 400."""

HOLDS = (
    "What holds: the likelihood has its maximum here, so the fixed effects, their "
    "standard errors and tests, the predictions and comparisons of likelihoods stand."
)
FAILS = (
    "What does not: standard errors and Wald limits of the variances and correlations "
    "on the edge, which are left empty; and a plain chi-square for a test that a "
    "variance is zero. compare_lr_test takes the mixture that applies."
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SingularTerm:
    """A random term whose estimated covariance matrix is not of full rank.

    Parameters
    ----------
    group : str
        Its grouping factor.
    effects : tuple of str
    without_variance : tuple of str
        Effects whose standard deviation is zero.
    combinations : tuple of dict
        Combinations of the others without variance: effect -> weight, for effects in
        units of their own standard deviations, squares adding up to one.
    """

    group: str
    effects: tuple[str, ...]
    without_variance: tuple[str, ...]
    combinations: tuple[dict[str, float], ...]

    @property
    def rank(self) -> int:
        """Directions in which the levels differ."""
        lost = len(self.without_variance) + len(self.combinations)
        return len(self.effects) - lost

    def words(self) -> list[str]:
        """What it lacks, a sentence for each direction."""
        own = (
            [self._no_variance(self.without_variance)] if self.without_variance else []
        )
        return own + [self._no_combination(one) for one in self.combinations]

    def _no_variance(self, names: tuple[str, ...]) -> str:
        be = "has" if len(names) == 1 else "have"
        return (
            f"{_spoken(names)} {be} no variance between the levels of {self.group}: "
            "they differ no more than chance within them would make them."
        )

    def _no_combination(self, weights: dict[str, float]) -> str:
        told = {k: w for k, w in weights.items() if abs(w) > _SMALL}
        if len(told) == 2:
            (first, a), (second, b) = told.items()
            word = "larger" if a * b < 0 else "smaller"
            return (
                f"{_spoken((first,))} and {_spoken((second,))} of {self.group} have "
                f"correlation {1 if a * b < 0 else -1}: where the first is larger, the "
                f"second is {word} in exact proportion, so that they vary in one "
                "direction, not in two."
            )
        combination = " ".join(
            f"{'-' if w < 0 else '+'} {abs(w):.2f} {name}" for name, w in told.items()
        )
        return (
            f"the levels of {self.group} do not differ in the combination "
            f"{combination.removeprefix('+ ')} (each effect in units of its own "
            "standard deviation): what some of these effects are, the others tell."
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SingularFit(ShownAsTable):
    """What `explain_singular` says; prints as text, shows as HTML.

    Parameters
    ----------
    formula : str
        Of the fit.
    terms : tuple of SingularTerm
        Those that are singular; empty if none is.
    simpler : tuple of SimplerFormula
        Models to try, the least change first, each with `formula` and `reason`.
    """

    formula: str
    terms: tuple[SingularTerm, ...]
    simpler: tuple[SimplerFormula, ...]

    @property
    def formulas(self) -> tuple[str, ...]:
        """The formulas to try, the least change first."""
        return tuple(one.formula for one in self.simpler)

    def __bool__(self) -> bool:
        return bool(self.terms)

    def as_table(self) -> Explanation:
        """The explanation."""
        title = f"Random effects of {self.formula}"
        if not self.terms:
            return Explanation(
                title, "The fit is not singular: every random effect varies."
            )
        verdict = (
            "The fit is singular: the random effects vary in fewer directions than the "
            "formula allows."
        )
        lacking = tuple(
            Point(
                f"{bar(term.effects, term.group)} varies in {term.rank} of "
                f"{len(term.effects)} directions: " + " ".join(term.words())
            )
            for term in self.terms
        )
        return Explanation(
            title,
            verdict,
            (
                ("What has no variance", lacking),
                ("Whether it matters", (Point(HOLDS), Point(FAILS))),
                ("What to try", self.advice()),
            ),
        )

    def advice(self) -> tuple[Point, ...]:
        """What to try, the least change first."""
        models = tuple(
            Point(one.reason + ":", mark=f"{n}.", code=one.formula)
            for n, one in enumerate(self.simpler, 1)
        )
        if models:
            then = (
                "Compare each with this fit by result.compare_lr_test(simpler), and "
                "stop at the last that fits as well."
            )
        else:
            then = (
                "Leave out the random terms named above; the model without any is "
                "result.pooled."
            )
        keep = (
            "Or keep the model knowingly, if the design of the study asks for the "
            "term: more levels, or more rows in each, would show such variation if "
            "there is any."
        )
        return (*models, Point(then), Point(keep))


def _spoken(names: tuple[str, ...]) -> str:
    """``the intercept``, ``the effect of x``, or several of these."""
    return listing(
        ["the intercept" if n == "Intercept" else f"the effect of {n}" for n in names]
    )


def explain_singular(fitted: FittedModel) -> SingularFit:
    """Which directions of which grouping factors have no variance, and what to try.

    Parameters
    ----------
    fitted : FittedModel

    Returns
    -------
    SingularFit
        Without terms, and false, if the fit is not singular.
    """
    lost = lost_directions(fitted)
    design = fitted.design
    return SingularFit(
        formula=fitted.formula,
        terms=tuple(_singular_term(design, one) for one in lost),
        simpler=simpler_formulas(design, lost) if lost else (),
    )


def _singular_term(design: ModelDesign, lost: LostDirections) -> SingularTerm:
    term = design.terms[lost.term]
    return SingularTerm(
        group=design.factors[term.factor_index].name,
        effects=term.effects,
        without_variance=tuple(
            term.effects[i] for i in np.flatnonzero(lost.zero).tolist()
        ),
        combinations=tuple(_weights(term.effects, row) for row in lost.combinations),
    )


def _weights(names: tuple[str, ...], row: FloatVector) -> dict[str, float]:
    """Effect -> weight, of the effects that have any."""
    pairs = zip(names, row.tolist(), strict=True)
    return {name: weight for name, weight in pairs if abs(weight) > 1e-6}
