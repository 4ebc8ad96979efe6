"""An explanation in plain words: a verdict, and what belongs to it under headings.

Held by tests/display/test_explanation.py.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from html import escape

from multilevel.display.shown import Shown
from multilevel.display.text_table import latex_text

_WIDTH = 78


@dataclass(frozen=True, slots=True)
class Point:
    """One paragraph of an explanation.

    Parameters
    ----------
    text : str
    mark : str
        What stands in front of it, as ``"1."`` or the outcome of a check.
    code : str
        What is typed, on a line of its own and never broken.
    """

    text: str
    mark: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Explanation(Shown):
    """A title, a verdict and paragraphs under headings.

    Parameters
    ----------
    title : str
    verdict : str
        The whole in a sentence or two.
    sections : tuple of (heading, tuple of Point)

    Examples
    --------
    >>> points = (Point("it is level", mark="ok"), Point("try", code="y ~ 1"))
    >>> print(Explanation("A fit", "It converged.", (("Checks", points),)))
    A fit
    It converged.
    <BLANKLINE>
    Checks
      ok  it is level
          try
              y ~ 1
    """

    title: str
    verdict: str
    sections: tuple[tuple[str, tuple[Point, ...]], ...] = ()

    def as_text(self) -> str:
        """For a terminal, at most 78 characters wide where code allows it."""
        lines = [
            *textwrap.wrap(self.title, _WIDTH),
            *textwrap.wrap(self.verdict, _WIDTH),
        ]
        for heading, points in self.sections:
            lines += ["", heading]
            stub = max((len(point.mark) for point in points), default=0)
            for point in points:
                lines += _text_lines(point, stub)
        return "\n".join(lines)

    def as_html(self) -> str:
        """Paragraphs and lists."""
        parts = [f"<p><b>{escape(self.title)}</b></p><p>{escape(self.verdict)}</p>"]
        for heading, points in self.sections:
            items = "".join(f"<li>{_html(point)}</li>" for point in points)
            style = "list-style:none;padding-left:1em"
            parts.append(
                f'<p><b>{escape(heading)}</b></p><ul style="{style}">{items}</ul>'
            )
        return "<div>" + "".join(parts) + "</div>"

    def as_latex(self) -> str:
        """Paragraphs and ``description`` lists."""
        parts = [rf"\textbf{{{latex_text(self.title)}}}", latex_text(self.verdict)]
        for heading, points in self.sections:
            items = "\n".join(_latex(point) for point in points)
            parts.append(
                f"\\textbf{{{latex_text(heading)}}}\n"
                f"\\begin{{description}}\n{items}\n\\end{{description}}"
            )
        return "\n\n".join(parts)


def _text_lines(point: Point, stub: int) -> list[str]:
    """The paragraph, indented behind its mark, and its code below it."""
    indent = " " * (2 + stub + (2 if stub else 0))
    first = f"  {point.mark.ljust(stub)}  " if stub else "  "
    lines = textwrap.wrap(
        point.text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines + ([f"{indent}    {point.code}"] if point.code else [])


def _html(point: Point) -> str:
    mark = f"<b>{escape(point.mark)}</b> " if point.mark else ""
    code = f"<br><code>{escape(point.code)}</code>" if point.code else ""
    return mark + escape(point.text) + code


def _latex(point: Point) -> str:
    code = rf" \texttt{{{latex_text(point.code)}}}" if point.code else ""
    return rf"\item[{latex_text(point.mark)}] {latex_text(point.text)}{code}"
