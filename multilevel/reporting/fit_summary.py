"""The summary of a mixed model, for readers of lme4 and of Stata."""

from __future__ import annotations

from typing import Any

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.display.number_text import (
    common_or_own_decimals,
    listing,
    number_text,
    p_text,
)
from multilevel.display.text_table import TextTable
from multilevel.errors import MultilevelError
from multilevel.inference.denominator_df import DDF_METHODS
from multilevel.reporting.summary_document import SummaryDocument

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def summarize_linear_fit(results: Any, *, alpha: float = 0.05) -> SummaryDocument:
    """Lay out the summary of a linear mixed model.

    Parameters
    ----------
    results : MixedLMResults
    alpha : float
        One minus the coverage of the confidence limits.

    Returns
    -------
    SummaryDocument
        A statsmodels `Summary`.
    """
    method = DDF_METHODS[results.ddf_method].text
    title = f"Linear mixed model fit by {results.criterion}; {method}"
    sections = [
        residual_table(results.get_residuals("scaled")),
        results.variance_components.as_table(),
    ]
    if len(results.params):
        sections.append(fixed_effects_table(results, alpha=alpha))
    notes = [*convergence_lines(results), *pooled_lines(results)]
    return SummaryDocument(title, _facts(results), sections, notes)


def _facts(results: Any) -> list[tuple[str, str]]:
    """Labelled facts at the top."""
    facts = [
        ("Formula", results.formula),
        ("Observations", observations_text(results)),
        *group_facts(results),
        ("Log-likelihood", _likelihood_text(results)),
        ("AIC, BIC", criteria_text(results)),
    ]
    weights = results.model.design.weights
    if weights is not None:
        facts.insert(2, ("Prior weights", spread_text(weights)))
    return facts


def spread_text(weights: FloatVector) -> str:
    """Smallest, mean and largest weight."""
    low, mean, high = weights.min(), weights.mean(), weights.max()
    return f"min {low:.4g}, mean {mean:.4g}, max {high:.4g}"


def observations_text(results: Any) -> str:
    """Rows used, and how many were dropped why."""
    dropped = results.model.design.dropped
    return f"{results.nobs} ({dropped})" if dropped.n else str(results.nobs)


def group_facts(results: Any) -> list[tuple[str, str]]:
    """One line for each grouping factor: levels and sizes."""
    facts: list[tuple[str, str]] = []
    for factor in results.model.design.factors:
        sizes = factor.sizes
        spread = f"min {sizes.min()}, mean {sizes.mean():.1f}, max {sizes.max()}"
        if sizes.min() == sizes.max():
            spread = str(sizes.min())
        text = f"{factor.name} {len(factor.levels)} (rows in each: {spread})"
        facts.append(("" if facts else "Groups", text))
    return facts


def _likelihood_text(results: Any) -> str:
    restricted = " (restricted)" if results.criterion == "REML" else ""
    return f"{results.llf:.3f}{restricted}"


def criteria_text(results: Any) -> str:
    """AIC and BIC, and how many parameters they count."""
    text = f"{results.aic:.2f}, {results.bic:.2f}"
    return f"{text} ({results.df_model} parameters, variances included)"


def residual_table(scaled: FloatVector, title: str = "Scaled residuals:") -> TextTable:
    """Quartiles of the residuals in units of the residual standard deviation."""
    quartiles = np.quantile(np.asarray(scaled), _QUANTILES)
    cells = tuple(f"{quartile:.3f}" for quartile in quartiles)
    header = ("Min", "1Q", "Median", "3Q", "Max")
    return TextTable(header, (cells,), left=0, title=title)


def fixed_effects_table(results: Any, *, alpha: float = 0.05) -> TextTable:
    """Estimates, standard errors, tests and confidence limits of the fixed effects.

    Parameters
    ----------
    results : MixedLMResults or MixedGLMResults
    alpha : float

    Returns
    -------
    TextTable
        A row of NaN, marked, for a column that was dropped as aliased.
    """
    use_t = bool(results.use_t)
    numbers = [
        np.asarray(values, dtype=float)
        for values in (results.params, results.bse, results.tvalues, results.pvalues)
    ]
    limits = np.asarray(results.conf_int(alpha), dtype=float)
    decimals = common_or_own_decimals(numbers[1])
    degrees = np.asarray(results.ddf, dtype=float)
    rows = []
    for i, name in enumerate(results.model.exog_names):
        if np.isnan(numbers[0][i]):
            blank = ("NaN",) * (6 + use_t)
            rows.append((f"{name} (dropped: aliased)", *blank))
            continue
        texts = [number_text(values[i], decimals[i]) for values in numbers[:2]]
        ends = [number_text(end, decimals[i]) for end in limits[i]]
        df = (_df_text(degrees[i]),) if use_t else ()
        test = (*df, f"{numbers[2][i]:.2f}", p_text(numbers[3][i]))
        rows.append((name, *texts, *test, *ends))
    return TextTable(_fixed_header(use_t, alpha), tuple(rows), title="Fixed effects:")


def _fixed_header(use_t: bool, alpha: float) -> tuple[str, ...]:
    test = ("df", "t", "P>|t|") if use_t else ("z", "P>|z|")
    ends = (f"[{alpha / 2:.3g}", f"{1 - alpha / 2:.3g}]")
    return ("", "Estimate", "Std.Err.", *test, *ends)


def _df_text(df: float) -> str:
    return f"{df:.1f}" if df < 1e4 else f"{df:.0f}"


def convergence_lines(results: Any) -> list[str]:
    """Convergence in one line, and a singular fit in plain words."""
    report = results.optimization
    lines = [report.message[:1].upper() + report.message[1:] + "."]
    if results.is_singular:
        at_edge = listing([f"{name} = {v:.3g}" for name, v in report.boundary.items()])
        lines.append(
            "The fit is singular"
            + (f": {at_edge}. " if at_edge else ". ")
            + "The data show no sign of some of the random variation that the formula "
            "allows for; a simpler random part would fit as well."
        )
    return lines


def pooled_lines(results: Any, pooled: str = "linear model") -> list[str]:
    """The test against the pooled regression, worded as Stata does."""
    if not results.variance_components.terms:
        return []
    try:
        test = results.compare_pooled()
    except MultilevelError as error:
        return [f"No LR test vs. {pooled}: {error}"]
    one_variance = test.null == "0.5 chi2(0) + 0.5 chi2(1)"
    name = "chibar2(01)" if one_variance else "chibar2"
    last = (
        f"LR test vs. {pooled}: {name} = {test.statistic:.2f}  "
        f"Prob >= chibar2 = {test.pvalue:.4f}"
    )
    return [last] if one_variance else [f"chibar2 is {test.null}.", last]
