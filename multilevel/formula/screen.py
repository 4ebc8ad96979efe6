"""Checks and rewriting of a formula's characters, before patsy reads them.

patsy's tokenizer knows neither ``||`` nor R's ``^``, and its complaint about a bracket
depends on the version of Python; all three are settled here. Every rewriting keeps the
length, so that carets stay in place.

Held by tests/formula/test_formula_errors.py.
"""

from __future__ import annotations

from multilevel.formula.tree import Source

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_OPENING = {closing: opening for opening, closing in _CLOSING.items()}


def mask_quotes(source: Source) -> str:
    """The text with every quoted character replaced by a blank.

    Raises
    ------
    FormulaError
        For a quotation mark without its partner.

    Examples
    --------
    >>> mask_quotes(Source('y ~ Q("a | b") + x'))
    'y ~ Q(       ) + x'
    """
    characters = list(source.text)
    quote, start = "", 0
    escaped = False
    for position, character in enumerate(source.text):
        if quote:
            characters[position] = " "
            if character == quote and not escaped:
                quote = ""
            escaped = character == "\\" and not escaped
        elif character in "\"'":
            quote, start = character, position
            characters[position] = " "
    if quote:
        raise source.error(
            f"the quotation mark {quote} is never closed",
            start,
            len(source.text),
            f"add {quote} where the name ends",
        )
    return "".join(characters)


def call_depths(masked: str, source: Source) -> list[int]:
    """For each character the number of calls, subscripts and braces around it.

    Parameters
    ----------
    masked : str
        The text without its quotes.
    source : Source
        The text, for errors.

    Returns
    -------
    list of int
        Plain parentheses do not count: ``(x | g)`` has depth 0 throughout.

    Raises
    ------
    FormulaError
        For brackets without a partner.
    """
    depths = []
    open_brackets: list[tuple[str, int, bool]] = []
    depth = 0
    for position, character in enumerate(masked):
        if character in _OPENING:
            depth -= _closed_bracket_is_call(character, position, open_brackets, source)
        depths.append(depth)
        if character in _CLOSING:
            is_call = depth > 0 or character != "(" or _ends_a_name(masked[:position])
            open_brackets.append((character, position, is_call))
            depth += is_call
    if open_brackets:
        bracket, position, _ = open_brackets[-1]
        raise source.error(
            f"the bracket {bracket!r} is never closed",
            position,
            position + 1,
            f"add {_CLOSING[bracket]!r} where it ends",
        )
    return depths


def _closed_bracket_is_call(
    character: str,
    position: int,
    open_brackets: list[tuple[str, int, bool]],
    source: Source,
) -> bool:
    if not open_brackets:
        raise source.error(
            f"the bracket {character!r} was never opened",
            position,
            position + 1,
            f"remove it, or add {_OPENING[character]!r} where it begins",
        )
    bracket, start, is_call = open_brackets.pop()
    if _CLOSING[bracket] != character:
        raise source.error(
            f"the bracket {bracket!r} is closed by {character!r}",
            start,
            position + 1,
            f"write {_CLOSING[bracket]!r} instead",
        )
    return is_call


def _ends_a_name(text: str) -> bool:
    before = text.rstrip()
    return bool(before) and (before[-1].isalnum() or before[-1] in "_)]")


def refuse_r_spelling(masked: str, depths: list[int], source: Source) -> None:
    """Refuse what R writes and Python reads differently, saying what to write.

    Raises
    ------
    FormulaError
        For ``^``, ``%in%``, backticks, and ``//`` between terms.
    """
    for position, character in enumerate(masked):
        if character == "^":
            raise source.error(
                "'^' is not a power in Python",
                position,
                position + 1,
                _power_hint(masked, position),
            )
        if character == "`":
            raise source.error(
                "backticks do not quote a name here",
                position,
                position + 1,
                'write Q("the name")',
            )
        if character in "$?;@!" and not masked.startswith("!=", position):
            raise source.error(
                f"{character!r} has no meaning in a formula",
                position,
                position + 1,
                "name the columns of the data as they are; "
                "other names are quoted as Q('the name')",
            )
        if masked.startswith("%in%", position):
            raise source.error(
                "'%in%' is not known",
                position,
                position + 4,
                "write a:b for b within a, and a/b for a + a:b",
            )
        if masked.startswith("//", position) and not depths[position]:
            raise source.error(
                "'//' cannot stand between terms",
                position,
                position + 2,
                "write I(x // 2) for a division without remainder",
            )


def _power_hint(masked: str, position: int) -> str:
    left = position
    while left and (masked[left - 1].isalnum() or masked[left - 1] in "_. "):
        left -= 1
    right = position + 1
    while right < len(masked) and (masked[right].isalnum() or masked[right] in "_. "):
        right += 1
    base = masked[left:position].strip()
    exponent = masked[position + 1 : right].strip()
    if base and exponent:
        return f"write I({base}**{exponent}) for the power of a number"
    return (
        "write I(x**2) for the power of a number, and (a + b)**2 for all interactions "
        "of two"
    )


def join_double_bars(masked: str, depths: list[int], text: str) -> str:
    """The text with ``||`` outside of quotes and calls written ``//``, one token.

    Examples
    --------
    >>> text = "y ~ (x || g)"
    >>> join_double_bars(text, [0] * len(text), text)
    'y ~ (x // g)'
    """
    characters = list(text)
    for position in range(len(masked) - 1):
        if masked[position : position + 2] == "||" and not depths[position]:
            characters[position : position + 2] = "//"
            masked = masked[:position] + "//" + masked[position + 2 :]
    return "".join(characters)
