"""A table of results: a data frame that prints, in text, HTML and LaTeX.

Held by tests/display/test_frame_table.py.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from multilevel.display.column_formats import HEADINGS, ColumnFormat, format_of
from multilevel.display.shown import Shown
from multilevel.display.text_table import TextTable, latex_text

_WIDTH = 78
_WIDEST_TABLE = 100


@dataclass(frozen=True, slots=True, eq=False)
class FrameTable(Shown):
    """Numbers in a data frame, and how they are shown; it cannot be changed.

    Parameters
    ----------
    frame : DataFrame
        Row labels that only count the rows are not shown.
    title : str
    notes : tuple of str
        One paragraph each, below the table.
    headings : mapping of str to str
        Column -> what stands above it, where that is not in `HEADINGS`.
    formats : mapping of str to ColumnFormat
        Column -> how it is written, where that is not as in `COLUMN_FORMATS`.
    digits : int
        Significant digits of standard errors, and of numbers without one.

    Examples
    --------
    >>> tests = pd.DataFrame(
    ...     {"F": [12.25, 0.5], "df_num": [1, 2], "df_denom": [17.0, 161.98],
    ...      "pvalue": [0.00274, 0.607]}, index=["Days", "drug"])
    >>> print(FrameTable(tests, "Tests of terms:", ("Type 3.",)))
    Tests of terms:
               F  df_num  df_denom      p
     Days  12.25       1      17.0  0.003
     drug   0.50       2     162.0  0.607
    Type 3.
    """

    _frame: pd.DataFrame = field(repr=False)
    title: str = ""
    notes: tuple[str, ...] = ()
    headings: Mapping[Any, str] = field(default_factory=dict, repr=False)
    formats: Mapping[Any, ColumnFormat] = field(default_factory=dict, repr=False)
    digits: int = field(default=4, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_frame", self._frame.copy())

    @property
    def frame(self) -> pd.DataFrame:
        """The numbers, as a data frame of your own."""
        return self._frame.copy()

    @property
    def layout(self) -> TextTable:
        """The same with all cells as text."""
        columns = dict(self._frame.items())
        texts = {
            name: self.formats.get(name, format_of(columns, name))(
                columns, name, self.digits
            )
            for name in columns
        }
        labels = self._row_labels()
        numeric = (*(is_numeric_dtype(own.dtype) for own in columns.values()), True)
        return TextTable(
            tuple(map(self._heading, (*labels, *texts))),
            tuple(zip(*labels.values(), *texts.values(), strict=True)),
            left=len(labels) or numeric.index(True),
            title=self.title,
        )

    def _row_labels(self) -> dict[Any, list[str]]:
        """The columns of row labels, by name; none if the rows are only counted."""
        index = self._frame.index
        if isinstance(index, pd.RangeIndex):
            return {}
        levels = [index.get_level_values(level) for level in range(index.nlevels)]
        names = [name or " " * level for level, name in enumerate(index.names)]
        return {
            name: list(map(str, level))
            for name, level in zip(names, levels, strict=True)
        }

    def _heading(self, name: Any) -> str:
        return self.headings.get(name, HEADINGS.get(name, str(name))).strip()

    def as_text(self, max_width: int = _WIDEST_TABLE) -> str:
        """For a terminal, with lines of at most `max_width` characters if possible."""
        notes = [textwrap.fill(note, _WIDTH) for note in self.notes]
        return "\n".join([self.layout.as_text(max_width), *notes])

    def as_html(self) -> str:
        """A ``<table>`` element, with a paragraph for each note."""
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return self.layout.as_html() + notes

    def as_latex(self) -> str:
        """A ``tabular`` environment with the rules of the booktabs package."""
        return "\n\n".join([self.layout.as_latex(), *map(latex_text, self.notes)])
