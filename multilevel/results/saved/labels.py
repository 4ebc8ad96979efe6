"""Labels of rows, groups and categories as plain values and arrays, and back.

Whatever pandas can use as a label comes back with its type: numbers, text, dates with
their zone, periods, intervals, categories, tuples, decimals, missing values.

Held by tests/models/test_saved_fit.py.
"""

from __future__ import annotations

import datetime
import decimal
import re
import uuid
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import pandas as pd

from multilevel.errors import DataError

Tree: TypeAlias = Any
Put: TypeAlias = Callable[[np.ndarray[Any, Any]], Tree]


class Source(Protocol):
    """Where the arrays of labels come from.

    Attributes
    ----------
    longest : int
        Entries that no index can exceed, since every row takes a byte elsewhere.
    """

    longest: int

    def take(self, tree: Tree) -> np.ndarray[Any, Any]:
        """An array that the document names."""


# A time zone's name; "dateutil/..." would open any file.
_DTYPE_NAME = re.compile(r"[\w\[\], +\-/.:<>|()]{1,200}")


def scalar_tree(value: Any) -> Tree:
    """One label: plain values as they are, others as ``[kind, ...]``.

    Raises
    ------
    DataError
        For an object that is no data.
    """
    if isinstance(value, np.bool_ | np.integer | np.floating | np.str_):
        value = value.item()
    if type(value) in (str, int, bool):
        return value
    for kind, (of_kind, parts, _) in _SCALARS.items():
        if isinstance(value, of_kind) if of_kind else value is pd.NA:
            return [kind, *parts(value)]
    if isinstance(value, str):
        return str(value)
    raise DataError(
        f"a {type(value).__name__} cannot be saved ({value!r:.60}); a saved fit holds "
        "text, numbers, dates and tuples of these. Convert the column, or pickle the "
        "result"
    )


def scalar_of(tree: Tree) -> Any:
    """The label that `scalar_tree` described."""
    if not isinstance(tree, list):
        if type(tree) not in (str, int, bool):
            raise DataError(f"{tree!r:.40} is no label")
        return tree
    kind, *parts = tree
    return _SCALARS[kind][2](*parts)


def _timestamp_parts(value: pd.Timestamp) -> list[Any]:
    zone = None if value.tz is None else str(value.tz)
    return [int(value.asm8.view("i8")), value.unit, zone]


def _timestamp(count: int, unit: str, zone: str | None) -> pd.Timestamp:
    moment = pd.Timestamp(np.datetime64(int(count), _unit(unit)))
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(_zone(zone))


def _unit(unit: str) -> Any:
    if unit not in ("s", "ms", "us", "ns"):
        raise DataError(f"{unit!r:.20} is no unit of time")
    return unit


def _zone(zone: str) -> str:
    plain = re.fullmatch(r"[\w+\-:]+(/[\w+\-]+)*", zone)
    if not plain or zone.startswith("dateutil"):
        raise DataError(f"{zone!r:.40} is no time zone")
    return zone


def _interval_parts(value: pd.Interval[Any]) -> list[Any]:
    return [scalar_tree(value.left), scalar_tree(value.right), value.closed]


def _interval(left: Tree, right: Tree, closed: Any) -> pd.Interval[Any]:
    return pd.Interval(scalar_of(left), scalar_of(right), closed)


def _datetime_parts(value: datetime.datetime) -> list[Any]:
    if value.tzinfo is not None and value.tzinfo is not datetime.timezone.utc:
        raise DataError(f"{value!r} has a time zone; pandas' Timestamp can be saved")
    return [value.isoformat()]


# Kind -> class, its parts, and the value of the parts; a class before its parents.
_SCALARS: dict[str, tuple[Any, Callable[..., Any], Callable[..., Any]]] = {
    "NaT": (type(pd.NaT), lambda _: [], lambda: pd.NaT),
    "None": (type(None), lambda _: [], lambda: None),
    "NA": (None, lambda _: [], lambda: pd.NA),
    "float": (float, lambda v: [float(v).hex()], lambda t: float.fromhex(t)),
    "timestamp": (pd.Timestamp, _timestamp_parts, _timestamp),
    "duration": (
        pd.Timedelta,
        lambda v: [int(v.asm8.view("i8")), v.unit],
        lambda n, unit: pd.Timedelta(np.timedelta64(int(n), _unit(unit))),
    ),
    "datetime": (
        datetime.datetime,
        _datetime_parts,
        lambda t: datetime.datetime.fromisoformat(t),
    ),
    "date": (
        datetime.date,
        lambda v: [v.isoformat()],
        lambda t: datetime.date.fromisoformat(t),
    ),
    "time": (
        datetime.time,
        lambda v: [v.isoformat()],
        lambda t: datetime.time.fromisoformat(t),
    ),
    "timedelta": (
        datetime.timedelta,
        lambda v: [v.days, v.seconds, v.microseconds],
        lambda days, s, us: datetime.timedelta(int(days), int(s), int(us)),
    ),
    "datetime64": (
        np.datetime64,
        lambda v: [int(v.view("i8")), np.datetime_data(v)[0]],
        lambda n, unit: np.datetime64(int(n), unit),
    ),
    "period": (
        pd.Period,
        lambda v: [v.ordinal, v.freqstr],
        lambda n, freq: pd.Period(ordinal=int(n), freq=str(freq)),
    ),
    "interval": (pd.Interval, _interval_parts, _interval),
    "decimal": (
        decimal.Decimal,
        lambda v: [str(v)],
        lambda t: decimal.Decimal(_short(t)),
    ),
    "uuid": (uuid.UUID, lambda v: [str(v)], lambda t: uuid.UUID(_short(t))),
    "bytes": (bytes, lambda v: [v.hex()], lambda t: bytes.fromhex(t)),
    "complex": (
        complex,
        lambda v: [v.real.hex(), v.imag.hex()],
        lambda a, b: complex(float.fromhex(a), float.fromhex(b)),
    ),
    "tuple": (
        tuple,
        lambda v: [scalar_tree(part) for part in v],
        lambda *parts: tuple(scalar_of(part) for part in parts),
    ),
}


def _short(text: str) -> str:
    if not isinstance(text, str) or len(text) > 1000:
        raise DataError(f"{text!r:.40} is no label")
    return text


def index_tree(index: pd.Index[Any], put: Put) -> Tree:
    """An index: its values, the names of its levels, its frequency."""
    names = [scalar_tree(name) for name in index.names]
    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "names": names}
    if isinstance(index, pd.MultiIndex):
        levels = [index_tree(level, put) for level in index.levels]
        codes = [put(np.asarray(code)) for code in index.codes]
        return {"levels": levels, "codes": codes, "names": names}
    tree = {"values": values_tree(index.array, put), "names": names}
    freq = getattr(index, "freqstr", None)
    if freq is not None and not isinstance(index, pd.PeriodIndex):
        tree["freq"] = freq
    return tree


def index_of(tree: Tree, source: Source) -> pd.Index[Any]:
    """The index that `index_tree` described."""
    names = [scalar_of(name) for name in tree["names"]]
    index: Any
    if "range" in tree:
        start, stop, step = map(int, tree["range"])
        if len(range(start, stop, step)) > source.longest:
            raise DataError("it counts more labels than it can have")
        return pd.RangeIndex(start, stop, step, name=names[0])
    if "levels" in tree:
        levels = [index_of(level, source) for level in tree["levels"]]
        codes = [source.take(code) for code in tree["codes"]]
        index = pd.MultiIndex(levels, codes, names=names)  # type: ignore[arg-type]
        return cast("pd.Index[Any]", index)
    values = values_of(tree["values"], source)
    index = pd.Index(values, name=names[0], tupleize_cols=False, dtype=values.dtype)
    if "freq" in tree:
        index.freq = str(tree["freq"])
    return cast("pd.Index[Any]", index)


def values_tree(values: Any, put: Put) -> Tree:
    """A numpy or pandas array of labels."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        categories = index_tree(dtype.categories, put)
        codes = put(np.asarray(values.codes, dtype=np.int64))
        return {"codes": codes, "of": categories, "ordered": bool(dtype.ordered)}
    if isinstance(dtype, pd.IntervalDtype):
        sides = [index_tree(side, put) for side in (values.left, values.right)]
        return {"sides": sides, "closed": dtype.closed}
    if isinstance(dtype, pd.SparseDtype):
        dense = values_tree(np.asarray(values.to_dense()), put)
        return {"dense": dense, "fill": scalar_tree(dtype.fill_value)}
    if isinstance(dtype, pd.PeriodDtype):
        return {"counts": put(values.asi8), "dtype": str(dtype)}
    if dtype.kind in "mM" and not isinstance(dtype, pd.ArrowDtype):
        counts = values.view("i8") if isinstance(values, np.ndarray) else values.asi8
        return {"counts": put(np.asarray(counts)), "dtype": str(dtype)}
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return {"plain": put(np.asarray(values))}
    return _object_tree(values, put)


def _object_tree(values: Any, put: Put) -> Tree:
    """Anything else by its single values, with the name of the type."""
    dtype = values.dtype
    name = "object" if isinstance(dtype, np.dtype) else str(dtype)
    if isinstance(dtype, pd.StringDtype):
        name = f"{dtype.storage} {'nan' if dtype.na_value is not pd.NA else 'NA'}"
    masked = getattr(values, "_mask", None)
    if masked is not None and hasattr(values, "_data"):
        return {"plain": put(values._data), "mask": put(masked), "dtype": name}
    objects = np.asarray(values, dtype=object)
    if pd.api.types.infer_dtype(objects, skipna=False) == "string":
        return {**_text_tree(objects, put), "dtype": name}
    return {"each": [scalar_tree(value) for value in objects.tolist()], "dtype": name}


def _text_tree(objects: Any, put: Put) -> Tree:
    """Texts end to end, and how long each is."""
    texts = [text.encode("utf-8", "surrogatepass") for text in objects.tolist()]
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    whole = np.frombuffer(b"".join(texts), np.uint8)
    return {"text": put(whole), "lengths": put(lengths)}


def _texts_of(tree: Tree, source: Source) -> list[str]:
    whole, lengths = source.take(tree["text"]).tobytes(), source.take(tree["lengths"])
    ends = np.cumsum(lengths)
    if (lengths < 0).any() or (ends[-1] if len(ends) else 0) != len(whole):
        raise DataError("its texts are not as long as it says")
    starts = (ends - lengths).tolist()
    return [
        whole[start:end].decode("utf-8", "surrogatepass")
        for start, end in zip(starts, ends.tolist(), strict=True)
    ]


def values_of(tree: Tree, source: Source) -> Any:
    """The array that `values_tree` described."""
    if "of" in tree:
        categories = index_of(tree["of"], source)
        codes = source.take(tree["codes"])
        ordered = bool(tree["ordered"])
        return pd.Categorical.from_codes(codes, categories, ordered=ordered)
    if "sides" in tree:
        left, right = (index_of(side, source) for side in tree["sides"])
        return pd.arrays.IntervalArray.from_arrays(left, right, tree["closed"])
    if "dense" in tree:
        dense = values_of(tree["dense"], source)
        return pd.arrays.SparseArray(dense, fill_value=scalar_of(tree["fill"]))
    if "counts" in tree:
        return _times_of(source.take(tree["counts"]), _dtype(tree["dtype"]))
    if "mask" in tree:
        return _masked_of(tree, source)
    if "plain" in tree:
        return source.take(tree["plain"])
    return _objects_of(tree, source)


def _times_of(counts: Any, dtype: Any) -> Any:
    if isinstance(dtype, pd.PeriodDtype):
        return pd.arrays.PeriodArray(np.array(counts), dtype=dtype)
    if dtype.kind not in "mM":
        raise DataError(f"{dtype} is no type of times")
    if isinstance(dtype, pd.DatetimeTZDtype):
        moments = counts.view(f"M8[{_unit(dtype.unit)}]")
        return pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(dtype.tz).array
    return pd.array(counts.view(dtype), dtype=dtype)


def _masked_of(tree: Tree, source: Source) -> Any:
    dtype = _dtype(tree["dtype"])
    values, mask = source.take(tree["plain"]), source.take(tree["mask"])
    numpy_dtype = getattr(dtype, "numpy_dtype", None)
    if numpy_dtype is None or values.dtype != numpy_dtype or mask.dtype != bool:
        raise DataError(f"{tree['dtype']!r:.40} is no nullable type")
    if values.shape != mask.shape:
        raise DataError("its missing values do not fit its values")
    kinds = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}
    kind: Any = kinds.get(values.dtype.kind, pd.arrays.IntegerArray)
    return kind(values.copy(), mask.copy())


def _objects_of(tree: Tree, source: Source) -> Any:
    if "text" in tree:
        values: list[Any] = _texts_of(tree, source)
    else:
        values = [scalar_of(value) for value in tree["each"]]
    if tree["dtype"] == "object":
        objects = np.empty(len(values), dtype=object)
        for position, value in enumerate(values):  # a slice would unpack tuples
            objects[position] = value
        return objects
    return pd.array(values, dtype=_dtype(tree["dtype"]))


def _dtype(name: Any) -> Any:
    """A type by its name, of pandas and numpy only."""
    if not isinstance(name, str) or not _DTYPE_NAME.fullmatch(name):
        raise DataError(f"{name!r:.40} is no type of a column")
    storage, _, missing = name.partition(" ")
    if storage in ("python", "pyarrow") and missing in ("nan", "NA"):
        options = {"na_value": np.nan} if missing == "nan" else {}
        return pd.StringDtype(storage, **options)
    zone = re.fullmatch(r"datetime64\[\w+, (.+)\]", name)
    if zone:
        _zone(zone[1])
    return pd.api.types.pandas_dtype(name)
