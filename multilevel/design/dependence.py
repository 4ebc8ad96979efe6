"""What the pieces of an expression look at: nothing, their own row, other rows.

Held by tests/design/test_gaps_in_expressions.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from multilevel.design.known_functions import SHAPING_OPTIONS


class Dependence(IntEnum):
    """What the value of a piece of an expression looks at."""

    CONSTANT = 0  # one value, written down or learned
    LISTED = 1  # several such values, for a function's argument
    ROWS = 2  # a value per row, each of its own row
    PART = 3  # such values of some of the rows, as x[g == 0], to take a mean of
    WHOLE = 4  # perhaps of other rows


CONSTANT, LISTED, ROWS, PART, WHOLE = Dependence


def joined(*pieces: Dependence) -> Dependence:
    """Of a value that is computed from several, row by row."""
    found = max(pieces, default=CONSTANT)
    # A list written in the formula is matched with the rows by position, and some rows
    # with all of them by label.
    is_mixed = found >= ROWS and LISTED in pieces
    return WHOLE if is_mixed or (found == PART and ROWS in pieces) else found


@dataclass(frozen=True, slots=True)
class CallPieces:
    """What the arguments of a call look at.

    Attributes
    ----------
    args, options : tuple of Dependence
        By position, by name.
    names : frozenset of str
        Of the options.
    """

    args: tuple[Dependence, ...]
    options: tuple[Dependence, ...]
    names: frozenset[str | None]

    @property
    def first(self) -> Dependence:
        """Of the first argument."""
        return self.args[0] if self.args else CONSTANT

    @property
    def rest(self) -> Dependence:
        """Of all others."""
        return max([*self.args[1:], *self.options], default=CONSTANT)

    @property
    def largest(self) -> Dependence:
        """Of all."""
        return max(self.first, self.rest)

    @property
    def joined(self) -> Dependence:
        """Of what is computed from all of them row by row."""
        return joined(*self.args, *self.options)

    @property
    def is_of_first(self) -> bool:
        """Whether the first is a value per row, and the others are constants."""
        return self.first == ROWS and self.rest <= LISTED

    @property
    def is_shaped(self) -> bool:
        """Whether it has an option that makes it look along the rows."""
        return bool(self.names & SHAPING_OPTIONS)
