"""Estimates of a generalized linear mixed model."""

from __future__ import annotations

from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.comparison.nested_models import compare_nested
from multilevel.comparison.pooled_glm import compare_with_pooled_glm, pooled_glm
from multilevel.diagnostics.glm_residuals import (
    FittedRows,
    generalized_residuals,
    known_kind,
)
from multilevel.errors import FitError
from multilevel.inference.denominator_df import ConstantDf, Denominators
from multilevel.inference.likelihood_ratio import LRTest
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.optimize.generalized.likelihood import (
    independent_factor,
    loglike_groups,
)
from multilevel.prediction.estimable_rows import Check
from multilevel.prediction.glm_predict import (
    GlmFitted,
    predict_glm,
    prediction_of_glm,
)
from multilevel.prediction.predict import NewLevels, RandomParts
from multilevel.prediction.prediction_table import Prediction
from multilevel.reporting.glm_summary import summarize_generalized_fit
from multilevel.reporting.summary_document import SummaryDocument
from multilevel.results.kept_value import kept_value
from multilevel.results.labelled_results import LabelledResults
from multilevel.results.mixed_results import MixedResults

if TYPE_CHECKING:
    from statsmodels.base.wrapper import ResultsWrapper

    from multilevel.likelihood.families.traits import Family


class MixedGLMResults(MixedResults):
    """What `MixedGLM.fit` returns, with labels put on by `LabelledResults`.

    Standard errors are from the joint Hessian of all parameters, tests are Wald z
    tests. Random effects are on the scale of the linear predictor.

    Examples
    --------
    >>> import multilevel as ml
    >>> data = ml.datasets.load("cbpp")
    >>> formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    >>> result = ml.mixedglm(formula, data, family="binomial").fit()
    >>> result.params.round(3)
    Intercept     -1.399
    period[T.2]   -0.992
    period[T.3]   -1.129
    period[T.4]   -1.580
    dtype: float64
    >>> print(result.variance_components)
    Random effects:
     Group  Effect     Variance  Std.Dev.
     herd   Intercept    0.4125    0.6423
    """

    _has_residual = False

    @cached_property
    def _fitted(self) -> GeneralizedFittedModel:
        return GeneralizedFittedModel(
            design=self.model.design,
            fit=self.fit_record,
            ddf=self.ddf_method,
            family=self.family,
            prepare=partial(attrgetter("problem"), self.model),
        )

    @property
    def _denominators(self) -> Denominators:
        if self.ddf_method == "residual":
            return ConstantDf(float(self.nobs - len(self.fit_record.beta)))
        return ConstantDf(np.inf)

    def _variance_parameter_covariance(self) -> FloatMatrix:
        """Of theta and, last, of sigma, which is known: one."""
        p, m = len(self.fit_record.beta), len(self.theta)
        out = np.zeros((m + 1, m + 1))
        out[:m, :m] = self.fit_record.cov_params[p : p + m, p : p + m]
        return out

    def with_ddf(self, method: str) -> MixedGLMResults:
        """The same estimates with tests by another method.

        Parameters
        ----------
        method : {"normal", "residual"}
            z tests, or t tests with `nobs` less the number of fixed effects as degrees
            of freedom. The other methods are for linear models.

        Returns
        -------
        MixedGLMResults
        """
        if not isinstance(method, str) or method not in ("normal", "residual"):
            raise FitError(
                f"ddf={method!r} is not available for a generalized model; "
                "use 'normal' or 'residual'"
            )
        other = MixedGLMResults(self.model, self.fit_record, method)
        return LabelledResults(other)

    @property
    def family(self) -> Family:
        """The family and its link."""
        return self.model.family  # type: ignore[no-any-return]

    @property
    def dispersion(self) -> float:
        """phi, with Var(y) = phi V(mu) / weight; of a negative binomial the size.

        The size k gives Var(y) = mu + mu^2/k. One where the family has neither.
        """
        known = self.family.known_size
        return float(self.fit_record.dispersion) if known is None else known

    @property
    def sigma(self) -> float:
        """Square root of `scale`."""
        return float(np.sqrt(self._phi))

    @property
    def _phi(self) -> float:
        counts = self.family.name == "negativebinomial"
        return 1.0 if counts else float(self.fit_record.dispersion)

    @property
    def full_params(self) -> FloatVector:
        """[beta, theta], then the dispersion if the family estimates one."""
        fit = self.fit_record
        last = [fit.dispersion] if self.family.has_dispersion else []
        return np.concatenate([fit.beta, fit.theta, last])

    @kept_value
    def random_effects_cov(self) -> dict[str, FloatArray]:
        """Grouping factor -> conditional covariance (levels, k, k) of its effects."""
        covariances = self._fitted.conditional_covariances()
        return dict(zip(self.ngroups, covariances, strict=True))

    @kept_value
    def llf_groups(self) -> pd.Series:
        """Contribution of each independent group to the log-likelihood."""
        problem, design = self.model.problem, self.model.design
        values = loglike_groups(problem, self.fit_record)
        factor = design.factors[independent_factor(problem)]
        return pd.Series(values, index=factor.levels.rename(factor.name))

    @property
    def fittedvalues(self) -> FloatVector:
        """Mean of each row, random effects included; proportions of a binomial."""
        return np.asarray(self.fit_record.mu)

    @property
    def resid(self) -> FloatVector:
        """Response less `fittedvalues`."""
        return np.asarray(self.model.endog - self.fittedvalues)

    @property
    def resid_pearson(self) -> FloatVector:
        """`resid` over the root of the family's variance function, weighted."""
        return generalized_residuals(self._fitted_rows, "pearson", seed=0)

    @property
    def _fitted_rows(self) -> FittedRows:
        design, fit = self.model.design, self.fit_record
        return FittedRows(
            self.family,
            design.y,
            fit.eta,
            fit.mu,
            design.weights,
            design.observation_weights,
            self.dispersion,
            self._phi,
        )

    def get_residuals(self, kind: str = "response", *, seed: int = 0) -> pd.Series:
        """Residuals of one kind.

        Parameters
        ----------
        kind : str
            ``"response"``; ``"pearson"``; ``"scaled"``, Pearson residuals in units of
            the root of the scale; ``"deviance"``; ``"working"``, on the scale of the
            linear predictor; ``"quantile"``, standard normal if the model holds, drawn
            at random within the jumps of a discrete distribution; ``"marginal"``,
            response less the mean over the random effects. All others are given the
            random effects.
        seed : int
            Of the draws of the quantile residuals.

        Returns
        -------
        Series
        """
        if known_kind(kind) == "marginal":
            values = self.model.endog - np.asarray(self.predict(kind="marginal"))
        else:
            values = generalized_residuals(self._fitted_rows, kind, seed=seed)
        return pd.Series(values, index=self.model.design.index, name=kind)

    @property
    def _for_prediction(self) -> GlmFitted:
        fit = self.fit_record
        return GlmFitted(
            self.model.design,
            self.family,
            fit.beta,
            fit.cov_beta,
            fit.factors,
            fit.modes,
            self.dispersion,
        )

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
        kind : {"response", "link", "marginal"}
            The mean, the linear predictor, or the mean with all random effects
            integrated out: that of the population rather than of a typical group.
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
        return predict_glm(
            self._for_prediction,
            data,
            random=random,
            new_levels=new_levels,
            kind=kind,
            offset=offset,
            check=check,
        )

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

        Parameters
        ----------
        data, random, new_levels, offset, check
            As for `predict`.
        weights : str or array_like (rows,), optional
            Prior weights of the new rows, for the limits of an observation: numbers of
            trials of a binomial. Ones by default; of the fit's rows their own.

        Returns
        -------
        Prediction
            With `summary_frame(alpha)`.
        """
        return prediction_of_glm(
            self._for_prediction,
            data,
            random=random,
            new_levels=new_levels,
            offset=offset,
            weights=weights,
            check=check,
        )

    @cached_property
    def pooled(self) -> ResultsWrapper:
        """statsmodels' GLM results without the random terms, on the same rows.

        For a negative binomial with estimated dispersion those of statsmodels'
        `NegativeBinomial`, whose last parameter is alpha = 1 / size.
        """
        model = self.model
        return pooled_glm(model.design, self.family, model.given_family, model.problem)

    @cached_property
    def _pooled_test(self) -> LRTest:
        return compare_with_pooled_glm(
            self.model.problem,
            self.model.design,
            self.llf,
            criterion=self.criterion,
            full=self.formula,
        )

    def compare_pooled(self) -> LRTest:
        """Likelihood-ratio test against the same model without random effects.

        The null distribution allows for variances at zero.

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
        restricted : MixedGLMResults
            Fitted to the same rows with the same family, link and `nagq`.

        Returns
        -------
        LRTest
        """
        return compare_nested(restricted, self)

    def summary(
        self, alpha: float = 0.05, *, exponentiate: bool = False
    ) -> SummaryDocument:
        """The fit as a table: text, HTML and LaTeX.

        Parameters
        ----------
        alpha : float
            One minus the coverage of the confidence limits.
        exponentiate : bool
            Show exp(estimate) and its limits: odds ratios for a logit link, hazard
            ratios for a complementary log-log link, ratios of means or rates for a log
            link. Other links have no ratios and are refused.

        Returns
        -------
        SummaryDocument
            A statsmodels `Summary`.
        """
        return summarize_generalized_fit(self, alpha=alpha, exponentiate=exponentiate)
