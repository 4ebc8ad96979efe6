"""statsmodels' `LikelihoodModel` contract, once for every mixed model.

Held by tests/models/test_nothing_changes_from_outside.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from statsmodels.base.model import LikelihoodModel

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.estimability import EstimableSpace
from multilevel.design.fixed_effects import linear_constraints
from multilevel.design.formula_text import formula_text
from multilevel.design.model_design import ModelDesign
from multilevel.design.read_only import read_only
from multilevel.models.design_data import DesignData
from multilevel.models.saved_fit import write_fit

if TYPE_CHECKING:
    from typing_extensions import Self


class MixedModel(LikelihoodModel):
    """A design, seen as a statsmodels model; nothing of a fit is ever stored here.

    The constructors of the base classes are not called: what they would check and
    copy, the design has.
    """

    design: ModelDesign

    def _take(self, design: ModelDesign) -> None:
        """Set the attributes that statsmodels' code looks for."""
        self.design = read_only(design)
        self.data = DesignData(design)
        self.endog = design.y
        self.exog = design.exog
        self._data_attr: list[str] = []
        self._init_keys: list[str] = []

    @classmethod
    def _of(cls, design: ModelDesign) -> Self:
        """The model of a design that is there already."""
        model = cls.__new__(cls)
        model._take(design)
        return model

    @property
    def formula(self) -> str:
        """The formula as written, or one that says what the arrays were."""
        return formula_text(self.design)

    @property
    def k_constant(self) -> int:
        """1 if a fixed-effects column is constant, else 0."""
        return self.data.k_constant

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return len(self.design.y)

    @property
    def df_model(self) -> int:
        """Fixed effects, without aliased ones and the intercept."""
        return len(self.design.kept) - self.k_constant

    @property
    def df_resid(self) -> int:
        """Rows less fixed effects."""
        return self.nobs - len(self.design.kept)

    def linear_constraints(self, hypotheses: Any) -> tuple[FloatMatrix, FloatVector]:
        """Read hypotheses about fixed effects.

        Parameters
        ----------
        hypotheses : str, array_like, tuple (R, q), dict or list of str
            What statsmodels' `t_test` accepts.

        Returns
        -------
        L : (rows, columns of exog)
        q : (rows,)

        Raises
        ------
        FormulaError
            For what cannot be read.
        """
        return linear_constraints(hypotheses, self.data.xnames)

    def information(self, params: FloatVector) -> FloatMatrix:
        """Observed information: minus the Hessian of the log-likelihood.

        Parameters
        ----------
        params : (p + m + 1,)
            [beta, theta, sigma].

        Returns
        -------
        (p + m + 1, p + m + 1) array
        """
        return -np.asarray(self.hessian(params))

    def predict(self, params: Any, exog: Any = None, **kwargs: Any) -> FloatVector:
        """X beta for given fixed effects, statsmodels' low-level method.

        Parameters
        ----------
        params : (columns of exog,)
            Fixed effects; NaN for aliased columns counts as zero.
        exog : (rows, columns of exog), optional
            The model's own by default.

        Returns
        -------
        (rows,) array
            NaN for given rows that are not estimable.
        """
        columns = self.exog if exog is None else np.asarray(exog, dtype=float)
        mean = columns @ np.nan_to_num(np.asarray(params, dtype=float))
        if exog is not None and len(self.design.kept) < self.exog.shape[1]:
            space = EstimableSpace.of(self.exog, self.design.kept)
            mean = np.where(space.contains(np.atleast_2d(columns)), mean, np.nan)
        return np.asarray(mean)

    def saved_options(self) -> dict[str, Any]:
        """What a saved fit needs besides the design: plain values."""
        return {}

    def write_fit(self, path: str | Path, fit: Any, ddf_method: str) -> None:
        """Write an estimate of this model to a file that `multilevel.load` reads."""
        write_fit(path, self, fit, ddf_method)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._of, (self.design,)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.formula}, {self.nobs} rows>"
