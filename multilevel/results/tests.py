"""Tests of hypotheses: about the fixed effects, and against other models.

Held by tests/results/test_mixedlm_results.py.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from multilevel.comparison.compare_pooled import compare_pooled
from multilevel.comparison.nested_models import compare_nested
from multilevel.errors import ComparisonError, FitError, NotForMixedModelsError
from multilevel.inference.estimable_hypotheses import Estimability, estimability
from multilevel.inference.hypotheses import UncertainEffects, t_tests, wald_test
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.results.estimates import Estimates

if TYPE_CHECKING:
    from statsmodels.stats.contrast import ContrastResults

    from multilevel.inference.likelihood_ratio import LRTest


class Tests(Estimates):
    """t, F, chi-square and likelihood-ratio tests."""

    @cached_property
    def _estimability(self) -> Estimability:
        design = self._fitted.design
        return estimability(design.exog, design.kept)

    def t_test(
        self, r_matrix: Any, cov_p: Any = None, use_t: bool | None = None
    ) -> ContrastResults:
        """Test each of several linear hypotheses by itself.

        Parameters
        ----------
        r_matrix : array_like, str, or tuple (R, q)
            Such as ``"ses = 0"``, ``"a = b, c = 2"`` or a contrast matrix with a
            column for every fixed effect.
        cov_p : (p, p), optional
            Another covariance matrix of the fixed effects.
        use_t : bool, optional
            t rather than z; by default unless ``ddf="normal"``.

        Returns
        -------
        ContrastResults
            Each row has its own degrees of freedom. A row that has no estimate, because
            it involves a column left out as aliased, is NaN.
        """
        contrasts, values = self.model.linear_constraints(r_matrix)
        return t_tests(
            contrasts[:, self._fitted.design.kept],
            values,
            UncertainEffects.of(self._fitted, self._denominators, cov_p),
            use_t=self.use_t if use_t is None else use_t,
            estimable=self._estimability.estimable(contrasts),
        )

    def wald_test(
        self,
        r_matrix: Any,
        cov_p: Any = None,
        invcov: Any = None,
        use_f: bool | None = None,
        df_constraints: int | None = None,
        scalar: bool = True,
    ) -> ContrastResults:
        """Test several linear hypotheses jointly.

        Parameters
        ----------
        r_matrix, cov_p
            As in `t_test`.
        invcov, df_constraints : None
            In statsmodels' signature; not supported.
        use_f : bool, optional
            F with denominator degrees of freedom by the method of `ddf`, or
            chi-square; F by default unless ``ddf="normal"``.
        scalar : bool
            The statistic as a float.

        Returns
        -------
        ContrastResults
            Of the part of the hypotheses that has an estimate; NaN with no degrees of
            freedom if none has.
        """
        if invcov is not None or df_constraints is not None:
            raise FitError("wald_test does not support invcov and df_constraints")
        contrasts, values = self.model.linear_constraints(r_matrix)
        contrasts, values = self._estimability.estimable_part(contrasts, values)
        return wald_test(
            contrasts,
            values,
            UncertainEffects.of(self._fitted, self._denominators, cov_p),
            use_f=self.use_t if use_f is None else use_f,
            scalar=scalar,
        )

    def wald_test_terms(self, *args: Any, **options: Any) -> Any:
        """Test every term of the formula as a whole; statsmodels' method.

        Parameters are those of statsmodels' `LikelihoodModelResults.wald_test_terms`.
        What is estimable of a term is tested, and its degrees of freedom are those
        of that part.

        Returns
        -------
        WaldTestResults
        """
        tested = super().wald_test_terms(*args, **options)  # type: ignore[misc]
        # statsmodels before 0.15 counts the columns, estimable or not.
        n_tested = [self._n_tested(rows) for _, rows in getattr(tested, "temp", ())]
        if len(n_tested) == len(tested.table):
            tested.table["df_constraint"] = n_tested
            tested.df_constraints = np.array(n_tested)
        return tested

    def _n_tested(self, hypotheses: Any) -> int:
        """Number of hypotheses that have an estimate."""
        contrasts, values = self.model.linear_constraints(hypotheses)
        return len(self._estimability.estimable_part(contrasts, values)[0])

    @cached_property
    def pooled(self) -> Any:
        """statsmodels' results without the random terms, on the same rows.

        Those of OLS, or WLS where there are prior weights, for a linear model, of GLM
        for a generalized one; for a negative binomial with estimated dispersion those
        of statsmodels' `NegativeBinomial`, whose last parameter is alpha = 1 / size.
        """
        return self._fit_pooled()

    @cached_property
    def _pooled_test(self) -> LRTest:
        return compare_pooled(self._fitted)

    def compare_pooled(self) -> LRTest:
        """Likelihood-ratio test against the same model without random effects.

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
        restricted : results of a fit of the same class
            To the same rows by the same criterion; of a generalized model with the
            same family, link and `nagq`.

        Returns
        -------
        LRTest
        """
        return compare_nested(_fitted_of(restricted), self._fitted)

    @property
    def ssr(self) -> float:
        """Refused: F tests of a mixed model are not ratios of sums of squares.

        Raises
        ------
        NotForMixedModelsError
            An AttributeError, so that code which looks for the attribute finds none.
        """
        raise NotForMixedModelsError(
            "a mixed model has no residual sum of squares to compare, so statsmodels' "
            "anova_lm does not apply; use result.wald_test_terms() for tests of the "
            "terms, and full.compare_lr_test(restricted) for two models"
        )


def _fitted_of(results: Any) -> FittedModel:
    """The fitted model of a results object.

    Raises
    ------
    ComparisonError
        If it is not that of a mixed model.
    """
    fitted = getattr(results, "_fitted", None)
    if not isinstance(fitted, FittedModel):
        raise ComparisonError(
            f"the restricted model must be a fitted mixed model, not a "
            f"{type(results).__name__}; compare_pooled() tests against the "
            "regression without random effects"
        )
    return fitted
