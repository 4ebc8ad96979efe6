"""Results about the fixed effects: estimates, standard errors, limits.

Held by tests/results/test_mixedlm_results.py and
tests/results/test_mixedglm_results.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatVector
from multilevel.inference.denominator_df import known_ddf
from multilevel.inference.intervals import intervals, two_sided_p
from multilevel.results.estimates import Estimates
from multilevel.results.kept_value import kept_value

if TYPE_CHECKING:
    from typing_extensions import Self


class FixedEffects(Estimates):
    """Fixed effects, labelled as statsmodels has them."""

    _covariance_factor: float

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
        return super().cov_params(  # type: ignore[misc]
            r_matrix, column, factor, cov_p, other
        )

    @kept_value
    def ddf(self) -> FloatVector:
        """Denominator degrees of freedom of each fixed effect's test."""
        design = self._fitted.design
        own = self._denominators.df(np.eye(len(design.kept)))
        return np.asarray(design.with_aliased(own))

    def with_ddf(self, method: str) -> Self:
        """The same estimates with tests by another method.

        Parameters
        ----------
        method : {"satterthwaite", "residual", "normal"}
            Denominator degrees of freedom: Satterthwaite's, of a linear model; `nobs`
            less the number of fixed effects; ``"normal"`` gives z tests.

        Returns
        -------
        MixedLMResults or MixedGLMResults
        """
        return self._tested_by(known_ddf(method, self._fitted.kind))

    @kept_value
    def pvalues(self) -> FloatVector:
        """Two-sided p-values of the fixed effects, with the chosen `ddf`."""
        return two_sided_p(np.asarray(self.tvalues), self.ddf)

    def conf_int(self, alpha: float = 0.05, *, method: str = "wald") -> pd.DataFrame:
        """Confidence limits of the fixed effects, with the chosen `ddf`.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        method : {"wald"}
            By standard errors and Student's t.

        Returns
        -------
        DataFrame
            Columns `lower` and `upper`.
        """
        limits = intervals(self._fitted, self.ddf, alpha=alpha, method=method)
        names = list(self._fitted.design.exog_names)
        return pd.DataFrame(limits, index=names, columns=["lower", "upper"])
