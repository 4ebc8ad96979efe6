"""Regressions of single groups, as one value.

Held by tests/comparison/test_unpooled.py, tests/comparison/test_unpooled_glm.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.comparison.one_group import regression_of_group
from multilevel.comparison.unpooled_predictions import unpooled_predictions
from multilevel.comparison.unpooled_tables import spread_table, tidy_frame
from multilevel.design.grouping import GroupingFactor
from multilevel.design.model_design import ModelDesign
from multilevel.display.frame_table import FrameTable
from multilevel.display.shown import ShownAsTable
from multilevel.inference.intervals import wald_limits
from multilevel.likelihood.families.traits import Family
from multilevel.optimize.common.level_fits import LevelFits
from multilevel.option_values import as_switch, as_tail_share

if TYPE_CHECKING:
    from statsmodels.regression.linear_model import RegressionResultsWrapper


@dataclass(frozen=True, slots=True, eq=False)
class Unpooled(ShownAsTable):
    """One regression for each of J fitted groups, each with its own sigma_j.

    It prints how the estimates spread over the groups; `to_frame` has all of them.

    Attributes
    ----------
    formula : str
        As written.
    factor : GroupingFactor
        Whose levels are the groups.
    excluded : dict
        Group without a regression of its own -> the reason: too small, rank-deficient,
        or separated (generalized models).
    dropped : dict
        Column that no group can estimate -> the reason, such as being constant within
        every group.
    design, family, columns, fitted, fits, eta
        The rows; the family, None for linear regressions; positions of the estimated
        columns, and of the fitted groups among the levels; the estimates as arrays; the
        linear predictor of each row, NaN in groups without a regression.

    Examples
    --------
    >>> import multilevel as ml
    >>> data = ml.datasets.load("sleepstudy")
    >>> fits = ml.unpooled("Reaction ~ Days + (Days | Subject)", data)
    >>> fits.params.loc[["308", "309"]].round(2)
             Intercept   Days
    Subject
    308         244.19  21.76
    309         205.05   2.26
    >>> fits.sigma["308"].round(2), round(fits.pooled_sigma, 2), fits.df_resid
    (np.float64(47.78), 25.59, 144)
    """

    design: ModelDesign = field(repr=False)
    family: Family | None
    formula: str
    factor: GroupingFactor = field(repr=False)
    columns: IntVector = field(repr=False)
    fitted: IntVector = field(repr=False)
    fits: LevelFits = field(repr=False)
    eta: FloatVector = field(repr=False)
    excluded: dict[Any, str] = field(repr=False)
    dropped: dict[str, str] = field(repr=False)

    @property
    def groups(self) -> pd.Index[Any]:
        """Labels of the fitted groups, (J,)."""
        return self.factor.levels[self.fitted].rename(self.factor.name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the estimated columns, (p,)."""
        return tuple(self.design.exog_names[position] for position in self.columns)

    @property
    def has_scale(self) -> bool:
        """Whether there is a residual variance, or a dispersion, in each group."""
        return self.family is None or self.family.has_scale

    @property
    def params(self) -> pd.DataFrame:
        """Estimates, groups x columns."""
        return self._by_group(self.fits.params.T)

    @property
    def bse(self) -> pd.DataFrame:
        """Standard errors by each group's own sigma, groups x columns."""
        return self._by_group(self._roots() * self._sigma()[:, None])

    @property
    def bse_pooled(self) -> pd.DataFrame:
        """Standard errors by the pooled sigma, groups x columns."""
        return self._by_group(self._roots() * self.pooled_sigma)

    @property
    def cov_params(self) -> FloatArray:
        """Covariance matrix of each group's estimates, (J, p, p)."""
        unscaled = np.moveaxis(self.fits.unscaled, 2, 0)
        return np.asarray(unscaled * self._sigma()[:, None, None] ** 2)

    @property
    def sigma(self) -> pd.Series:
        """Residual standard deviation of each group; 1 if the family has none.

        The root of the dispersion for generalized models, by Pearson's statistic.
        """
        return pd.Series(self._sigma(), self.groups, name="sigma")

    @property
    def nobs(self) -> pd.Series:
        """Rows of each fitted group."""
        return pd.Series(self._sizes(), self.groups, name="nobs")

    @property
    def ssr(self) -> pd.Series:
        """Residual sum of squares of each group, or Pearson's statistic."""
        return pd.Series(self.fits.squares, self.groups, name="ssr")

    @property
    def pooled_sigma(self) -> float:
        """Residual standard deviation of all groups together, as R's lmList has it.

        ``sqrt(sum_j SSR_j / sum_j (n_j - p))``; 1 if the family has none.
        """
        if not self.has_scale:
            return 1.0
        return float(np.sqrt(self.fits.squares.sum() / self.df_resid))

    @property
    def df_resid(self) -> int:
        """Rows of all fitted groups less their coefficients."""
        return int(self._df().sum())

    @property
    def df_model(self) -> int:
        """Number of parameters: coefficients of all groups, and their sigmas."""
        return len(self.fitted) * (len(self.columns) + self.has_scale)

    @property
    def llf_groups(self) -> pd.Series:
        """Log-likelihood of each group, at the maximum over its own dispersion too."""
        return pd.Series(self.fits.llf, self.groups, name="llf")

    @property
    def llf(self) -> float:
        """Log-likelihood of the rows of all fitted groups."""
        return float(self.fits.llf.sum())

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return -2.0 * self.llf + 2.0 * self.df_model

    @property
    def bic(self) -> float:
        """Schwarz' criterion, by the rows of all fitted groups."""
        return float(-2.0 * self.llf + np.log(self._sizes().sum()) * self.df_model)

    @property
    def fittedvalues(self) -> pd.Series:
        """Means of the rows; NaN in groups without a regression."""
        return pd.Series(self._mean(self.eta), self.design.index, name="fittedvalues")

    @property
    def resid(self) -> pd.Series:
        """Responses less their means; NaN in groups without a regression."""
        rest = self.design.y - self._mean(self.eta)
        return pd.Series(rest, self.design.index, name="resid")

    def conf_int(self, alpha: float = 0.05, *, pool: bool = False) -> pd.DataFrame:
        """Confidence limits of each group's coefficients.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        pool : bool
            By the pooled sigma with its degrees of freedom, as R's ``lmList(...,
            pool = TRUE)``; else by each group's own, with ``n_j - p``.

        Returns
        -------
        DataFrame
            Columns `lower`, `upper`; a row for each group and coefficient. Normal
            quantiles if the family has no dispersion.
        """
        se = self._roots() * (
            self.pooled_sigma if as_switch(pool, "pool") else self._sigma()[:, None]
        )
        df = np.broadcast_to(self._test_df(pool=pool)[:, None], se.shape)
        limits = wald_limits(
            self.fits.params.T.ravel(), se.ravel(), df.ravel(),
            alpha=as_tail_share(alpha),
        )  # fmt: skip
        rows = pd.MultiIndex.from_product(
            [self.groups, self.names], names=[self.factor.name, "effect"]
        )
        return pd.DataFrame(limits, rows, columns=["lower", "upper"])

    def to_frame(self, *, pool: bool = False, alpha: float = 0.05) -> pd.DataFrame:
        """All estimates, one row for each group and coefficient.

        Parameters
        ----------
        pool : bool
            By the pooled sigma instead of each group's own.
        alpha : float
            One minus the coverage of the limits.

        Returns
        -------
        DataFrame
            Columns `group`, `effect`, `nobs`, `estimate`, `se`, `df`, `t` (`z` if the
            family has no dispersion), `pvalue`, `lower`, `upper`.
        """
        limits = self.conf_int(alpha, pool=pool)
        names, se = list(self.names), self.bse_pooled if pool else self.bse
        df = self._test_df(pool=pool)
        return tidy_frame(self.params[names], se[names], self.nobs, df, limits)

    @property
    def frame(self) -> pd.DataFrame:
        """`to_frame` by each group's own sigma."""
        return self.to_frame()

    def predict(
        self,
        data: Any = None,
        *,
        kind: str = "response",
        new_levels: str = "raise",
        offset: Any = None,
    ) -> pd.Series:
        """Means by the regression of each row's group.

        Parameters
        ----------
        data : data frame, optional
            New rows; those of the fit by default.
        kind : {"response", "link"}
            The mean, or the linear predictor.
        new_levels : {"raise", "missing"}
            What to do with rows of `data` whose group has no regression, since it was
            not there or was excluded: refuse them, or leave them NaN.
        offset : str or array_like, optional
            In place of the ``offset=`` of the fit.

        Returns
        -------
        Series
            NaN where something that the prediction needs is missing.

        Raises
        ------
        DataError
            For groups without a regression, and for words that mean nothing.
        """
        return unpooled_predictions(
            self, data, kind=kind, new_levels=new_levels, offset=offset
        )

    def regression(self, group: Any) -> RegressionResultsWrapper:
        """statsmodels' results of one group: OLS, WLS or GLM on its rows.

        Parameters
        ----------
        group : label
            A fitted group.

        Raises
        ------
        DataError
            For a group without a regression, with the reason.
        """
        return regression_of_group(self, group)

    def summary(self) -> FrameTable:
        """How the estimates spread over the groups."""
        return spread_table(self)

    def as_table(self) -> FrameTable:
        """The summary."""
        return self.summary()

    def _by_group(self, values: FloatMatrix) -> pd.DataFrame:
        """Groups x columns; NaN for those that depend on others in all rows."""
        frame = pd.DataFrame(values, self.groups, columns=list(self.names))
        own, names = set(self.design.kept.tolist()), self.design.exog_names
        shown = [k for k in range(len(names)) if k not in own or k in self.columns]
        if len(shown) == len(self.columns):
            return frame
        return frame.reindex(columns=[names[k] for k in shown])

    def _roots(self) -> FloatMatrix:
        """Standard errors over sigma, (J, p)."""
        p = len(self.columns)
        return np.asarray(np.sqrt(self.fits.unscaled[np.arange(p), np.arange(p)].T))

    def _sizes(self) -> IntVector:
        return self.factor.sizes[self.fitted]

    def _df(self) -> IntVector:
        return self._sizes() - len(self.columns)

    def _test_df(self, *, pool: bool) -> FloatVector:
        """Of t tests, (J,); infinite without a dispersion."""
        if not self.has_scale:
            return np.full(len(self.fitted), np.inf)
        own = self._df().astype(float)
        return np.full_like(own, self.df_resid) if pool else own

    def _sigma(self) -> FloatVector:
        if not self.has_scale:
            return np.ones(len(self.fitted))
        return np.asarray(np.sqrt(self.fits.squares / self._df()))

    def _mean(self, eta: FloatVector) -> FloatVector:
        return eta if self.family is None else np.asarray(self.family.link.mean(eta))
