"""Records, arrays and plain values as one document, and back.

A record is written field by field from its class, and read into the same class: every
field must be there and of the type that the class declares.

Held by tests/models/test_tampered_files.py and tests/models/test_saved_fit.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from multilevel.errors import DataError
from multilevel.results.saved.labels import (
    index_of,
    index_tree,
    scalar_of,
    scalar_tree,
    values_of,
    values_tree,
)
from multilevel.results.saved.record_types import conforms, declared_types

Array: TypeAlias = np.ndarray[Any, Any]
Tree: TypeAlias = Any

_DEEPEST = 60


@dataclass(frozen=True, slots=True)
class RecordKind:
    """How the records of one class are written and read.

    Attributes
    ----------
    kind : type
        A dataclass, or a class with its own parts.
    parts : callable, optional
        The parts of an object, by name, where they are not its fields.
    build : callable, optional
        An object from these parts.
    """

    kind: type
    parts: Callable[[Any], Mapping[str, Any]] | None = None
    build: Callable[[dict[str, Any]], Any] | None = None

    def parts_of(self, record: Any) -> Mapping[str, Any]:
        """What is written of a record."""
        if self.parts is not None:
            return self.parts(record)
        return {found.name: getattr(record, found.name) for found in fields(self.kind)}

    def record_of(self, parts: dict[str, Any]) -> Any:
        """The record of what was read; every field checked against its type."""
        if self.build is not None:
            return self.build(parts)
        types = declared_types(self.kind)
        if parts.keys() != types.keys():
            odd = sorted(parts.keys() ^ types.keys())[0]
            raise DataError(f"its {self.kind.__name__} has another field {odd!r:.40}")
        for name, wanted in types.items():
            if not conforms(parts[name], wanted):
                raise DataError(
                    f"{self.kind.__name__}.{name} is {parts[name]!r:.60}, which is not "
                    "of its type"
                )
        return self.kind(**parts)


@dataclass(slots=True)
class Writer:
    """Turns values into a document, and gathers the arrays.

    Attributes
    ----------
    kinds : mapping
        Name -> how its records are written.
    arrays : dict
        Name -> array, as they come up.
    """

    kinds: Mapping[str, RecordKind]
    arrays: dict[str, Array] = field(default_factory=dict)

    def tree(self, value: Any) -> Tree:
        """The document of a value.

        Raises
        ------
        DataError
            For an object that is no data, and for a record of no known class.
        """
        if value is None or type(value) in (str, bool, int):
            return value
        if is_dataclass(value) or type(value).__name__ in self.kinds:
            return self._record(value)
        if type(value) is tuple:
            return {"tuple": [self.tree(entry) for entry in value]}
        if type(value) is list:
            return {"list": [self.tree(entry) for entry in value]}
        if type(value) is dict:
            pairs = [[self.tree(k), self.tree(v)] for k, v in value.items()]
            return {"dict": pairs}
        if isinstance(value, pd.Index):
            return {"index": index_tree(value, self.put)}
        if isinstance(value, pd.Series):
            parts = [index_tree(value.index, self.put), scalar_tree(value.name)]
            return {"series": [values_tree(value.array, self.put), *parts]}
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            return {"array": self._columns(value) or self.put(value)}
        if isinstance(value, np.ndarray | ExtensionArray):
            return {"values": values_tree(value, self.put)}
        return {"label": scalar_tree(value)}

    def _record(self, value: Any) -> Tree:
        name = type(value).__name__
        known = self.kinds.get(name)
        if known is None or known.kind is not type(value):
            raise DataError(f"a {name} cannot be saved; it is no record of a fit")
        parts = known.parts_of(value)
        return {"record": [name, {n: self.tree(part) for n, part in parts.items()}]}

    def put(self, array: Array) -> Tree:
        """Keep an array, whole numbers in as few bytes as hold them."""
        name = f"array{len(self.arrays)}"
        array = np.asarray(array)
        narrow = _narrowed(array)
        self.arrays[name] = narrow
        return name if narrow.dtype == array.dtype else [name, array.dtype.str]

    def _columns(self, array: Array) -> Tree:
        """Which columns of an array kept before these are, if they share memory."""
        if array.ndim != 2 or not array.size or not array.flags.f_contiguous:
            return None
        column = array.shape[0] * array.itemsize
        for name, whole in self.arrays.items():
            if (
                whole.ndim == 2
                and whole.flags.f_contiguous
                and ((whole.shape[0], whole.dtype) == (array.shape[0], array.dtype))
            ):
                first, rest = divmod(_address(array) - _address(whole), column)
                if not rest and 0 <= first <= whole.shape[1] - array.shape[1]:
                    return {"of": name, "first": first, "number": array.shape[1]}
        return None


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _narrowed(array: Array) -> Array:
    if array.dtype.kind not in "iu" or array.size < 64:
        return array
    low, high = int(array.min()), int(array.max())
    narrow = np.result_type(np.min_scalar_type(low), np.min_scalar_type(high))
    is_smaller = narrow.kind in "iu" and narrow.itemsize < array.itemsize
    return array.astype(narrow) if is_smaller else array


@dataclass(slots=True)
class Reader:
    """Turns a document into values.

    Attributes
    ----------
    kinds : mapping
        Name -> how its records are read.
    array : callable
        Name -> array of the file, each once.
    longest : int
        Bytes of the file once it is read.
    """

    kinds: Mapping[str, RecordKind]
    array: Callable[[str], Array]
    longest: int
    depth: int = 0
    _wide: dict[str, Array] = field(default_factory=dict)

    def value(self, tree: Tree) -> Any:
        """The value that a document describes.

        Raises
        ------
        DataError
            For what no `Writer` writes.
        """
        if tree is None or type(tree) in (str, bool, int):
            return tree
        self.depth += 1
        if self.depth > _DEEPEST:
            raise DataError("its document is nested too deeply")
        ((kind, content),) = tree.items()
        value = self._tagged(kind, content)
        self.depth -= 1
        return value

    def _tagged(self, kind: str, content: Tree) -> Any:
        if kind == "record":
            name, parts = content
            found = {n: self.value(part) for n, part in parts.items()}
            return self.kinds[name].record_of(found)
        if kind == "dict":
            pairs = [(self.value(k), self.value(v)) for k, v in content]
            if len(dict(pairs)) != len(pairs):
                raise DataError("a dict of its document has one key twice")
            return dict(pairs)
        if kind in ("tuple", "list"):
            entries = [self.value(entry) for entry in content]
            return tuple(entries) if kind == "tuple" else entries
        if kind == "array":
            return self._array(content)
        if kind == "index":
            return index_of(content, self)
        if kind == "series":
            values, index, name = content
            labels = index_of(index, self)
            return pd.Series(
                values_of(values, self), index=labels, name=scalar_of(name)
            )
        return {"values": self._values, "label": scalar_of}[kind](content)

    def _values(self, content: Tree) -> Any:
        return values_of(content, self)

    def take(self, content: Tree) -> Array:
        """An array by its name, in the type that it had; read-only."""
        if isinstance(content, str):
            return self.array(content)
        name, wanted = content
        dtype = np.dtype(str(wanted))
        if dtype.kind not in "iu":
            raise DataError(f"{wanted!r:.20} is no type of whole numbers")
        array = self.array(name).astype(dtype)
        array.flags.writeable = False
        return array

    def _array(self, content: Tree) -> Array:
        if not isinstance(content, dict):
            array = self.take(content)
            if isinstance(content, str) and array.ndim == 2:
                self._wide[content] = array
            return array
        first, number = int(content["first"]), int(content["number"])
        whole = self._wide[content["of"]]
        if first < 0 or number < 0 or first + number > whole.shape[1]:
            raise DataError("it names columns that an array does not have")
        return whole[:, first : first + number]
