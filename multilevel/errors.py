"""What can go wrong, said so that the next step is clear.

Every error of this package is a `ValueError` and every warning names its own class, so
that a caller may catch one kind without the others.

Held by tests/test_errors.py.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from pathlib import Path

from statsmodels.tools.sm_exceptions import (
    ConvergenceWarning as _StatsmodelsConvergenceWarning,
)

__all__ = [
    "ComparisonError",
    "ConvergenceWarning",
    "DataError",
    "DroppedRowsWarning",
    "FitError",
    "FormulaError",
    "FractionalCountsWarning",
    "MultilevelError",
    "NotForMixedModelsError",
    "RankDeficiencyWarning",
    "SingularFitWarning",
    "warn_caller",
]

# A cached property is called through functools.
_PASSED_OVER = (str(Path(__file__).parent) + os.sep, functools.__file__)


class MultilevelError(ValueError):
    """Base of every error that this package raises on purpose."""


class FormulaError(MultilevelError):
    """A formula that cannot be read, or that names what is not there.

    Parameters
    ----------
    message : str
        What is wrong, in one sentence.
    text : str, optional
        The formula; shown under the message.
    start, end : int, optional
        The offending piece is ``text[start:end]``; carets are drawn under it.
    hint : str, optional
        What to do next.

    Examples
    --------
    >>> from multilevel.errors import FormulaError
    >>> print(FormulaError("no column 'scool'", text="y ~ (1 | scool)", start=9, end=14,
    ...                    hint="did you mean 'school'?"))
    no column 'scool'
        y ~ (1 | scool)
                 ^^^^^
      Hint: did you mean 'school'?
    """

    def __init__(
        self,
        message: str,
        *,
        text: str | None = None,
        start: int | None = None,
        end: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.text = text
        self.start = start
        self.end = end
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.message]
        if self.text is not None:
            lines.append(f"    {self.text}")
            if self.start is not None:
                end = self.start + 1 if self.end is None else self.end
                width = max(end - self.start, 1)
                lines.append(" " * (4 + self.start) + "^" * width)
        if self.hint is not None:
            lines.append(f"  Hint: {self.hint}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        state = {
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "hint": self.hint,
        }
        return type(self), (self.message,), state


class DataError(MultilevelError):
    """Data that a model cannot be fitted to, or that do not fit the model."""


class FitError(MultilevelError):
    """An estimate, or something derived from one, that cannot be computed."""


class ComparisonError(MultilevelError):
    """Models that cannot be compared with each other."""


class NotForMixedModelsError(FitError, AttributeError):
    """A quantity of ordinary regression that a mixed model does not have.

    To code that looks for the attribute it is not there.
    """


class ConvergenceWarning(_StatsmodelsConvergenceWarning):
    """The optimizer stopped before it could show that it was done."""


class SingularFitWarning(UserWarning):
    """A covariance matrix of the random effects was estimated to be singular."""


class RankDeficiencyWarning(UserWarning):
    """Columns depend linearly on each other: something is not estimable."""


class DroppedRowsWarning(UserWarning):
    """Rows were left out, because something that the model uses is missing."""


class FractionalCountsWarning(UserWarning):
    """A response of counts holds numbers that are no counts."""


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line outside this package that led here.

    Parameters
    ----------
    message : str
        One line, with the numbers.
    category : type of Warning
        A class of this module.

    Examples
    --------
    >>> import warnings
    >>> from multilevel.errors import DroppedRowsWarning, warn_caller
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_caller("2 rows dropped", DroppedRowsWarning)
    >>> str(caught[0].message)
    '2 rows dropped'
    """
    level = 1
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(_PASSED_OVER):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level + 1)
