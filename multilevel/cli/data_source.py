"""The data that a command names: a file, by its ending, or an embedded data set.

Held by tests/cli/test_commands.py.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from multilevel.datasets import load
from multilevel.errors import DataError

CSV_ENDINGS = (".csv", ".csv.gz")


def read_table(place: str) -> pd.DataFrame:
    """Read a CSV or Parquet file, or load an embedded data set.

    Parameters
    ----------
    place : str
        A path that ends in ``.csv``, ``.csv.gz`` or ``.parquet``; anything else is
        the name of an embedded data set.

    Returns
    -------
    pandas.DataFrame
        Column names as in the file.

    Raises
    ------
    DataError
        If there is no such file or data set, or if the file cannot be read.
    """
    if place.lower().endswith(CSV_ENDINGS):
        return _read_csv(Path(place))
    if place.lower().endswith(".parquet"):
        return _read_parquet(Path(place))
    if Path(place).is_file():
        raise DataError(
            f"cannot tell the format of {place!r}: name it .csv, .csv.gz or .parquet"
        )
    try:
        return load(place)
    except DataError as problem:
        raise DataError(
            f"{place!r} is no .csv, .csv.gz or .parquet file, and {problem}"
        ) from None


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, EOFError, ValueError) as problem:
        raise _unreadable(path, problem) from problem


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except ImportError as problem:
        raise DataError(
            f"reading {str(path)!r} needs pyarrow: pip install 'multilevel[scale]'"
        ) from problem
    except (OSError, ValueError) as problem:
        raise _unreadable(path, problem) from problem


def _unreadable(path: Path, problem: Exception) -> DataError:
    """One line that says why a file cannot be read."""
    if isinstance(problem, FileNotFoundError):
        return DataError(f"there is no file {str(path)!r}")
    reason = getattr(problem, "strerror", None) or " ".join(str(problem).split())
    return DataError(f"cannot read {str(path)!r}: {reason}")
