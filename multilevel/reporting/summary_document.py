"""A statsmodels `Summary` that is laid out here: facts, tables and notes."""

from __future__ import annotations

import textwrap
from html import escape
from typing import Any

from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable

from multilevel.display.text_table import TABLE_STYLE, TextTable, latex_text

_WIDTH = 78
_WIDEST_TABLE = 100


class SummaryDocument(Summary):
    """Title, labelled facts, tables and closing lines, as text, HTML and LaTeX.

    Parameters
    ----------
    title : str
    facts : list of (label, text)
        Long texts are wrapped.
    sections : list of TextTable
    notes : list of str
        One paragraph each.

    Examples
    --------
    >>> from multilevel.display.text_table import TextTable
    >>> table = TextTable(("Effect", "Estimate"), (("Days", "10.47"),))
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
        sections: list[TextTable],
        notes: list[str],
    ) -> None:
        super().__init__()
        self.title = title
        self.facts = facts
        self.sections = sections
        self.notes = notes
        self.extra_txt = "\n".join(notes)
        self.tables = [_simple_table(section) for section in sections]

    def as_text(self) -> str:
        """The summary for a terminal."""
        blocks = [section.as_text(_WIDEST_TABLE) for section in self.sections]
        width = max(_WIDTH, *(len(line) for b in blocks for line in b.splitlines()))
        notes = [textwrap.fill(note, _WIDTH) for note in self.notes]
        parts = [
            *textwrap.wrap(self.title, _WIDTH),
            "=" * width,
            *self._fact_lines(),
            "-" * width,
            "\n\n".join(blocks),
            "-" * width,
            *notes,
        ]
        return "\n".join(parts)

    def _fact_lines(self) -> list[str]:
        stub = max(len(label) for label, _ in self.facts) + 3
        lines = []
        for label, text in self.facts:
            wrapped = textwrap.wrap(
                text, _WIDTH - stub, break_long_words=False, break_on_hyphens=False
            )
            lines.append(label.ljust(stub) + (wrapped[0] if wrapped else ""))
            lines += [" " * stub + line for line in wrapped[1:]]
        return lines

    def as_html(self) -> str:
        """The summary as a ``<div>`` for notebooks."""
        facts = "".join(
            f'<tr><th style="text-align:left;white-space:nowrap;padding:0.15em 0.6em">'
            f'{escape(label)}</th><td style="text-align:left;padding:0.15em 0.6em">'
            f"{escape(text)}</td></tr>"
            for label, text in self.facts
        )
        title = escape(self.title)
        tables = "".join(section.as_html() for section in self.sections)
        notes = "<br>".join(escape(note) for note in self.notes)
        return (
            f'<div class="multilevel-summary"><p><strong>{title}</strong></p>'
            f'<table class="simpletable" style="{TABLE_STYLE}">'
            f"<tbody>{facts}</tbody></table>{tables}<p>{notes}</p></div>"
        )

    def as_latex(self, label: str = "") -> str:
        """The summary as LaTeX; the tables need the package booktabs."""
        facts = "\n".join(
            rf"{latex_text(label)} & {latex_text(text)} \\"
            for label, text in self.facts
        )
        title = rf"\textbf{{{latex_text(self.title)}}}" + (
            rf"\label{{{label}}}" if label else ""
        )
        head = (
            "\\begin{tabular}{lp{0.75\\textwidth}}\n\\toprule\n"
            f"{facts}\n\\bottomrule\n\\end{{tabular}}"
        )
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
