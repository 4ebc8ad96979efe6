"""One table of text, and the three ways to show it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

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

    def as_text(self) -> str:
        """Lines with aligned columns, the title above them."""
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        body = [" " + "  ".join(self._padded(line, widths)).rstrip() for line in lines]
        return "\n".join([self.title, *body] if self.title else body)

    def _padded(self, line: tuple[str, ...], widths: list[int]) -> list[str]:
        return [
            cell.ljust(width) if i < self.left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]

    def as_html(self) -> str:
        """A ``<table>`` element."""
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        head = self._html_row(self.header, "th")
        body = "".join(self._html_row(row, "td") for row in self.rows)
        return (
            f'<table class="simpletable">{caption}<thead>{head}</thead>'
            f"<tbody>{body}</tbody></table>"
        )

    def _html_row(self, cells: tuple[str, ...], tag: str) -> str:
        aligned = (
            f'<{tag} style="text-align:{"left" if i < self.left else "right"}">'
            f"{escape(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )
        return f"<tr>{''.join(aligned)}</tr>"

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
        return " & ".join(signed) + r" \\"
