"""Arrays that nobody can change: those of a design and of a fit.

Held by tests/design/test_containers_of_values.py.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np

Record = TypeVar("Record")

# Most of what a design holds; found without asking for more.
_PLAIN = frozenset((str, int, float, bool, type(None)))


def read_only(record: Record) -> Record:
    """Make the arrays of a record read-only, those of the records in it too.

    Nothing is copied: whoever is handed an array gets this one, and cannot change the
    design or the estimates through it.

    Parameters
    ----------
    record : dataclass, array, or a tuple, list or dict of these

    Returns
    -------
    The same object.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.design.read_only import read_only
    >>> read_only(np.zeros(3)).flags.writeable
    False
    """
    left: list[Any] = [record]
    while left:
        value = left.pop()
        kind: Any = type(value)
        if kind in _PLAIN:
            continue
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        elif isinstance(value, tuple | list):
            left += value
        elif isinstance(value, dict):
            left += value.values()
        else:
            left += [getattr(value, name) for name in _field_names(kind)]
    return record


@cache
def _field_names(kind: Hashable) -> tuple[str, ...]:
    """Fields of a record; none of anything else. Asked for thousands of values."""
    if not (isinstance(kind, type) and is_dataclass(kind)):
        return ()
    return tuple(field.name for field in fields(kind))
