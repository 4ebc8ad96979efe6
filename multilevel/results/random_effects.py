"""Results about the random effects: their variances, their modes by level.

Held by tests/results/test_mixedlm_results.py and
tests/results/test_mixedglm_results.py.
"""

from __future__ import annotations

from functools import cached_property

import pandas as pd

from multilevel.array_types import FloatArray, FloatVector
from multilevel.diagnostics.effect_axes import effect_axes
from multilevel.display.frame_table import FrameTable
from multilevel.inference.variance_components import (
    VarianceComponents,
    variance_components,
)
from multilevel.prediction.level_errors import (
    coefficient_errors,
    effects_table,
    random_effect_errors,
)
from multilevel.prediction.level_tables import coefficient_tables, level_tables
from multilevel.results.estimates import Estimates
from multilevel.results.kept_value import kept_value


class RandomEffects(Estimates):
    """Variance parameters, and the random effects given the data."""

    @property
    def theta(self) -> FloatVector:
        """Entries of the relative covariance factors, unit-free."""
        return self._fitted.fit.theta

    @property
    def full_params(self) -> FloatVector:
        """All parameters, the argument of the model's `loglike`.

        [beta, theta], then sigma of a linear model, or the dispersion that the family
        estimates, if it does.
        """
        return self._fitted.params

    @property
    def sigma(self) -> float:
        """Square root of `scale`: in a linear model the sd of the residuals."""
        return self._fitted.sigma

    @property
    def scale(self) -> float:
        """Residual variance, or the factor of the family's variance function."""
        return self.sigma**2

    @scale.setter
    def scale(self, value: float) -> None:
        # statsmodels' constructor assigns the factor of `normalized_cov_params`,
        # which is one here: the covariance is stored as it is.
        self._covariance_factor = value

    @cached_property
    def variance_components(self) -> VarianceComponents:
        """Covariance matrices of the random effects and the residual variance."""
        return variance_components(self._fitted)

    @property
    def cov_re(self) -> dict[str, pd.DataFrame]:
        """Grouping factor -> covariance matrix of its effects."""
        components = self.variance_components
        return {factor: components.cov(factor) for factor in components.factors}

    @kept_value
    def random_effects(self) -> dict[str, pd.DataFrame]:
        """Grouping factor -> conditional modes, levels in rows, effects in columns."""
        return level_tables(self._fitted)

    @kept_value
    def random_effects_cov(self) -> dict[str, FloatArray]:
        """Grouping factor -> conditional covariance (levels, k, k) of its effects.

        Given the estimates, as the conditional variances of lme4: the uncertainty of
        the fixed effects is left out. It is in `random_effects_se`.
        """
        names = self._fitted.design.factor_names
        return dict(zip(names, self._fitted.conditional_covariances(), strict=True))

    @kept_value
    def coefficients(self) -> dict[str, pd.DataFrame]:
        """Grouping factor -> fixed effects plus its random effects, by level."""
        return coefficient_tables(self._fitted)

    def re_pca(self) -> dict[str, pd.DataFrame]:
        """Principal axes of the random effects of each grouping factor.

        An axis with a standard deviation of zero is a direction in which levels do not
        differ: the fit is singular, and that many effects could be left out.

        Returns
        -------
        dict of str to DataFrame
            Grouping factor -> `sd`, in units of the linear predictor, and its
            `proportion` of the variance, largest first.

        Examples
        --------
        >>> import multilevel as ml
        >>> sleep = ml.datasets.load("sleepstudy")
        >>> result = ml.mixedlm("Reaction ~ Days + (Days | Subject)", sleep).fit()
        >>> result.re_pca()["Subject"].round(3)
                  sd  proportion
        axis
        PC1   24.744       0.946
        PC2    5.909       0.054
        """
        return effect_axes(self._fitted)

    @kept_value
    def random_effects_se(self) -> dict[str, pd.DataFrame]:
        """Grouping factor -> standard errors of `random_effects`.

        By the mixed-model equations, fixed and random effects jointly uncertain, so
        no smaller than the roots of the diagonals of `random_effects_cov`.
        """
        return random_effect_errors(self._fitted)

    @kept_value
    def coefficients_se(self) -> dict[str, pd.DataFrame]:
        """Grouping factor -> standard errors of `coefficients`, by level.

        By the mixed-model equations: fixed and random effects are uncertain jointly,
        and their errors are correlated.
        """
        return coefficient_errors(self._fitted)

    def coefficient_table(
        self, factor: str | None = None, *, alpha: float = 0.05
    ) -> FrameTable:
        """Coefficients of each level that vary, with standard errors and limits.

        Parameters
        ----------
        factor : str, optional
            Name of the grouping factor; not needed where there is one only.
        alpha : float
            One minus the coverage of each level's limits.

        Returns
        -------
        FrameTable
            `frame` has a row for each level and effect: `level, effect, estimate, se,
            df, lower, upper`. Fixed effects that do not vary are in `params`.
        """
        return self._effects_table(factor, alpha, with_fixed=True)

    def random_effects_table(
        self, factor: str | None = None, *, alpha: float = 0.05
    ) -> FrameTable:
        """Random effects of each level with standard errors and limits.

        Parameters
        ----------
        factor, alpha
            As for `coefficient_table`.

        Returns
        -------
        FrameTable
            With the columns of `coefficient_table`.
        """
        return self._effects_table(factor, alpha, with_fixed=False)

    def _effects_table(
        self, factor: str | None, alpha: float, *, with_fixed: bool
    ) -> FrameTable:
        return effects_table(
            self._fitted,
            factor,
            with_fixed=with_fixed,
            alpha=alpha,
            denominators=lambda: self._denominators,
        )
