"""Labelled facts about one thing, a line each: text, HTML, LaTeX.

Held by tests/display/test_frame_table.py.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from html import escape

from multilevel.display.shown import Shown
from multilevel.display.text_table import TABLE_STYLE, caption, latex_text

_LABEL = "text-align:left;white-space:nowrap;padding:0.15em 0.6em"
_TEXT = "text-align:left;padding:0.15em 0.6em"


@dataclass(frozen=True, slots=True)
class FactTable(Shown):
    """Labels and texts.

    Parameters
    ----------
    facts : tuple of (label, text)
    title : str

    Examples
    --------
    >>> print(FactTable((("null", "chi2(1)"), ("p", "0.02")), "A test"))
    A test
      null  chi2(1)
      p     0.02
    """

    facts: tuple[tuple[str, str], ...]
    title: str = ""

    def lines(self, gap: int = 2, max_width: int | None = None) -> list[str]:
        """One line for each fact, long ones wrapped.

        Parameters
        ----------
        gap : int
            Between the longest label and the texts.
        max_width : int, optional
        """
        stub = max((len(label) for label, _ in self.facts), default=0) + gap
        lines = []
        for label, text in self.facts:
            width = None if max_width is None else max_width - stub
            first, *others = _wrapped(text, width)
            lines.append(label.ljust(stub) + first)
            lines += [" " * stub + line for line in others]
        return lines

    def as_text(self) -> str:
        """The title, and below it the facts."""
        return "\n  ".join([self.title, *self.lines()])

    def as_html(self) -> str:
        """A ``<table>`` element."""
        body = "".join(
            f'<tr><th style="{_LABEL}">{escape(label)}</th>'
            f'<td style="{_TEXT}">{escape(text)}</td></tr>'
            for label, text in self.facts
        )
        return (
            f'<table class="simpletable" style="{TABLE_STYLE}">'
            f"{caption(self.title)}<tbody>{body}</tbody></table>"
        )

    def as_latex(self) -> str:
        """A ``tabular`` environment with the rules of the booktabs package."""
        facts = "\n".join(
            rf"{latex_text(label)} & {latex_text(text)} \\"
            for label, text in self.facts
        )
        return (
            "\\begin{tabular}{lp{0.75\\textwidth}}\n\\toprule\n"
            f"{facts}\n\\bottomrule\n\\end{{tabular}}"
        )


def _wrapped(text: str, width: int | None) -> list[str]:
    """Lines of at most that width; one at least."""
    if width is None:
        return [text]
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return lines or [""]
