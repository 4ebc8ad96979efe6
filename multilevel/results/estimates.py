"""What every theme of the results stands on, and what the kinds of models differ in.

Held by tests/results/test_mixedlm_results.py.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from multilevel.array_types import FloatVector
from multilevel.inference.denominator_df import DDF_METHODS, Denominators

if TYPE_CHECKING:
    from typing_extensions import Self

    from multilevel.optimize.common.fit_record import FitRecord
    from multilevel.optimize.common.fitted_model import FittedModel


class Estimates:
    """A model, its fit and the options of its tests.

    Each theme of the results is a class of methods over these attributes. The methods
    below are what the results of a linear and of a generalized model say themselves.
    """

    model: Any
    fit_record: FitRecord
    ddf_method: str
    use_t: bool
    # statsmodels' constructor and cached attributes provide these.
    params: FloatVector
    bse: FloatVector
    tvalues: FloatVector

    @property
    def _fitted(self) -> FittedModel:
        """Design and estimates as one value."""
        raise NotImplementedError

    def _tested_by(self, ddf_method: str) -> Self:
        """These estimates with tests by another method."""
        raise NotImplementedError

    @cached_property
    def _denominators(self) -> Denominators:
        """Degrees of freedom of contrasts of the columns that were kept."""
        return DDF_METHODS[self.ddf_method].function(self._fitted)

    def _fit_pooled(self) -> Any:
        """statsmodels' results of the same model without random terms."""
        raise NotImplementedError
