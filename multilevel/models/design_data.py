"""What statsmodels' inherited code asks of ``model.data``.

Held by tests/models/test_nothing_changes_from_outside.py.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.base.data import PandasData

from multilevel.design.model_design import ModelDesign
from multilevel.design.patsy_view import design_info
from multilevel.likelihood.rows.column_basis import constant_column


class DesignData(PandasData):
    """A view of a design through statsmodels' data attributes.

    The constructor of the base class is not called: it would copy and check again
    what the design has already made sure of.

    Parameters
    ----------
    design : ModelDesign
    """

    def __init__(self, design: ModelDesign) -> None:
        self._cache: dict[str, object] = {}
        self.design = design
        self.endog = design.y
        self.exog = design.exog
        self.ynames = design.response

    @property
    def xnames(self) -> list[str]:
        """Names of the fixed-effects columns."""
        return list(self.design.exog_names)

    @cached_property
    def const_idx(self) -> int | None:
        """Position of the constant column, whatever it is called; None without one."""
        position = constant_column(self.exog)
        return position if position >= 0 else None

    @property
    def k_constant(self) -> int:
        """Number of constant columns that count: 1 or 0."""
        return 0 if self.const_idx is None else 1

    @property
    def design_info(self) -> Any:
        """patsy's `DesignInfo` of the fixed-effects columns and their terms."""
        return design_info(self.design)

    @property
    def model_spec(self) -> Any:
        """`design_info`, under its name since statsmodels 0.15."""
        return design_info(self.design)

    def wrap_output(self, obj: Any, how: Any = "columns", names: Any = None) -> Any:
        """Labels on a copy: before pandas 3 a Series changes with its array."""
        mine = obj.copy() if isinstance(obj, np.ndarray) else obj
        return super().wrap_output(mine, how, names)

    @property
    def row_labels(self) -> pd.Index:
        """Labels of the rows used."""
        return self.design.index

    @property
    def orig_endog(self) -> pd.Series:
        """The response with its row labels."""
        return pd.Series(self.endog, index=self.row_labels, name=self.ynames)

    @property
    def orig_exog(self) -> pd.DataFrame:
        """The fixed-effects columns with their names."""
        return pd.DataFrame(self.exog, index=self.row_labels, columns=self.xnames)
