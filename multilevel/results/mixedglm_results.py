"""Estimates of a generalized linear mixed model.

Held by tests/results/test_mixedglm_results.py.
"""

from __future__ import annotations

from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING

from multilevel.comparison.pooled_glm import pooled_glm
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.option_values import as_switch
from multilevel.reporting.summary_document import SummaryDocument
from multilevel.results.mixed_results import MixedResults

if TYPE_CHECKING:
    from statsmodels.base.wrapper import ResultsWrapper

    from multilevel.likelihood.families.traits import Family
    from multilevel.optimize.generalized.fit_record import GLMMFit


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

    fit_record: GLMMFit

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
    def family(self) -> Family:
        """The family and its link."""
        return self.model.family  # type: ignore[no-any-return]

    @property
    def dispersion(self) -> float:
        """phi, with Var(y) = phi V(mu) / weight; of a negative binomial the size.

        The size k gives Var(y) = mu + mu^2/k. One where the family has neither.
        """
        return float(self._fitted.dispersion)

    def _fit_pooled(self) -> ResultsWrapper:
        return pooled_glm(self._fitted, self.model.given_family)

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
        return self._summary(
            alpha, exponentiate=as_switch(exponentiate, "exponentiate")
        )
