"""What the estimates of every mixed model offer; linear or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModelResults

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.read_only import read_only
from multilevel.errors import FitError
from multilevel.inference.intervals import two_sided_p, wald_limits
from multilevel.prediction.level_tables import (
    coefficient_tables,
    level_tables,
)
from multilevel.results.hypothesis_tests import HypothesisTests
from multilevel.results.kept_value import kept_value
from multilevel.results.variance_components import (
    MovingRoot,
    TermCovariance,
    VarianceComponents,
)

if TYPE_CHECKING:
    from multilevel.inference.likelihood_ratio import LRTest
    from multilevel.optimize.common.fit_record import OptimizationReport
    from multilevel.optimize.common.fitted_model import FittedModel
    from multilevel.reporting.summary_document import SummaryDocument


class MixedResults(HypothesisTests, LikelihoodModelResults):
    """Estimates of one fit: fixed effects as statsmodels has them, and the rest.

    Parameters
    ----------
    model : MixedModel
    fit : frozen record of the estimates
    ddf_method : str
        How denominator degrees of freedom of tests are computed.
    """

    def __init__(self, model: Any, fit: Any, ddf_method: str) -> None:
        kept = model.design.kept
        n_columns = len(model.design.exog_names)
        params = fit.beta
        covariance = fit.cov_beta
        if len(kept) < n_columns:
            params = np.full(n_columns, np.nan)
            params[kept] = fit.beta
            covariance = np.full((n_columns, n_columns), np.nan)
            covariance[np.ix_(kept, kept)] = fit.cov_beta
        read_only((params, covariance, fit))
        super().__init__(model, params, normalized_cov_params=covariance, scale=1.0)
        self.fit_record = fit
        self.ddf_method = ddf_method
        self.use_t = ddf_method != "normal"

    # -- what subclasses say --------------------------------------------------

    @property
    def _fitted(self) -> FittedModel:
        """Design and estimates as one value."""
        raise NotImplementedError

    _has_residual = True  # whether a residual variance is a variance component

    def _variance_parameter_covariance(self) -> FloatMatrix:
        """Asymptotic covariance of the variance parameters and sigma."""
        raise NotImplementedError

    # What those parameters move, one a term; theta its own factor where it is None.
    _moving_roots: Callable[[], list[MovingRoot]] | None = None

    @property
    def sigma(self) -> float:
        """Square root of `scale`."""
        raise NotImplementedError

    @property
    def full_params(self) -> FloatVector:
        """The argument of the model's `loglike` at the estimates."""
        raise NotImplementedError

    def summary(self, alpha: float = 0.05) -> SummaryDocument:
        """The fit as a table: text, HTML and LaTeX."""
        raise NotImplementedError

    def compare_pooled(self) -> LRTest:
        """Likelihood-ratio test against the model without random effects."""
        raise NotImplementedError

    # -- fixed effects --------------------------------------------------------

    @property
    def fe_params(self) -> FloatVector:
        """Fixed effects; the same as `params`."""
        return np.asarray(self.params)

    @property
    def bse_fe(self) -> FloatVector:
        """Standard errors of the fixed effects; the same as `bse`."""
        return np.asarray(self.bse)

    def cov_params(
        self,
        r_matrix: Any = None,
        column: Any = None,
        scale: float | None = None,
        cov_p: Any = None,
        other: Any = None,
    ) -> Any:
        """Covariance matrix of the fixed effects or of linear combinations of them.

        Parameters are those of statsmodels' `LikelihoodModelResults.cov_params`.
        """
        factor = self._covariance_factor if scale is None else scale
        return super().cov_params(r_matrix, column, factor, cov_p, other)

    @kept_value
    def ddf(self) -> FloatVector:
        """Denominator degrees of freedom of each fixed effect's test."""
        kept = self.model.design.kept
        degrees = np.full(len(self.params), np.nan)
        degrees[kept] = self._denominators.df(np.eye(len(kept)))
        return degrees

    @kept_value
    def pvalues(self) -> FloatVector:
        """Two-sided p-values of the fixed effects, with the chosen `ddf`."""
        return two_sided_p(np.asarray(self.tvalues), self.ddf)

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Wald confidence limits of the fixed effects, with the chosen `ddf`.

        Parameters
        ----------
        alpha : float
            One minus the coverage.

        Returns
        -------
        DataFrame
            Columns `lower` and `upper`.
        """
        limits = wald_limits(self.fe_params, self.bse_fe, self.ddf, alpha=alpha)
        names = self.model.exog_names
        return pd.DataFrame(limits, index=names, columns=["lower", "upper"])

    # -- random effects -------------------------------------------------------

    @property
    def scale(self) -> float:
        """Residual variance, or the factor of the family's variance function."""
        return self.sigma**2

    @scale.setter
    def scale(self, value: float) -> None:
        # statsmodels' constructor assigns the factor of `normalized_cov_params`,
        # which is one here: the covariance is stored as it is.
        self._covariance_factor = value

    @property
    def theta(self) -> FloatVector:
        """Entries of the relative covariance factors, unit-free."""
        return np.asarray(self.fit_record.theta)

    @cached_property
    def variance_components(self) -> VarianceComponents:
        """Covariance matrices of the random effects and the residual variance."""
        design, start, terms = self.model.design, 0, []
        fitted = zip(design.terms, self.fit_record.factors, strict=True)
        for (term, factor), n_theta in zip(fitted, self.model.n_thetas, strict=True):
            terms.append(
                TermCovariance(
                    design.factors[term.factor_index].name,
                    term.effects,
                    term.structure,
                    self.theta[start : start + n_theta],
                    factor,
                )
            )
            start += n_theta
        return VarianceComponents(
            tuple(terms),
            self.fit_record.sigma,
            has_residual=self._has_residual,
            parameter_covariance=self._variance_parameter_covariance,
            moving_roots=self._moving_roots,
            undetermined=lambda: frozenset(self.model.problem.undetermined),
        )

    @property
    def cov_re(self) -> dict[str, pd.DataFrame]:
        """Grouping factor -> covariance matrix of its effects."""
        components = self.variance_components
        return {factor: components.cov(factor) for factor in components.factors}

    @kept_value
    def random_effects(self) -> dict[str, pd.DataFrame]:
        """Grouping factor -> conditional modes, levels in rows, effects in columns."""
        return level_tables(self.model.design, self.fit_record.modes)

    @kept_value
    def coefficients(self) -> dict[str, pd.DataFrame]:
        """Grouping factor -> fixed effects plus its random effects, by level."""
        return coefficient_tables(
            self.model.design, self.fit_record.beta, self.fit_record.modes
        )

    # -- fit statistics -------------------------------------------------------

    @property
    def llf(self) -> float:
        """Maximized log-likelihood; the restricted one for REML."""
        return float(self.fit_record.llf)

    @property
    def criterion(self) -> str:
        """What was maximized: ``"REML"``, ``"ML"``, ..."""
        return str(self.fit_record.criterion)

    @property
    def deviance(self) -> float:
        """-2 `llf`."""
        return -2.0 * self.llf

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return int(self.model.nobs)

    @property
    def df_model(self) -> int:
        """Number of parameters, variance parameters included."""
        return int(self.fit_record.n_parameters)

    @property
    def df_resid(self) -> int:
        """`nobs` less `df_model`."""
        return self.nobs - self.df_model

    @property
    def aic(self) -> float:
        """-2 `llf` + 2 `df_model`."""
        return self.deviance + 2.0 * self.df_model

    @property
    def bic(self) -> float:
        """-2 `llf` + log(`nobs`) `df_model`."""
        return float(self.deviance + np.log(self.nobs) * self.df_model)

    @property
    def aicc(self) -> float:
        """`aic` with the small-sample correction of Hurvich and Tsai."""
        k, left = self.df_model, self.nobs - self.df_model - 1
        return self.aic + 2.0 * k * (k + 1) / left if left > 0 else float("inf")

    @property
    def ngroups(self) -> dict[str, int]:
        """Grouping factor -> number of levels."""
        return {f.name: len(f.levels) for f in self.model.design.factors}

    @property
    def n_dropped(self) -> int:
        """Rows that were dropped because something in them is missing."""
        return int(self.model.design.dropped.n)

    @property
    def formula(self) -> str:
        """The formula as written, or one that says what the arrays were."""
        return str(self.model.formula)

    @property
    def optimization(self) -> OptimizationReport:
        """How the optimizer ended: evaluations, gradient, boundary, in plain words."""
        report: OptimizationReport = self.fit_record.report
        return replace(report, boundary=dict(report.boundary))

    @property
    def converged(self) -> bool:
        """Whether the optimizer can show that it is done."""
        return bool(self.fit_record.report.converged)

    @property
    def is_singular(self) -> bool:
        """Whether an estimated covariance matrix is singular."""
        return bool(self.fit_record.is_singular)

    def save(self, path: str | Path, remove_data: bool = False) -> None:
        """Write the fit to a file that `multilevel.load` reads.

        The file is a zip archive of JSON and NumPy arrays: the design and the
        estimates. It holds no pickle, and reading it runs no code. It is written beside
        its place and put there at once, so an error or a full disk leaves an older
        file as it was.

        Parameters
        ----------
        path : str or Path
        remove_data : bool
            Not supported; statsmodels' signature.
        """
        if remove_data:
            raise FitError("a saved fit keeps its data; remove_data is not supported")
        self.model.write_fit(path, self.fit_record, self.ddf_method)

    @classmethod
    def load(cls, fname: Any) -> Any:
        """Refuse: statsmodels' pickles, which run code, are another format."""
        raise FitError("use multilevel.load(path) to read a saved fit")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.model, self.fit_record, self.ddf_method)

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.formula}, {self.criterion}, "
            f"{self.nobs} rows, llf = {self.llf:.3f}>"
        )

    def _repr_html_(self) -> str:
        return str(self.summary().as_html())
