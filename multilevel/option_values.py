"""What an option may be: one check a kind, with what was given in the message.

Held by tests/test_methods.py and tests/test_options.py.
"""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from multilevel.errors import DataError, MultilevelError

__all__ = ["as_count", "as_generator", "as_switch", "as_tail_share", "as_word"]


def as_count(value: Any, name: str, *, least: int = 1) -> int:
    """A whole number from `least` on.

    Raises
    ------
    DataError
        For anything else.

    Examples
    --------
    >>> from multilevel.option_values import as_count
    >>> as_count(10.0, "n")
    10
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if is_number and value == np.floor(value) and least <= value < np.inf:
        return int(value)
    raise DataError(f"{name}={value!r} is no whole number from {least} on")


def as_generator(seed: Any) -> np.random.Generator:
    """Random numbers from a seed.

    Parameters
    ----------
    seed : int, sequence of int, SeedSequence, Generator or None

    Raises
    ------
    DataError
        For what numpy takes for no seed.

    Examples
    --------
    >>> from multilevel.option_values import as_generator
    >>> as_generator(1).random() == as_generator(1).random()
    True
    """
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise DataError(
            f"seed={seed!r} is no seed; give a whole number from 0 on"
        ) from None


def as_switch(value: Any, name: str, hint: str = "") -> bool:
    """An option that is on or off: a boolean, or the numbers 0 and 1.

    Parameters
    ----------
    value : bool
        As given; numpy's booleans too.
    name : str
        Of the option.
    hint : str
        What to write instead of the usual mistake.

    Raises
    ------
    DataError
        For text, None and everything else, which Python would take for true or false.

    Examples
    --------
    >>> from multilevel.option_values import as_switch
    >>> as_switch(False, "reml")
    False
    """
    is_number = isinstance(value, numbers.Integral | np.bool_)
    if is_number and value in (0, 1):
        return bool(value)
    raise DataError(
        f"{name}={value!r} is neither True nor False" + (f"; {hint}" if hint else "")
    )


def as_tail_share(alpha: Any) -> float:
    """One minus the coverage of an interval, between 0 and 1.

    Raises
    ------
    DataError
        For anything else; a coverage in per cent is told.

    Examples
    --------
    >>> from multilevel.option_values import as_tail_share
    >>> as_tail_share(0.1)
    0.1
    """
    is_number = isinstance(alpha, numbers.Real) and not isinstance(alpha, bool)
    if is_number and 0.0 < float(alpha) < 1.0:
        return float(alpha)
    hint = "give alpha=0.05 for limits of 95 %"
    if is_number and 1.0 < float(alpha) < 100.0:
        coverage = float(alpha) if float(alpha) >= 50.0 else 100.0 - float(alpha)
        hint = f"give alpha={1.0 - coverage / 100.0:.6g} for limits of {coverage:g} %"
    raise DataError(
        f"alpha={alpha!r} is not between 0 and 1; it is one minus the coverage: {hint}"
    )


def as_word(
    value: Any,
    words: Iterable[str],
    name: str,
    *,
    of: str = "",
    error: type[MultilevelError] = DataError,
) -> str:
    """One of the words that an option knows.

    Parameters
    ----------
    value : str
    words : iterable of str
    name : str
        Of the option.
    of : str
        For what these are the words, where there are others for something else.
    error : type of MultilevelError

    Raises
    ------
    DataError or `error`
        For anything else, with the words that there are and the closest of them.

    Examples
    --------
    >>> from multilevel.option_values import as_word
    >>> as_word("drop", ("drop", "raise"), "missing")
    'drop'
    """
    known = list(words)
    if isinstance(value, str) and value in known:
        return value
    lowered = value.lower() if isinstance(value, str) else ""
    close = difflib.get_close_matches(lowered, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    listed = [repr(word) for word in known]
    many = len(listed) > 2
    advice = f"one of {', '.join(listed)}" if many else " or ".join(listed)
    what = f"{name}={value!r} is not known" + (f" {of}" if of else "")
    raise error(f"{what}; use {advice}{hint}")
