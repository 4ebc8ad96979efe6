"""Estimates of a linear mixed model."""

from __future__ import annotations

from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.comparison.nested_models import compare_nested
from multilevel.comparison.pooled import compare_with_pooled, pooled_regression
from multilevel.diagnostics.residuals import linear_residuals
from multilevel.inference.denominator_df import (
    DDF_METHODS,
    Denominators,
    known_ddf,
)
from multilevel.inference.likelihood_ratio import LRTest
from multilevel.inference.satterthwaite import variance_parameter_covariance
from multilevel.optimize.linear.estimates import fitted_point, fixed_root
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.optimize.linear.group_loglike import independent_factor, loglike_groups
from multilevel.prediction.estimable_rows import Check
from multilevel.prediction.linear_prediction import prediction_of_lmm
from multilevel.prediction.predict import (
    NewLevels,
    RandomParts,
    factor_positions,
    linear_predictor,
    predict_new_rows,
    reject_unknown_kind,
)
from multilevel.prediction.prediction_options import refuse_bad_options
from multilevel.prediction.prediction_table import Prediction
from multilevel.reporting.fit_summary import summarize_linear_fit
from multilevel.reporting.summary_document import SummaryDocument
from multilevel.results.kept_value import kept_value
from multilevel.results.labelled_results import LabelledResults
from multilevel.results.mixed_results import MixedResults
from multilevel.results.variance_components import MovingRoot

if TYPE_CHECKING:
    from statsmodels.regression.linear_model import RegressionResultsWrapper


class MixedLMResults(MixedResults):
    """What `MixedLM.fit` returns, with labels put on by `LabelledResults`.

    Examples
    --------
    >>> import multilevel as ml
    >>> data = ml.datasets.load("sleepstudy")
    >>> result = ml.mixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    >>> result.params.round(3)
    Intercept    251.405
    Days          10.467
    dtype: float64
    >>> print(result.variance_components)
    Random effects:
     Group     Effect     Variance  Std.Dev.  Corr
     Subject   Intercept    612.09    24.740
               Days          35.07     5.922  0.07
     Residual               654.94    25.592
    >>> round(float(result.t_test("Days = 10").pvalue), 3)
    0.766
    """

    @cached_property
    def _fitted(self) -> LinearFittedModel:
        return LinearFittedModel(
            design=self.model.design,
            fit=self.fit_record,
            ddf=self.ddf_method,
            prepare=partial(attrgetter("problem"), self.model),
        )

    @cached_property
    def _denominators(self) -> Denominators:
        method = DDF_METHODS[self.ddf_method]
        return method(self.model.problem, self.fit_record)

    def _variance_parameter_covariance(self) -> FloatMatrix:
        return variance_parameter_covariance(self.model.problem, self.fit_record)

    @cached_property
    def _root_of_fit(self) -> FloatMatrix:
        problem = self.model.problem
        return fixed_root(problem, fitted_point(problem, self.fit_record))

    def _fixed_root(self) -> FloatMatrix:
        return self._root_of_fit

    def _moving_roots(self) -> list[MovingRoot]:
        """By theta of the working columns: no digits are lost to a far origin."""
        problem, theta = self.model.problem, self.fit_record.working_theta
        terms = problem.terms
        return [
            MovingRoot(T @ structure.factor(own), T @ structure.jacobian(own))
            for T, structure, own in zip(
                problem.basis.terms,
                terms.structures,
                [theta[part] for part in terms.slices],
                strict=True,
            )
        ]

    def with_ddf(self, method: str) -> MixedLMResults:
        """The same estimates with tests by another method.

        Parameters
        ----------
        method : {"satterthwaite", "residual", "normal"}
            Denominator degrees of freedom; ``"normal"`` gives z tests.

        Returns
        -------
        MixedLMResults
        """
        other = MixedLMResults(self.model, self.fit_record, known_ddf(method))
        return LabelledResults(other)

    @property
    def sigma(self) -> float:
        """Residual standard deviation, in units of the response."""
        return float(self.fit_record.sigma)

    @property
    def full_params(self) -> FloatVector:
        """[beta, theta, sigma], the argument of the model's `loglike`."""
        fit = self.fit_record
        return np.concatenate([fit.beta, fit.theta, [fit.sigma]])

    @kept_value
    def random_effects_cov(self) -> dict[str, FloatArray]:
        """Grouping factor -> conditional covariance (levels, k, k) of its effects."""
        covariances = self._fitted.conditional_covariances()
        return dict(zip(self.ngroups, covariances, strict=True))

    @kept_value
    def llf_groups(self) -> pd.Series:
        """Contribution of each independent group to the log-likelihood (ML)."""
        problem, design = self.model.problem, self.model.design
        values = loglike_groups(problem, design, self.fit_record)
        factor = design.factors[independent_factor(problem)]
        return pd.Series(values, index=factor.levels.rename(factor.name))

    @kept_value
    def fittedvalues(self) -> FloatVector:
        """X beta + offset + Z b, random effects included."""
        fit = self.fit_record
        return linear_predictor(self.model.design, fit.beta, fit.modes)

    @kept_value
    def resid(self) -> FloatVector:
        """Response less `fittedvalues`."""
        return np.asarray(self.model.endog - self.fittedvalues)

    @property
    def resid_pearson(self) -> FloatVector:
        """`resid` times the square root of the prior weights."""
        return linear_residuals(self.model.design, self.fit_record, "pearson")

    def get_residuals(self, kind: str = "response") -> pd.Series:
        """Residuals of one kind.

        Parameters
        ----------
        kind : str
            ``"response"``; ``"pearson"`` and ``"deviance"``, times the root of the
            prior weights; ``"scaled"``, in units of sigma; ``"quantile"``, the same
            for a normal distribution; ``"marginal"``, random effects left in.

        Returns
        -------
        Series
        """
        residuals = linear_residuals(self.model.design, self.fit_record, kind)
        return pd.Series(residuals, index=self.model.design.index, name=kind)

    def predict(
        self,
        data: Any = None,
        *,
        random: RandomParts = "all",
        new_levels: NewLevels = "raise",
        kind: str = "response",
        offset: Any = None,
        check: Check = "warn",
    ) -> pd.Series:
        """Predictions for the rows of the fit or for new ones.

        Parameters
        ----------
        data : data frame, optional
            New rows; the rows of the fit by default.
        random : "all", "none" or list of str
            Grouping factors whose random effects are added.
        new_levels : {"raise", "population", "missing"}
            For levels that were not in the fit: an error, random effects of zero, or
            NaN.
        kind : {"response", "link"}
            The same for a linear model.
        offset : str or array_like (rows,), optional
            Of the new rows, where the fit had an array as ``offset=``.
        check : {"warn", "raise"}
            For new rows whose mean the fit does not determine, as a combination of
            levels that no row of it had, and for rows beyond the knots of a spline:
            NaN with a warning that names them, or an error.

        Returns
        -------
        Series
        """
        reject_unknown_kind(kind, ("response", "link"))
        refuse_bad_options(data, new_levels=new_levels, check=check, offset=offset)
        design, fit = self.model.design, self.fit_record
        if data is not None:
            return predict_new_rows(
                design,
                fit.beta,
                fit.modes,
                data,
                random=random,
                new_levels=new_levels,
                offset=offset,
                check=check,
            )
        factors = factor_positions(list(self.ngroups), random)
        fitted = linear_predictor(design, fit.beta, fit.modes, factors)
        return pd.Series(fitted, index=design.index)

    def get_prediction(
        self,
        data: Any = None,
        *,
        random: RandomParts = "all",
        new_levels: NewLevels = "raise",
        offset: Any = None,
        weights: Any = None,
        check: Check = "warn",
    ) -> Prediction:
        """Predicted means with standard errors, confidence and prediction limits.

        The standard errors are those of the mixed-model equations: fixed and random
        effects are uncertain together. What `random` leaves out counts as a new group,
        at zero in the mean and with its variance in the limits of an observation.

        Parameters
        ----------
        data, random, new_levels, offset, check
            As for `predict`.
        weights : str or array_like (rows,), optional
            Prior weights of the new rows, for the limits of an observation. Ones by
            default; of the fit's rows their own.

        Returns
        -------
        Prediction
            With `summary_frame(alpha)`. Limits are by Student's t, with degrees of
            freedom by the chosen `ddf`: for the variance of the mean, and for the
            whole variance of the prediction of an observation.
        """
        return prediction_of_lmm(
            self.model.design,
            self.model.problem,
            self.fit_record,
            data,
            denominators=lambda: self._denominators,
            random=random,
            new_levels=new_levels,
            offset=offset,
            weights=weights,
            check=check,
        )

    @cached_property
    def pooled(self) -> RegressionResultsWrapper:
        """statsmodels' OLS or WLS results without the random terms, same rows."""
        return pooled_regression(self.model.design)

    @cached_property
    def _pooled_test(self) -> LRTest:
        return compare_with_pooled(
            self.model.design,
            self.model.problem,
            self.llf,
            criterion=self.criterion,
            full=self.formula,
        )

    def compare_pooled(self) -> LRTest:
        """Likelihood-ratio test against the regression without random effects.

        A REML fit is compared by restricted likelihoods, as both models have the same
        fixed part. The null distribution allows for variances at zero.

        Returns
        -------
        LRTest
        """
        return self._pooled_test

    def compare_lr_test(self, restricted: Any) -> LRTest:
        """Likelihood-ratio test of a nested model against this one.

        Rows, groups and columns are compared by content; the two may come in either
        order.

        Parameters
        ----------
        restricted : MixedLMResults
            Fitted to the same rows by the same criterion.

        Returns
        -------
        LRTest
        """
        return compare_nested(restricted, self)

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
        return summarize_linear_fit(self, alpha=alpha)
