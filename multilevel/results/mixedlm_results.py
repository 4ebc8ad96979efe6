"""Estimates of a linear mixed model.

Held by tests/results/test_mixedlm_results.py.
"""

from __future__ import annotations

from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING

from multilevel.comparison.pooled import pooled_regression
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.results.mixed_results import MixedResults

if TYPE_CHECKING:
    from statsmodels.regression.linear_model import RegressionResultsWrapper

    from multilevel.optimize.linear.fit_record import LMMFit


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

    fit_record: LMMFit

    @cached_property
    def _fitted(self) -> LinearFittedModel:
        return LinearFittedModel(
            design=self.model.design,
            fit=self.fit_record,
            ddf=self.ddf_method,
            prepare=partial(attrgetter("problem"), self.model),
        )

    def _fit_pooled(self) -> RegressionResultsWrapper:
        return pooled_regression(self.model.design)
