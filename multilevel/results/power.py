"""Simulated power as a value: a table, and its picture.

Held by tests/simulation/test_power.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from multilevel.display.frame_table import FrameTable
from multilevel.display.shown import ShownAsTable

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True, eq=False)
class Power(ShownAsTable):
    """What `multilevel.power` returns; prints as a table, HTML in notebooks.

    Attributes
    ----------
    frame : DataFrame
        A row for each size: `groups`, `size`, `power`, `lower`, `upper`, `n_failed`.
    test, formula : str
        As given.
    """

    _table: FrameTable = field(repr=False)
    test: str
    formula: str

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        test: str,
        formula: str,
        *,
        alpha: float,
        notes: tuple[str, ...],
        n: int,
    ) -> Self:
        """The table of simulated studies."""
        title = f"Power of the test of {test} at level {alpha:g}:"
        about = f"{formula}; {n} simulated studies a row, limits of 95 % (exact)."
        frame = frame.dropna(axis="columns", how="all")
        return cls(FrameTable(frame, title, (about, *notes)), test, formula)

    @property
    def frame(self) -> pd.DataFrame:
        """The numbers, as a data frame of your own."""
        return self._table.frame

    def as_table(self) -> FrameTable:
        """What is printed."""
        return self._table

    def plot(self, ax: Any = None) -> Any:
        """Power curves with Monte Carlo limits, a line for each size.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            New ones by default.

        Returns
        -------
        Axes
        """
        from multilevel.plots.power_curves import power_curves

        return power_curves(self.frame, ax, title=f"Test of {self.test}")
