"""The summary of a mixed model, for readers of lme4 and of Stata.

Held by tests/reporting/test_fit_summary.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from multilevel.diagnostics.residuals import scaled_residuals
from multilevel.display.column_formats import as_residuals
from multilevel.display.frame_table import FrameTable
from multilevel.inference.coefficient_tests import CoefficientTests
from multilevel.inference.denominator_df import DDF_METHODS
from multilevel.inference.variance_components import VarianceComponents
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.reporting.coefficient_table import coefficient_table, ratio_table
from multilevel.reporting.fit_facts import convergence_notes, fit_facts, pooled_notes
from multilevel.reporting.summary_document import SummaryDocument

if TYPE_CHECKING:
    from multilevel.inference.likelihood_ratio import LRTest

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def summarize(
    fitted: FittedModel,
    tests: CoefficientTests,
    components: VarianceComponents,
    *,
    compare_pooled: Callable[[], LRTest],
    exponentiate: bool = False,
) -> SummaryDocument:
    """Lay out the summary of a mixed model.

    Parameters
    ----------
    fitted : FittedModel
    tests : CoefficientTests
        Of its fixed effects.
    components : VarianceComponents
    compare_pooled : callable
        Gives the test against the model without random effects.
    exponentiate : bool
        Show exp(estimate) and its limits.

    Returns
    -------
    SummaryDocument
        A statsmodels `Summary`.
    """
    sections = [_residual_table(fitted), components.as_table()]
    if tests.names:
        sections.append(
            ratio_table(tests, fitted.family, uses_t=fitted.uses_t)
            if exponentiate
            else coefficient_table(tests, uses_t=fitted.uses_t)
        )
    notes = [*convergence_notes(fitted), *pooled_notes(fitted, compare_pooled)]
    return SummaryDocument(_title(fitted), fit_facts(fitted), sections, notes)


def _title(fitted: FittedModel) -> str:
    if fitted.kind == "linear":
        method = DDF_METHODS[fitted.ddf].text
        return f"Linear mixed model fit by {fitted.criterion}; {method}"
    test = "t tests" if fitted.uses_t else "z tests"
    return f"Generalized linear mixed model fit by maximum likelihood; Wald {test}"


def _residual_table(fitted: FittedModel) -> FrameTable:
    """Quartiles of the residuals in units of the residual standard deviation.

    The one thing in a summary that rows are read for: quartiles are no sums.
    """
    quartiles = np.quantile(scaled_residuals(fitted), _QUANTILES)
    names = ("Min", "1Q", "Median", "3Q", "Max")
    kind = "" if fitted.kind == "linear" else " Pearson"
    return FrameTable(
        pd.DataFrame([quartiles], columns=names),
        f"Scaled{kind} residuals:",
        formats=dict.fromkeys(names, as_residuals),
    )
