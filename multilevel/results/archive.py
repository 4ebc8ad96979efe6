"""A data-only file: a zip archive of one JSON document and NumPy arrays.

Reading it runs no code: arrays are read without pickle, everything else is JSON.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from multilevel.errors import DataError

FORMAT = "multilevel fit"
VERSION = 1
_PLAIN = (str, int, float, bool, type(None))


def write_archive(path: str | Path, document: dict[str, Any]) -> None:
    """Write a document of dicts, lists, plain values, arrays and pandas columns.

    Parameters
    ----------
    path : str or Path
    document : dict

    Raises
    ------
    DataError
        If a column holds objects that are neither text, numbers nor dates.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    tree = _encode(document, arrays)
    header = {"format": FORMAT, "version": VERSION, "document": tree}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fit.json", json.dumps(header, indent=1))
        for name, array in arrays.items():
            buffer = BytesIO()
            np.save(buffer, array, allow_pickle=False)
            archive.writestr(f"{name}.npy", buffer.getvalue())


def read_archive(path: str | Path) -> dict[str, Any]:
    """Read what `write_archive` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict

    Raises
    ------
    DataError
        If the file is something else, or of a newer version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read("fit.json"))
            _reject_other_format(path, header)
            return dict(_decode(header["document"], _array_reader(archive)))
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{str(path)!r} is not a saved multilevel fit") from error


def _reject_other_format(path: str | Path, header: Any) -> None:
    """Refuse another program's archive, or one of a later version."""
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(f"{str(path)!r} is not a saved multilevel fit")
    if header["version"] > VERSION:
        raise DataError(
            f"{str(path)!r} was written in version {header['version']} of the file "
            f"format; this multilevel reads up to {VERSION}. Update multilevel"
        )


def _array_reader(archive: zipfile.ZipFile) -> Callable[[str], np.ndarray[Any, Any]]:
    """A function that reads one array of the archive by name."""

    def read(name: str) -> np.ndarray[Any, Any]:
        buffer = BytesIO(archive.read(f"{name}.npy"))
        return np.asarray(np.load(buffer, allow_pickle=False))

    return read


def _encode(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """JSON for a value; arrays go to `arrays` and leave their name."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {"dict": {key: _encode(entry, arrays) for key, entry in value.items()}}
    if isinstance(value, list | tuple):
        return {"list": [_encode(entry, arrays) for entry in value]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufU":
        name = f"array{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, pd.Series | pd.Index | np.ndarray):
        return {"column": _encode(_column_parts(pd.Series(value)), arrays)}
    raise DataError(f"a {type(value).__name__} cannot be saved: {value!r:.80}")


def _decode(tree: Any, read: Callable[[str], np.ndarray[Any, Any]]) -> Any:
    """The value that `_encode` described."""
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "array":
        return read(content)
    if kind == "list":
        return [_decode(entry, read) for entry in content]
    if kind == "column":
        return _column_of(_decode(content, read))
    return {key: _decode(entry, read) for key, entry in content.items()}


def _column_parts(column: pd.Series[Any]) -> dict[str, Any]:
    """A pandas column as plain arrays."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return {
            "kind": "category",
            "codes": column.cat.codes.to_numpy(np.int64),
            "levels": dtype.categories,
            "ordered": bool(dtype.ordered),
        }
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return {"kind": "plain", "values": column.to_numpy()}
    if pd.api.types.is_datetime64_any_dtype(dtype) or dtype.kind == "m":
        whole = column.astype("int64").to_numpy()
        return {"kind": "time", "values": whole, "dtype": str(dtype)}
    if pd.api.types.is_numeric_dtype(dtype):
        missing = column.isna().to_numpy()
        filled = column.fillna(0).to_numpy(dtype=dtype.numpy_dtype)  # type: ignore[union-attr]
        values = {"values": filled, "missing": missing, "dtype": str(dtype)}
        return {"kind": "nullable", **values}
    return _text_parts(column)


def _text_parts(column: pd.Series[Any]) -> dict[str, Any]:
    """A column of text, or of mixed plain values, as codes and distinct values."""
    objects = column.to_numpy(dtype=object)
    for odd in objects:
        if isinstance(odd, str | int | float | np.number | np.bool_) or pd.isna(odd):
            continue
        raise DataError(
            f"the column {column.name!r} holds {odd!r} (a {type(odd).__name__}), which "
            "a data-only file cannot hold; convert the column to text or numbers, or "
            "pickle the result"
        )
    codes, values = pd.factorize(objects)
    levels = [v.item() if isinstance(v, np.generic) else v for v in values]
    dtype = "object" if column.dtype == object else "str"
    return {"kind": "text", "codes": codes, "levels": levels, "dtype": dtype}


def _column_of(parts: dict[str, Any]) -> pd.Series[Any]:
    """The column that `_column_parts` took apart."""
    kind = parts["kind"]
    if kind == "category":
        levels = pd.Index(parts["levels"])
        ordered = parts["ordered"]
        codes = parts["codes"]
        return pd.Series(pd.Categorical.from_codes(codes, levels, ordered=ordered))
    if kind == "plain":
        return pd.Series(parts["values"])
    if kind == "time":
        return pd.Series(parts["values"]).astype(parts["dtype"])
    if kind == "nullable":
        filled = pd.Series(parts["values"]).astype(parts["dtype"])
        filled[parts["missing"]] = pd.NA
        return filled
    levels = np.empty(len(parts["levels"]) + 1, dtype=object)
    levels[:-1] = parts["levels"]
    levels[-1] = None if parts["dtype"] == "object" else np.nan
    column: pd.Series[Any] = pd.Series(levels[parts["codes"]], dtype=parts["dtype"])
    return column
