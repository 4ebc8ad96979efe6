"""Results that are computed once, and that whoever asks for them cannot change.

Held by tests/results/test_mixedglm_results.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

import pandas as pd

from multilevel.design.read_only import read_only

Value = TypeVar("Value")


class kept_value(Generic[Value]):  # noqa: N801 - used as functools.cached_property is
    """As `functools.cached_property`, but what is handed out is no way in.

    Arrays come back read-only, pandas objects as copies, dicts as new ones.

    Parameters
    ----------
    compute : callable
        The method.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__
        self.__module__ = compute.__module__

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = f"_kept_{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> kept_value[Value]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        kept = vars(instance)
        if self.key not in kept:
            kept[self.key] = self.compute(instance)
        return unchangeable(kept[self.key])


def unchangeable(value: Any) -> Any:
    """The value itself if it cannot be changed, else a copy.

    Parameters
    ----------
    value : array, Series, DataFrame, dict of these, or anything else

    Returns
    -------
    The same type
    """
    if isinstance(value, pd.Series | pd.DataFrame):
        return value.copy()
    if isinstance(value, dict):
        return {key: unchangeable(entry) for key, entry in value.items()}
    return read_only(value)
