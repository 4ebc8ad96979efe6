"""The table of the fixed effects, or of ratios that their exponentials are."""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatVector, IntVector
from multilevel.display.number_text import (
    common_or_own_decimals,
    number_text,
    p_text,
)
from multilevel.display.text_table import TextTable
from multilevel.inference.coefficient_tests import CoefficientTests
from multilevel.likelihood.families.traits import Family
from multilevel.reporting.ratio_names import ratio_name


def coefficient_table(tests: CoefficientTests, *, uses_t: bool) -> TextTable:
    """Estimates, standard errors, tests and confidence limits of the fixed effects.

    Parameters
    ----------
    tests : CoefficientTests
    uses_t : bool
        t tests, with their degrees of freedom; z tests if not.

    Returns
    -------
    TextTable
        A row of NaN, marked, for a column that was dropped as aliased.
    """
    test = ("df", "t", "P>|t|") if uses_t else ("z", "P>|z|")
    return TextTable(
        ("", "Estimate", "Std.Err.", *test, *_limit_names(tests.alpha)),
        _rows(
            tests,
            common_or_own_decimals(tests.se),
            tuple(map(_df_text, tests.ddf)) if uses_t else None,
        ),
        title="Fixed effects:",
    )


def ratio_table(tests: CoefficientTests, family: Family, *, uses_t: bool) -> TextTable:
    """exp(estimate) of the fixed effects with its limits; z and p are of the estimate.

    Parameters
    ----------
    tests : CoefficientTests
        Of the estimates.
    family : Family
        Says what the ratios are called.
    uses_t : bool

    Returns
    -------
    TextTable
    """
    name, ratios = ratio_name(family), tests.exponentiated()
    letter = "t" if uses_t else "z"
    ends = _limit_names(tests.alpha)
    return TextTable(
        ("", "Ratio", "Std.Err.", letter, f"P>|{letter}|", *ends),
        _rows(ratios, common_or_own_decimals(ratios.se, 3), None),
        title=f"Fixed effects, {name}:",
    )


def _limit_names(alpha: float) -> tuple[str, str]:
    return f"[{alpha / 2:.3g}", f"{1 - alpha / 2:.3g}]"


def _rows(
    tests: CoefficientTests, decimals: IntVector, df_texts: tuple[str, ...] | None
) -> tuple[tuple[str, ...], ...]:
    rows = []
    for i, name in enumerate(tests.names):
        df = () if df_texts is None else (df_texts[i],)
        if np.isnan(tests.estimate[i]):
            blank = ("NaN",) * (6 + len(df))
            rows.append((f"{name} (dropped: aliased)", *blank))
            continue
        numbers: FloatVector = np.array([tests.estimate[i], tests.se[i]])
        rows.append(
            (
                name,
                *(number_text(number, decimals[i]) for number in numbers),
                *df,
                f"{tests.statistic[i]:.2f}",
                p_text(tests.pvalue[i]),
                *(number_text(end, decimals[i]) for end in tests.limits[i]),
            )
        )
    return tuple(rows)


def _df_text(df: float) -> str:
    return f"{df:.1f}" if df < 1e4 else f"{df:.0f}"
