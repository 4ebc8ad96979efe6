"""One table of text, and the three ways to show it.

Held by tests/display/test_frame_table.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

_SHORTEST_STUB = 12
# Inline, because notebooks strip style sheets; no colours, for dark themes.
TABLE_STYLE = (
    "border-collapse:collapse;margin:0.6em 0;font-variant-numeric:tabular-nums;"
    "border-top:1px solid;border-bottom:1px solid"
)
_CAPTION_STYLE = "text-align:left;font-weight:bold;padding:0.3em 0;white-space:nowrap"
_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def latex_text(text: str) -> str:
    r"""Escape what LaTeX would take for markup.

    Examples
    --------
    >>> print(latex_text("y ~ x_1"))
    y \textasciitilde{} x\_1
    """
    return "".join(_LATEX_SPECIAL.get(character, character) for character in text)


def caption(title: str) -> str:
    """A ``<caption>`` element, if there is a title."""
    if not title:
        return ""
    return f'<caption style="{_CAPTION_STYLE}">{escape(title)}</caption>'


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table whose cells are ready text.

    Attributes
    ----------
    header : tuple of str
    rows : tuple of tuple of str
    left : int
        The first `left` columns are aligned to the left, the others to the right.
    title : str

    Examples
    --------
    >>> print(TextTable(("Effect", "Estimate"), (("Days", "10.47"),), left=1).as_text())
     Effect  Estimate
     Days       10.47
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    title: str = ""

    def as_text(self, max_width: int = 100) -> str:
        """Lines with aligned columns, the title above them.

        Parameters
        ----------
        max_width : int
            Where a line would be longer, a long first cell gets a line of its own.
        """
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        beside = sum(widths[1:]) + 2 * len(widths[1:]) + 1
        widths[0] = min(widths[0], max(max_width - beside, _SHORTEST_STUB))
        body = [text for line in lines for text in self._text_lines(line, widths)]
        return "\n".join([self.title, *body] if self.title else body)

    def _text_lines(self, line: tuple[str, ...], widths: list[int]) -> list[str]:
        """One line, or two if the first cell is too long for its column."""
        above = []
        if len(line[0]) > widths[0]:
            above, line = [f" {line[0]}"], ("", *line[1:])
        cells = (
            cell.ljust(width) if i < self.left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        return [*above, " " + "  ".join(cells).rstrip()]

    def as_html(self) -> str:
        """A ``<table>`` element."""
        head = self._html_row(self.header, "th")
        body = "".join(self._html_row(row, "td") for row in self.rows)
        return (
            f'<table class="simpletable" style="{TABLE_STYLE}">'
            f"{caption(self.title)}"
            f"<thead>{head}</thead><tbody>{body}</tbody></table>"
        )

    def _html_row(self, cells: tuple[str, ...], tag: str) -> str:
        rule = ";border-bottom:1px solid" if tag == "th" else ""
        written = (
            f'<{tag} style="text-align:{"left" if i < self.left else "right"};'
            f'padding:0.15em 0.6em{rule}">{escape(cell)}</{tag}>'
            for i, cell in enumerate(cells)
        )
        return f"<tr>{''.join(written)}</tr>"

    def as_latex(self) -> str:
        """A ``tabular`` environment with the rules of the booktabs package."""
        columns = "l" * self.left + "r" * (len(self.header) - self.left)
        lines = [self._latex_row(row) for row in self.rows]
        body = "\n".join([self._latex_row(self.header), r"\midrule", *lines])
        table = (
            f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{body}\n"
            "\\bottomrule\n\\end{tabular}"
        )
        if not self.title:
            return table
        return f"\\textbf{{{latex_text(self.title)}}}\n\n{table}"

    @staticmethod
    def _latex_row(cells: tuple[str, ...]) -> str:
        escaped = (latex_text(cell) for cell in cells)
        # A minus sign, not a hyphen, before numbers.
        signed = (re.sub(r"^-(?=\d)", "$-$", cell) for cell in escaped)
        # A bracket after the end of a line would be taken for its argument.
        line = re.sub(r"^\[", "{[}", " & ".join(signed))
        return line + r" \\"
