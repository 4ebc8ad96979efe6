"""Arrays that nobody can change: those of a design and of a fit."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np

Record = TypeVar("Record")


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
    if isinstance(record, np.ndarray):
        record.flags.writeable = False
    elif isinstance(record, tuple | list):
        _all_read_only(record)
    elif isinstance(record, dict):
        _all_read_only(record.values())
    elif is_dataclass(record) and not isinstance(record, type):
        _all_read_only([getattr(record, field.name) for field in fields(record)])
    return record


def _all_read_only(values: Any) -> None:
    for value in values:
        # Most are numbers and text, and a design has thousands.
        if not isinstance(value, str | int | float):
            read_only(value)
