"""A statsmodels `Summary` that is laid out here: facts, tables and notes.

Held by tests/reporting/test_fit_summary.py.
"""

from __future__ import annotations

import textwrap
from html import escape
from typing import Any

from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable

from multilevel.display.fact_table import FactTable
from multilevel.display.frame_table import FrameTable
from multilevel.display.text_table import TextTable, latex_text

_WIDTH = 78
_WIDEST_TABLE = 100


class SummaryDocument(Summary):
    """Title, labelled facts, tables and closing lines, as text, HTML and LaTeX.

    Parameters
    ----------
    title : str
    facts : list of (label, text)
        Long texts are wrapped.
    sections : list of FrameTable
    notes : list of str
        One paragraph each.

    Examples
    --------
    >>> import pandas as pd
    >>> from multilevel.display.frame_table import FrameTable
    >>> slopes = pd.DataFrame({"effect": ["Days"], "estimate": [10.4673]})
    >>> table = FrameTable(slopes)
    >>> print(SummaryDocument("A fit", [("Formula", "y ~ x")], [table], ["Converged."]))
    A fit
    ==============================================================================
    Formula    y ~ x
    ------------------------------------------------------------------------------
     Effect  Estimate
     Days       10.47
    ------------------------------------------------------------------------------
    Converged.
    """

    def __init__(
        self,
        title: str,
        facts: list[tuple[str, str]],
        sections: list[FrameTable],
        notes: list[str],
    ) -> None:
        super().__init__()
        self.title = title
        self.facts = facts
        self.sections = [section.layout for section in sections]
        self.notes = notes
        self.extra_txt = "\n".join(notes)
        self.tables = [_simple_table(section) for section in self.sections]

    def as_text(self) -> str:
        """The summary for a terminal."""
        blocks = [section.as_text(_WIDEST_TABLE) for section in self.sections]
        width = max(_WIDTH, *(len(line) for b in blocks for line in b.splitlines()))
        notes = [textwrap.fill(note, _WIDTH) for note in self.notes]
        parts = [
            *textwrap.wrap(self.title, _WIDTH),
            "=" * width,
            *self._fact_table.lines(gap=3, max_width=_WIDTH),
            "-" * width,
            "\n\n".join(blocks),
            "-" * width,
            *notes,
        ]
        return "\n".join(parts)

    @property
    def _fact_table(self) -> FactTable:
        return FactTable(tuple(self.facts))

    def as_html(self) -> str:
        """The summary as a ``<div>`` for notebooks."""
        title = escape(self.title)
        tables = "".join(section.as_html() for section in self.sections)
        notes = "<br>".join(escape(note) for note in self.notes)
        return (
            f'<div class="multilevel-summary"><p><strong>{title}</strong></p>'
            f"{self._fact_table.as_html()}{tables}<p>{notes}</p></div>"
        )

    def as_latex(self, label: str = "") -> str:
        """The summary as LaTeX; the tables need the package booktabs."""
        title = rf"\textbf{{{latex_text(self.title)}}}" + (
            rf"\label{{{label}}}" if label else ""
        )
        head = self._fact_table.as_latex()
        sections = [section.as_latex() for section in self.sections]
        notes = [latex_text(note) for note in self.notes]
        return "\n\n".join([title, head, *sections, *notes])

    def as_csv(self) -> str:
        """The facts and tables, separated by commas."""
        rows: list[tuple[str, ...]] = [(self.title,), *self.facts]
        for section in self.sections:
            rows += [(section.title,), section.header, *section.rows]
        rows += [(note,) for note in self.notes]
        return "\n".join(",".join(_csv_cell(cell) for cell in row) for row in rows)


def _csv_cell(text: str) -> str:
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if set(text) & set(',"') else text


def _simple_table(section: TextTable) -> Any:
    """The same table as statsmodels' own, for code that looks into `tables`."""
    return SimpleTable(
        [list(row) for row in section.rows],
        headers=list(section.header),
        title=section.title,
    )
