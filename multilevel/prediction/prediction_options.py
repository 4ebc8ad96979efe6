"""What may be asked of a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multilevel.errors import DataError
from multilevel.option_values import refuse_other_words

NEW_LEVELS = ("raise", "population", "missing")
CHECKS = ("warn", "raise")


def refuse_bad_options(
    data: Any,
    *,
    new_levels: Any,
    check: Any,
    offset: Any = None,
    weights: Any = None,
) -> None:
    """Refuse options that would be passed over, or that are not known.

    Parameters
    ----------
    data : data frame or None
        None for the rows of the fit, which have offsets and weights of their own.
    new_levels, check, offset, weights
        As given to `predict` or `get_prediction`.

    Raises
    ------
    DataError
    """
    refuse_other_words(new_levels, NEW_LEVELS, "new_levels")
    refuse_other_words(check, CHECKS, "check")
    if data is not None:
        return
    of_rows = {"offset": offset, "weights": weights}
    given = [name for name, value in of_rows.items() if value is not None]
    if given:
        raise DataError(
            f"{given[0]}= is for new rows, and no data were given; the rows of the fit "
            "keep their own. Give the rows as data"
        )


def asked_factors(random: Any, names: list[str]) -> list[str]:
    """The names in ``random=``.

    Raises
    ------
    DataError
        For what is neither a word nor a list of names, with the word that says it.
    """
    words = {None: '"none"', False: '"none"', True: '"all"'}
    if random is None or isinstance(random, bool):
        hint = f"; write random={words[random]}"
    elif isinstance(random, Mapping):
        hint = (
            ": it would choose single effects of a factor; name whole factors, as in "
            f"random={list(random)}"
        )
    elif isinstance(random, str):
        return [random]
    elif hasattr(random, "__iter__"):
        return list(random)
    else:
        hint = f'; use "all", "none" or a list of {names}'
    raise DataError(f"random={random!r} does not name grouping factors{hint}")
