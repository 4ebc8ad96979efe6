"""What is said of random terms that no data could tell apart.

Held by tests/optimize/identification/test_identification.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from multilevel.design.model_design import ModelDesign
from multilevel.optimize.linear.problem import LinearProblem


def confounded(
    problem: LinearProblem, design: ModelDesign, term: int, lost: Sequence[str]
) -> str:
    """What is wrong, and what to write instead."""
    names = problem.effect_names[term]
    group = problem.factor_names[problem.terms.factor_of_term[term]]
    kept = [name for name in names if name not in lost]
    own = f"the fixed effect of {group!r}"
    by = own if _is_fixed(design, group) else "the fixed effects"
    whole = bar(names, group)
    advice = f"write {bar(kept, group)} for {whole}" if kept else f"leave out {whole}"
    return (
        f"the random {_effects_in_words(lost)} of {group!r} is confounded with {by}: "
        f"no difference between the levels of {group!r} is left to estimate a "
        f"variance from. Either {advice}, or leave out the fixed effects that tell "
        f"the levels of {group!r} apart"
    )


def _effects_in_words(names: Sequence[str]) -> str:
    """``intercept``, ``effect of x``, or several of these."""
    words = ["intercept" if n == "Intercept" else f"effect of {n}" for n in names]
    return " and ".join(words)


def bar(names: Sequence[str], group: str) -> str:
    """A random term as it is written."""
    if "Intercept" in names:
        right = " + ".join(n for n in names if n != "Intercept") or "1"
    else:
        right = " + ".join(["0", *names])
    return f"({right} | {group})"


def _is_fixed(design: ModelDesign, factor: str) -> bool:
    """Whether a grouping factor is a fixed effect too."""
    return any(
        name == factor or name.startswith((f"{factor}[", f"C({factor}"))
        for name in design.exog_names
    )


def advice(problem: LinearProblem, design: ModelDesign, terms: Iterable[int]) -> str:
    """What to write instead."""
    for term in terms:
        factor = design.factors[design.terms[term].factor_index]
        columns = dict(
            zip(problem.effect_names[term], design.terms[term].columns.T, strict=True)
        )
        still = [
            name.partition("[")[0]
            for name, column in columns.items()
            if (column != column[0]).any() and factor.is_constant_within(column)
        ]
        if still:
            if (
                "Intercept" not in columns
                and design.terms[term].covariance.freedom == "any"
            ):
                return (
                    f"{still[0]!r} is constant within each level of {factor.name!r}, "
                    "so that no level shows two of these effects: write "
                    f"(0 + {still[0]} || {factor.name}), or (1 | {factor.name})"
                )
            return (
                f"{still[0]!r} is constant within each level of {factor.name!r} and "
                "has too few distinct values for a variance, another and their "
                f"correlation: write (1 | {factor.name}), or a variance for each value "
                f"by (0 + C({still[0]}) || {factor.name})"
            )
    return (
        "Use fewer random effects, independent ones (|| for |), or columns less their "
        "means"
    )
