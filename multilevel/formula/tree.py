"""The syntax tree of a formula, and the place of every piece in the text.

Held by tests/formula/test_formula_parsing.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from multilevel.errors import FormulaError

VARIABLE = "variable"
NUMBER = "number"
BARS = ("|", "||")


@dataclass(frozen=True, slots=True)
class Node:
    """An operator with its operands, or a leaf.

    Attributes
    ----------
    kind : str
        The operator, or ``"variable"`` (any Python expression) or ``"number"``.
    code : str
        A leaf's text with normal spacing; empty for operators.
    start, end : int
        Place in the formula, including parentheses around the piece.
    parenthesized : bool
        True if the piece is wrapped in parentheses of its own.
    args : tuple of Node
        The operands.
    """

    kind: str
    code: str
    start: int
    end: int
    parenthesized: bool
    args: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """The node and everything below it."""
        yield self
        for arg in self.args:
            yield from arg.walk()


@dataclass(frozen=True, slots=True)
class Source:
    """The formula's text, for showing where something is wrong.

    Attributes
    ----------
    text : str
        The whole formula, on one line.
    """

    text: str

    def piece(self, node: Node) -> str:
        """The text of a node as written, parentheses included."""
        return self.text[node.start : node.end]

    def error(
        self, message: str, start: int, end: int, hint: str | None = None
    ) -> FormulaError:
        """An error with carets under ``text[start:end]``, to be raised."""
        return FormulaError(message, text=self.text, start=start, end=end, hint=hint)

    def error_at(
        self, node: Node, message: str, hint: str | None = None
    ) -> FormulaError:
        """An error with carets under a node, to be raised."""
        return self.error(message, node.start, node.end, hint)


def locate(text: str, piece: str) -> tuple[int, int] | None:
    """Where an expression or a name occurs in a formula.

    Parameters
    ----------
    text : str
        The formula as written.
    piece : str
        An expression, possibly with other spacing.

    Returns
    -------
    (start, end) or None
        The first place where it stands as a word of its own.

    Examples
    --------
    >>> locate("y ~ xx + log( x )", "x")
    (14, 15)
    >>> locate("y ~ xx + log( x )", "log(x)")
    (9, 17)
    """
    characters = [re.escape(character) for character in piece if character != " "]
    pattern = r"\s*".join(characters)
    match = re.search(rf"(?<![\w.]){pattern}(?!\w)", text)
    return (match.start(), match.end()) if match else None
