"""What the estimates of every mixed model offer; linear or not.

Held by tests/results/test_mixedlm_results.py and tests/results/test_themes.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from statsmodels.base.model import LikelihoodModelResults

from multilevel.design.read_only import read_only
from multilevel.errors import FitError
from multilevel.results.diagnostics import Diagnostics
from multilevel.results.explained_variance import ExplainedVariance
from multilevel.results.fit_statistics import FitStatistics
from multilevel.results.fixed_effects import FixedEffects
from multilevel.results.labelled_results import LabelledResults
from multilevel.results.predictions import Predictions
from multilevel.results.random_effects import RandomEffects
from multilevel.results.tables import Tables
from multilevel.results.tests import Tests

if TYPE_CHECKING:
    from typing_extensions import Self

    from multilevel.optimize.common.fit_record import FitRecord


class MixedResults(
    Tables,
    FixedEffects,
    RandomEffects,
    Tests,
    Diagnostics,
    ExplainedVariance,
    Predictions,
    FitStatistics,
    LikelihoodModelResults,
):
    """Estimates of one fit: fixed effects as statsmodels has them, and the rest.

    Parameters
    ----------
    model : MixedModel
    fit : FitRecord
    ddf_method : str
        How denominator degrees of freedom of tests are computed.
    """

    def __init__(self, model: Any, fit: FitRecord, ddf_method: str) -> None:
        params = model.design.with_aliased(fit.beta)
        covariance = model.design.with_aliased(fit.cov_beta)
        read_only((params, covariance, fit))
        super().__init__(model, params, normalized_cov_params=covariance, scale=1.0)
        self.fit_record = fit
        self.ddf_method = ddf_method
        self.use_t = ddf_method != "normal"

    def _tested_by(self, ddf_method: str) -> Self:
        return LabelledResults(type(self)(self.model, self.fit_record, ddf_method))

    def save(self, path: str | Path, remove_data: bool = False) -> None:
        """Write the fit to a file that `multilevel.load` reads.

        The file is a zip archive of JSON and NumPy arrays: the design and the
        estimates. It holds no pickle, and reading it runs no code. It is written beside
        its place and put there at once, so an error or a full disk leaves an older
        file as it was.

        Parameters
        ----------
        path : str or Path
        remove_data : bool
            Not supported; statsmodels' signature.
        """
        if remove_data:
            raise FitError("a saved fit keeps its data; remove_data is not supported")
        self.model.write_fit(path, self.fit_record, self.ddf_method)

    @classmethod
    def load(cls, fname: Any) -> Any:
        """Refuse: statsmodels' pickles, which run code, are another format."""
        raise FitError("use multilevel.load(path) to read a saved fit")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.model, self.fit_record, self.ddf_method)
