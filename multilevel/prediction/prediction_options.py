"""What may be asked of a prediction.

Held by tests/prediction/test_prediction_error.py and
tests/prediction/test_limits_of_means.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from multilevel.errors import DataError
from multilevel.option_values import as_word

NewLevels: TypeAlias = Literal["raise", "population", "missing"]
RandomParts: TypeAlias = Literal["all", "none"] | Sequence[str]
Check: TypeAlias = Literal["warn", "raise"]

NEW_LEVELS = ("raise", "population", "missing")
CHECKS = ("warn", "raise")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionOptions:
    """What is asked of a prediction; see `predict` and `get_prediction` of results.

    Parameters
    ----------
    random : "all", "none" or list of str
        Grouping factors whose effects are added.
    new_levels : {"raise", "population", "missing"}
        What to do with a level that was not in the fit: refuse it, set its effects
        to zero, or predict NaN.
    offset : str or array_like (rows,), optional
        In place of an array that was the ``offset=`` of the fit.
    weights : str or array_like (rows,), optional
        Prior weights of new rows; ones by default.
    check : {"warn", "raise"}
        For rows whose mean is not estimable.
    """

    random: RandomParts
    new_levels: NewLevels
    offset: Any = None
    weights: Any = None
    check: Check = "warn"

    def refuse_bad(self, data: Any) -> None:
        """Refuse options that would be passed over, or that are not known.

        Parameters
        ----------
        data : data frame or None
            None for the rows of the fit, which have offsets and weights of their own.

        Raises
        ------
        DataError
        """
        as_word(self.new_levels, NEW_LEVELS, "new_levels")
        as_word(self.check, CHECKS, "check")
        if data is not None:
            return
        of_rows = {"offset": self.offset, "weights": self.weights}
        given = [name for name, value in of_rows.items() if value is not None]
        if given:
            raise DataError(
                f"{given[0]}= is for new rows, and no data were given; the rows of the "
                "fit keep their own. Give the rows as data"
            )

    def factor_positions(self, names: Sequence[str]) -> list[int]:
        """Positions of the grouping factors that `random` asks for.

        Parameters
        ----------
        names : sequence of str
            The grouping factors of the model.

        Raises
        ------
        DataError
            For a factor that the model does not have.

        Examples
        --------
        >>> asked = PredictionOptions(random=["class"], new_levels="raise")
        >>> asked.factor_positions(["school", "class"])
        [1]
        """
        if isinstance(self.random, str) and self.random in ("all", "none"):
            return list(range(len(names))) if self.random == "all" else []
        asked = _asked_factors(self.random, list(names))
        unknown = [name for name in asked if name not in names]
        if unknown:
            raise DataError(
                f"random={self.random!r} names {unknown[0]!r}, which is no grouping "
                f'factor of this model; use "all", "none" or a list of {list(names)}'
            )
        return [position for position, name in enumerate(names) if name in asked]


def _asked_factors(random: Any, names: list[str]) -> list[str]:
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
