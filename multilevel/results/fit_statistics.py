"""Results about the fit as a whole: likelihood, criteria, counts, convergence.

Held by tests/results/test_mixedlm_results.py and
tests/results/test_mixedglm_results.py.
"""

from __future__ import annotations

import pandas as pd

from multilevel.diagnostics.convergence import ConvergenceReport
from multilevel.diagnostics.singularity import SingularFit, explain_singular
from multilevel.results.estimates import Estimates
from multilevel.results.kept_value import kept_value


class FitStatistics(Estimates):
    """How well the model fits, to what, and how the optimizer ended."""

    @property
    def llf(self) -> float:
        """Maximized log-likelihood; the restricted one for REML."""
        return self._fitted.llf

    @kept_value
    def llf_groups(self) -> pd.Series:
        """Contribution of each independent group to the log-likelihood (ML)."""
        fitted = self._fitted
        factor = fitted.design.factors[fitted.problem.independent_factor()]
        return pd.Series(
            fitted.loglike_groups(), index=factor.levels.rename(factor.name)
        )

    @property
    def criterion(self) -> str:
        """What was maximized: ``"REML"``, ``"ML"``, ..."""
        return self._fitted.criterion

    @property
    def deviance(self) -> float:
        """-2 `llf`."""
        return self._fitted.deviance

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return self._fitted.design.nobs

    @property
    def df_model(self) -> int:
        """Number of parameters, variance parameters included."""
        return self._fitted.n_parameters

    @property
    def df_resid(self) -> int:
        """`nobs` less `df_model`."""
        return self.nobs - self.df_model

    @property
    def aic(self) -> float:
        """-2 `llf` + 2 `df_model`."""
        return self._fitted.aic

    @property
    def bic(self) -> float:
        """-2 `llf` + log(`nobs`) `df_model`."""
        return self._fitted.bic

    @property
    def aicc(self) -> float:
        """`aic` with the small-sample correction of Hurvich and Tsai."""
        return self._fitted.aicc

    @property
    def ngroups(self) -> dict[str, int]:
        """Grouping factor -> number of levels."""
        return {f.name: len(f.levels) for f in self._fitted.design.factors}

    @property
    def n_dropped(self) -> int:
        """Rows that were dropped because something in them is missing."""
        return self._fitted.design.dropped.n

    @property
    def formula(self) -> str:
        """The formula as written, or one that says what the arrays were."""
        return self._fitted.formula

    @property
    def optimization(self) -> ConvergenceReport:
        """How the optimizer ended; its `explain()` says it in plain words."""
        return ConvergenceReport(self._fitted)

    @property
    def converged(self) -> bool:
        """Whether the optimizer can show that it is done."""
        return self._fitted.fit.report.converged

    @property
    def is_singular(self) -> bool:
        """Whether an estimated covariance matrix is singular."""
        return self._fitted.fit.is_singular

    def explain_singular(self) -> SingularFit:
        """Which random effects have no variance, whether it matters, what to try.

        Returns
        -------
        SingularFit
            Prints as text; `formulas` are simpler models to try, the least change
            first. False if the fit is not singular.
        """
        return explain_singular(self._fitted)
