"""Explained variance: R squared, intraclass correlations, design effects, cAIC.

Held by tests/results/test_variance_shares.py.
"""

from __future__ import annotations

import pandas as pd

from multilevel.diagnostics.conditional_aic import conditional_aic
from multilevel.diagnostics.design_effect import design_effect
from multilevel.diagnostics.explained_variance import (
    intraclass_correlations,
    r_squared,
)
from multilevel.results.estimates import Estimates


class ExplainedVariance(Estimates):
    """What the fixed and the random effects account for."""

    def r2(self, method: str = "auto", *, at: str = "typical") -> pd.Series:
        """R squared of Nakagawa and Schielzeth.

        Variances are those of the linear predictor; with random slopes, the mean over
        the rows. The variance of single responses there is sigma^2 in a linear model.
        In a generalized one it follows from the family and the link.

        Parameters
        ----------
        method : str
            That variance in a generalized model. ``"theoretical"``: of the latent
            response of a binomial model, pi^2/3 for the logit; ``"lognormal"`` and
            ``"trigamma"``: of a logarithm, for the log link; ``"delta"``: of first
            order, for every link. ``"auto"`` takes the first of these that the model
            can have, and ``"delta"`` where it has none of them.
        at : {"typical", "population"}
            The mean at which it is taken, where it depends on it: that of the model
            without covariates at random effects of zero, or over their distribution.

        Returns
        -------
        Series
            `marginal`, the share of the fixed effects, and `conditional`, that of
            fixed and random effects.

        Raises
        ------
        DataError
            For a method that there is not, or not for this model.

        References
        ----------
        Nakagawa & Schielzeth (2013), Methods Ecol. Evol. 4, 133-142; Johnson (2014),
        ibid. 5, 944-946; Nakagawa, Johnson & Schielzeth (2017), J. R. Soc. Interface
        14: 20170213.

        Examples
        --------
        >>> import multilevel as ml
        >>> sleep = ml.datasets.load("sleepstudy")
        >>> result = ml.mixedlm("Reaction ~ Days + (Days | Subject)", sleep).fit()
        >>> result.r2().round(3)
        marginal       0.279
        conditional    0.799
        Name: R2, dtype: float64
        """
        return r_squared(self._fitted, method=method, at=at)

    def icc(
        self,
        method: str = "auto",
        *,
        at: str = "typical",
        se: bool = False,
        alpha: float = 0.05,
    ) -> pd.DataFrame:
        """Intraclass correlations: shares of the variance between groups.

        Parameters
        ----------
        method, at : str
            As for `r2`.
        se : bool
            Add standard errors (delta method), and limits that are symmetric for the
            logit and never reach 0 or 1; NaN where the estimate is 0.
        alpha : float
            One minus the coverage of the limits.

        Returns
        -------
        DataFrame
            A row for each grouping factor, and ``all`` at the end: `adjusted`, of what
            the fixed effects leave, and `unadjusted`, of all variance. With `se` also
            `adjusted_se`, `adjusted_lower`, `adjusted_upper` and so on.

        Raises
        ------
        DataError
            For a method that there is not, or not for this model.

        Examples
        --------
        >>> import multilevel as ml
        >>> hsb = ml.datasets.load("hsb")
        >>> result = ml.mixedlm("math ~ ses + (1 | school)", hsb).fit()
        >>> result.icc().round(3)
                adjusted  unadjusted
        group
        school     0.114       0.105
        all        0.114       0.105
        """
        return intraclass_correlations(
            self._fitted, method=method, at=at, se=se, alpha=alpha
        )

    def design_effect(
        self, of: str = "mean", *, method: str = "auto", at: str = "typical"
    ) -> pd.DataFrame:
        """By how much clustering inflates the variance of an estimate.

        Parameters
        ----------
        of : {"mean", "params"}
            The mean of the response, 1 + (m - 1) ICC with m the effective size of the
            groups; or, of a linear model, each coefficient of the regression without
            random effects.
        method, at : str
            As for `r2`.

        Returns
        -------
        DataFrame
            `design_effect` and `effective_nobs`, `nobs` over it. Of the mean, by
            grouping factor and for all of them, also `size` (m) and `icc`.

        Raises
        ------
        DataError
            For a method that there is not, or not for this model.

        References
        ----------
        Kish (1965), Survey Sampling, section 5.4; Moulton (1986), J. Econometrics 32,
        385-397.

        Examples
        --------
        >>> import multilevel as ml
        >>> hsb = ml.datasets.load("hsb")
        >>> result = ml.mixedlm("math ~ ses + (1 | school)", hsb).fit()
        >>> result.design_effect().round(2)
                 size   icc  design_effect  effective_nobs
        group
        school  48.02  0.11           6.36         1129.21
        all     48.02  0.11           6.36         1129.21
        """
        return design_effect(self._fitted, of, method=method, at=at)

    def caic(self, method: str = "auto") -> pd.Series:
        """Conditional Akaike criterion: about new rows of the groups at hand.

        Parameters
        ----------
        method : str
            How parameters are counted. ``"greven-kneib"``, of linear models: what the
            fitted values follow the response, by the estimated variances too.
            ``"vaida-blanchard"``: with the variances taken as known; of generalized
            models by the linear one that they resemble near the estimates.
            ``"saefken"``, of Poisson counts and binary responses: by as many refits as
            there are rows. ``"auto"``: the first of these that is for this kind of
            model.

        Returns
        -------
        Series
            `llf`, the log-likelihood given the random effects, `df`, and `caic`.

        Raises
        ------
        DataError
            For a method that there is not, or not for this model.

        References
        ----------
        Vaida & Blanchard (2005), Biometrika 92, 351-370; Greven & Kneib (2010),
        Biometrika 97, 773-789; Saefken, Kneib, van Waveren & Greven (2014),
        Electron. J. Statist. 8, 201-225.

        Examples
        --------
        >>> import multilevel as ml
        >>> sleep = ml.datasets.load("sleepstudy")
        >>> result = ml.mixedlm("Reaction ~ Days + (Days | Subject)", sleep).fit()
        >>> result.caic().round(2)
        llf     -824.51
        df        31.25
        caic    1711.52
        Name: greven-kneib, dtype: float64
        """
        return conditional_aic(self._fitted, method)
