"""Arithmetic of a formula: whole numbers stay exact, and become floats before overflow.

numpy's integers wrap around in silence: the square of 5e9 is negative as an int64. An
operator here gives integers as long as every result fits into 64 bits, so that labels,
indices and bits go on working, and floats when one might not.

Held by tests/design/test_integer_columns.py.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

_LARGEST = 2**63 - 1


def plus(a: Any, b: Any) -> Any:
    """``a + b``."""
    return _computed(operator.add, a, b, lambda x, y: x + y)


def minus(a: Any, b: Any) -> Any:
    """``a - b``."""
    # The bound is of sizes: a difference of opposite signs is as large as the sum.
    return _computed(operator.sub, a, b, lambda x, y: x + y)


def times(a: Any, b: Any) -> Any:
    """``a * b``."""
    return _computed(operator.mul, a, b, lambda x, y: x * y)


def power(a: Any, b: Any) -> Any:
    """``a ** b``; a negative power of integers is a fraction."""
    if _is_integer(b) and np.size(b) and _least(b) < 0:
        return operator.pow(_as_floats(a), _as_floats(b))
    return _computed(operator.pow, a, b, _bound_of_power)


def square(a: Any) -> Any:
    """``np.square(a)``."""
    return times(a, a)


def summable(a: Any) -> Any:
    """The same numbers, in a type that holds the sum of all of them."""
    fits = not _is_integer(a) or _size(a) * np.size(a) <= _LARGEST
    return a if fits else _as_floats(a)


def multipliable(a: Any) -> Any:
    """The same numbers, in a type that holds the product of all of them."""
    fits = not _is_integer(a) or _bound_of_power(_size(a), np.size(a)) <= _LARGEST
    return a if fits else _as_floats(a)


def in_doubles(function: Callable[..., Any], *args: Any) -> Any:
    """``function(*args)``, not in half precision: np.exp of a boolean is 2.719."""
    value = function(*args)
    if not _is_short_float(value):
        return value
    return function(*(_as_floats(a) if np.ndim(a) else a for a in args))


def _is_short_float(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize < 8


def _computed(
    compute: Callable[[Any, Any], Any],
    a: Any,
    b: Any,
    bound: Callable[[int, int], int],
) -> Any:
    if not (_is_integer(a) and _is_integer(b)):
        return compute(a, b)
    if bound(_size(a), _size(b)) <= _LARGEST:
        return compute(_as_wide_integers(a), _as_wide_integers(b))
    return compute(_as_floats(a), _as_floats(b))


def _bound_of_power(base: int, exponent: int) -> int:
    # The power itself might have millions of digits.
    return base**exponent if base < 2 or exponent < 64 else _LARGEST + 1


def _is_integer(value: Any) -> bool:
    if isinstance(value, int):
        # A flag is not counted here, though Python takes it for the number one.
        return not isinstance(value, bool)
    dtype = getattr(value, "dtype", None)
    return dtype is not None and pd.api.types.is_integer_dtype(dtype)


def _size(value: Any) -> int:
    """The largest absolute value, as an exact number."""
    if not np.size(value):
        return 0
    return max(abs(_least(value)), abs(_extreme(value, "max")))


def _least(value: Any) -> int:
    return _extreme(value, "min")


def _extreme(value: Any, which: str) -> int:
    if np.ndim(value) and isinstance(value.dtype, np.dtype):
        value = np.asarray(value)  # whose extremes cost a tenth of a Series'
    found = getattr(value, which)() if np.ndim(value) else value
    return 0 if pd.isna(found) else int(found)


def _as_floats(value: Any) -> Any:
    if not np.ndim(value):
        return float(value)
    is_extension = not isinstance(value.dtype, np.dtype)
    return value.astype("Float64" if is_extension else np.float64)


def _as_wide_integers(value: Any) -> Any:
    if not np.ndim(value):
        return int(value)
    kind = np.int64 if isinstance(value.dtype, np.dtype) else "Int64"
    return value if value.dtype == kind else value.astype(kind)


OPERATORS: dict[str, Callable[..., Any]] = {
    "_plus": plus,
    "_minus": minus,
    "_times": times,
    "_power": power,
    "_square": square,
    "_in_doubles": in_doubles,
    "_summable": summable,
    "_multipliable": multipliable,
}
