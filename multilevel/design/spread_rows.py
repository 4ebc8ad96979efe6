"""Complete rows back among all rows: NaN or -1 in those that miss something.

Held by tests/design/test_encoding_new_rows.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import BoolVector, FloatMatrix, IntVector
from multilevel.design.fixed_effects import ColumnPlan
from multilevel.design.variables import Variable


@dataclass(frozen=True, slots=True)
class Spread:
    """Puts values of the complete rows back among all rows.

    Attributes
    ----------
    n_rows : int
        All rows.
    rows : integers or None
        Positions of the complete ones; None for all.
    """

    n_rows: int
    rows: IntVector | None

    @property
    def missing(self) -> BoolVector:
        """Rows that miss something, (n_rows,)."""
        missing = np.zeros(self.n_rows, dtype=bool)
        if self.rows is not None:
            missing[:] = True
            missing[self.rows] = False
        return missing

    def columns(
        self, plan: ColumnPlan, variables: Mapping[str, Variable]
    ) -> FloatMatrix:
        """The plan's columns; NaN in the rows that miss something."""
        n_complete = self.n_rows if self.rows is None else len(self.rows)
        complete = np.empty((n_complete, len(plan.names)), order="F")
        if n_complete:
            plan.fill(complete, variables, range(len(plan.names)))
        if self.rows is None:
            return complete
        columns = np.full((self.n_rows, len(plan.names)), np.nan, order="F")
        columns[self.rows] = complete
        return columns

    def codes(self, complete: IntVector) -> IntVector:
        """Codes of all rows; -1 in the rows that miss something."""
        if self.rows is None:
            return complete
        codes = np.full(self.n_rows, -1, dtype=np.intp)
        codes[self.rows] = complete
        return codes
