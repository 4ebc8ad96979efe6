"""Whether a value is of the type that a record's class declares.

Held by tests/models/test_tampered_files.py.
"""

from __future__ import annotations

import types
from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd


class _Subscripted:
    """pandas' classes cannot be subscripted when the annotations are read."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def __getitem__(self, of: Any) -> type:
        return self.kind

    def __call__(self) -> None:  # so that typing takes it for a type
        raise TypeError


_PANDAS = types.SimpleNamespace(
    Index=_Subscripted(pd.Index), Series=_Subscripted(pd.Series)
)


@cache
def declared_types(kind: type) -> Mapping[str, Any]:
    """Field -> type, of a dataclass.

    Parameters
    ----------
    kind : type

    Returns
    -------
    mapping
    """
    hints = get_type_hints(kind, localns={"pd": _PANDAS})
    return {found.name: hints[found.name] for found in fields(kind)}


def records_within(*kinds: type) -> dict[str, type]:
    """The dataclasses that records of some classes are made of, by name.

    Parameters
    ----------
    *kinds : type
        Dataclasses; they are among the answer.

    Returns
    -------
    dict

    Examples
    --------
    >>> from multilevel.optimize.linear.fit_record import LMMFit
    >>> sorted(records_within(LMMFit))
    ['LMMFit', 'OptimizationReport']
    """
    found: dict[str, type] = {}
    waiting: list[Any] = list(kinds)
    while waiting:
        kind = waiting.pop()
        waiting += get_args(kind)
        if isinstance(kind, type) and is_dataclass(kind) and kind.__name__ not in found:
            found[kind.__name__] = kind
            waiting += declared_types(kind).values()
    return found


def conforms(value: Any, wanted: Any) -> bool:
    """Whether a value that was read is of a declared type; entries are looked at too.

    Parameters
    ----------
    value : object
    wanted : type or typing construct

    Returns
    -------
    bool

    Examples
    --------
    >>> conforms((1, 2.0), tuple[int, float]), conforms(True, int)
    (True, False)
    """
    origin, inside = get_origin(wanted), get_args(wanted)
    if isinstance(wanted, _Subscripted):
        wanted = wanted.kind
    if wanted is Any or wanted is Hashable:
        return True
    if wanted is None:
        return value is None
    if origin in (Union, types.UnionType):
        return any(conforms(value, one) for one in inside)
    if origin is Literal:
        return value in inside
    if origin is np.ndarray:
        return _is_array(value, inside)
    if origin is tuple:
        return type(value) is tuple and _entries_conform(value, inside)
    if origin in (dict, Mapping):
        return type(value) is dict and all(
            conforms(k, inside[0]) and conforms(v, inside[1]) for k, v in value.items()
        )
    if wanted is float:
        return type(value) in (float, int)
    if wanted in (int, bool, str):
        return type(value) is wanted
    return isinstance(value, wanted)


def _entries_conform(value: tuple[Any, ...], inside: tuple[Any, ...]) -> bool:
    if len(inside) == 2 and inside[1] is Ellipsis:
        return all(conforms(entry, inside[0]) for entry in value)
    return len(value) == len(inside) and all(map(conforms, value, inside))


def _is_array(value: Any, inside: tuple[Any, ...]) -> bool:
    """Kind and width of the entries; the shape is for whoever knows the record."""
    (wanted,) = get_args(inside[1])
    if not isinstance(value, np.ndarray):
        return False
    if isinstance(wanted, type) and issubclass(wanted, np.integer):
        return bool(value.dtype.kind == "i")
    return bool(value.dtype == np.dtype(wanted))
