"""Labels around results: arrays inside, pandas objects outside, as in statsmodels.

Held by tests/results/test_mixedlm_results.py.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd
from statsmodels.base.wrapper import ResultsWrapper

from multilevel.errors import FitError


class LabelledResults(ResultsWrapper):
    """What `fit` returns: a results object whose vectors carry names.

    Attribute access goes to the wrapped results object; vectors of coefficients come
    back as Series by name, vectors of rows as Series by row label. The plain object,
    which statsmodels' inherited code computes with, is `_results`.
    """

    _wrap_attrs: ClassVar[dict[str, str]] = {
        "params": "columns",
        "bse": "columns",
        "tvalues": "columns",
        "pvalues": "columns",
        "ddf": "columns",
        "fe_params": "columns",
        "bse_fe": "columns",
        "normalized_cov_params": "cov",
        "fittedvalues": "rows",
        "resid": "rows",
        "resid_pearson": "rows",
    }

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # isinstance(result, MixedLMResults) holds for what `fit` returns.
        return type(self._results)

    def cov_params(self, *args: Any, **kwargs: Any) -> Any:
        """Covariance matrix of the fixed effects, or of linear combinations."""
        covariance = self._results.cov_params(*args, **kwargs)
        if args or kwargs:
            return covariance
        names = self._results.model.exog_names
        return pd.DataFrame(covariance, index=names, columns=names)

    def save(self, path: Any) -> None:
        """Write the fit to a file that `multilevel.load` reads."""
        self._results.save(path)

    @classmethod
    def load(cls, fname: Any) -> Any:
        """Refuse: statsmodels' pickles, which run code, are another format."""
        raise FitError("use multilevel.load(path) to read a saved fit")

    def __reduce__(self) -> tuple[Any, ...]:
        return LabelledResults, (self._results,)

    def __str__(self) -> str:
        return str(self._results)

    def __repr__(self) -> str:
        return repr(self._results)
