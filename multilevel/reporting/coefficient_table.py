"""The table of the fixed effects, or of ratios that their exponentials are.

Held by tests/reporting/test_fit_summary.py.
"""

from __future__ import annotations

import pandas as pd

from multilevel.display.frame_table import FrameTable
from multilevel.inference.coefficient_tests import CoefficientTests
from multilevel.likelihood.families.traits import Family
from multilevel.reporting.ratio_names import ratio_name


def coefficient_table(tests: CoefficientTests, *, uses_t: bool) -> FrameTable:
    """Estimates, standard errors, tests and confidence limits of the fixed effects.

    Parameters
    ----------
    tests : CoefficientTests
    uses_t : bool
        t tests, with their degrees of freedom; z tests if not.

    Returns
    -------
    FrameTable
        A row of NaN, marked, for a column that was dropped as aliased.
    """
    frame = tests.to_frame().drop(columns=[] if uses_t else ["df"])
    headings = _headings(tests.alpha, uses_t=uses_t)
    return FrameTable(_marked(frame), "Fixed effects:", headings=headings)


def ratio_table(tests: CoefficientTests, family: Family, *, uses_t: bool) -> FrameTable:
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
    FrameTable
    """
    title = f"Fixed effects, {ratio_name(family)}:"
    frame = tests.exponentiated().to_frame().drop(columns="df")
    headings = _headings(tests.alpha, uses_t=uses_t) | {"estimate": "Ratio"}
    return FrameTable(_marked(frame), title, headings=headings, digits=3)


def _headings(alpha: float, *, uses_t: bool) -> dict[str, str]:
    """Of the tests and of the limits."""
    letter = "t" if uses_t else "z"
    return {
        "t": letter,
        "pvalue": f"P>|{letter}|",
        "lower": f"[{alpha / 2:.3g}",
        "upper": f"{1 - alpha / 2:.3g}]",
    }


def _marked(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a mark at rows that have no estimate."""
    aliased = frame["estimate"].isna()
    if not aliased.any():
        return frame
    marked = frame.index.where(~aliased, frame.index + " (dropped: aliased)")
    return frame.set_axis(marked)
