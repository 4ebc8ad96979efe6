"""The starting values that a user gives, as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.errors import FitError

ADVICE = (
    "Pass the theta or the full_params of an earlier result as a sequence of numbers, "
    "or leave start out."
)


def read_start(start: Any) -> FloatVector | None:
    """start as an array of floats of any shape; None if it is not given.

    Raises
    ------
    FitError
        If something in it is not a finite real number.

    Examples
    --------
    >>> from multilevel.models.given_start import read_start
    >>> read_start([1, 0.5])
    array([1. , 0.5])
    >>> read_start(["a", 0])
    Traceback (most recent call last):
        ...
    multilevel.errors.FitError: start holds 'a', which is not a number. Pass the theta \
or the full_params of an earlier result as a sequence of numbers, or leave start out.
    """
    if start is None:
        return None
    if isinstance(start, (str, bytes, dict, set)):
        raise FitError(f"start is {start!r}, which is no sequence of numbers. {ADVICE}")
    try:
        values = np.asarray(start, dtype=object)
    except ValueError as error:
        raise FitError(f"start is no sequence of numbers: {error}. {ADVICE}") from error
    numbers = [_number(value) for value in values.ravel()]
    return np.array(numbers, dtype=float).reshape(values.shape)


def _number(value: Any) -> float:
    real = isinstance(value, (int, float, np.integer, np.floating))
    if not real or isinstance(value, bool):
        raise FitError(f"start holds {value!r}, which is not a number. {ADVICE}")
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    if not np.isfinite(number):
        raise FitError(f"start holds {number}, which is not finite. {ADVICE}")
    return number
