"""Starting values and parameters that a user gives, as numbers.

Held by tests/models/test_starts.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.errors import FitError

_START_ADVICE = (
    "Pass the theta or the full_params of an earlier result as a sequence of numbers, "
    "or leave start out."
)
_PARAMS_ADVICE = "Pass numbers in the order of a result's full_params."


def read_start(start: Any) -> FloatVector | None:
    """start as an array of floats of any shape; None if it is not given.

    Raises
    ------
    FitError
        If something in it is not a finite real number.

    Examples
    --------
    >>> from multilevel.models.given_numbers import read_start
    >>> read_start([1, 0.5])
    array([1. , 0.5])
    >>> read_start(["a", 0])
    Traceback (most recent call last):
        ...
    multilevel.errors.FitError: start holds 'a', which is not a number. Pass the theta \
or the full_params of an earlier result as a sequence of numbers, or leave start out.
    """
    return None if start is None else _numbers(start, "start", _START_ADVICE)


def read_params(params: Any) -> FloatVector:
    """params of a likelihood as an array of floats of any shape.

    Raises
    ------
    FitError
        If something in it is not a finite real number.
    """
    return _numbers(params, "params", _PARAMS_ADVICE)


def _numbers(given: Any, name: str, advice: str) -> FloatVector:
    if given is None or isinstance(given, (str, bytes, dict, set)):
        raise FitError(
            f"{name} is {given!r}, which is no sequence of numbers. {advice}"
        )
    try:
        values = np.asarray(given, dtype=object)
    except ValueError as error:
        raise FitError(
            f"{name} is no sequence of numbers: {error}. {advice}"
        ) from error
    numbers = [_number(value, name, advice) for value in values.ravel()]
    return np.array(numbers, dtype=float).reshape(values.shape)


def _number(value: Any, name: str, advice: str) -> float:
    real = isinstance(value, (int, float, np.integer, np.floating))
    if not real or isinstance(value, bool):
        raise FitError(f"{name} holds {value!r}, which is not a number. {advice}")
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    if not np.isfinite(number):
        raise FitError(f"{name} holds {number}, which is not finite. {advice}")
    return number
