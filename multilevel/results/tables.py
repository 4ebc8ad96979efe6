"""The summary of the results, and how results print.

Held by tests/results/test_mixedlm_results.py and tests/reporting/test_fit_summary.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from multilevel.inference.coefficient_tests import coefficient_tests
from multilevel.reporting.fit_summary import summarize
from multilevel.results.fit_statistics import FitStatistics
from multilevel.results.fixed_effects import FixedEffects
from multilevel.results.random_effects import RandomEffects
from multilevel.results.tests import Tests

if TYPE_CHECKING:
    from multilevel.reporting.summary_document import SummaryDocument


class Tables(FixedEffects, RandomEffects, Tests, FitStatistics):
    """The summary, in terminals and in notebooks."""

    def summary(self, alpha: float = 0.05) -> SummaryDocument:
        """The fit as a table: text, HTML and LaTeX.

        Parameters
        ----------
        alpha : float
            One minus the coverage of the confidence limits.

        Returns
        -------
        SummaryDocument
            A statsmodels `Summary`.
        """
        return self._summary(alpha, exponentiate=False)

    def _summary(self, alpha: float, *, exponentiate: bool) -> SummaryDocument:
        return summarize(
            self._fitted,
            coefficient_tests(self._fitted, self.ddf, alpha=alpha),
            self.variance_components,
            compare_pooled=self.compare_pooled,
            exponentiate=exponentiate,
        )

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.formula}, {self.criterion}, "
            f"{self.nobs} rows, llf = {self.llf:.3f}>"
        )

    def _repr_html_(self) -> str:
        return str(self.summary().as_html())
