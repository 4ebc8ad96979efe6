"""How results are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multilevel.results.fit_statistics import FitStatistics

if TYPE_CHECKING:
    from multilevel.reporting.summary_document import SummaryDocument


class Tables(FitStatistics):
    """The summary, in terminals and in notebooks."""

    def summary(self, alpha: float = 0.05) -> SummaryDocument:
        """The fit as a table: text, HTML and LaTeX."""
        raise NotImplementedError

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.formula}, {self.criterion}, "
            f"{self.nobs} rows, llf = {self.llf:.3f}>"
        )

    def _repr_html_(self) -> str:
        return str(self.summary().as_html())
