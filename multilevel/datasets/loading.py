"""Read an embedded data set, or what the catalogue says about it.

Held by tests/datasets/test_loading.py.
"""

from __future__ import annotations

import difflib
from importlib import resources
from typing import Literal

import pandas as pd

from multilevel.datasets.catalogue import CATALOGUE
from multilevel.datasets.records import Column, DataSet
from multilevel.errors import DataError


def load(name: str) -> pd.DataFrame:
    """Load an embedded data set.

    Parameters
    ----------
    name : str
        A name that `names` lists; capitals do not matter.

    Returns
    -------
    pandas.DataFrame
        A new frame, which the caller may change. Factors are categoricals.

    Raises
    ------
    DataError
        If there is no such data set.

    See Also
    --------
    describe : the columns, their units and the source of a data set.

    Examples
    --------
    >>> import multilevel as ml
    >>> hsb = ml.datasets.load("hsb")
    >>> hsb[["school", "math", "ses", "sector"]].head(2)
      school    math    ses  sector
    0   1224   5.876 -1.528  Public
    1   1224  19.708 -0.588  Public
    """
    data_set = _found(name)
    text = {column.name: str for column in data_set.factors}
    file = resources.files("multilevel.datasets") / "data" / data_set.file
    packed: Literal["gzip"] | None = "gzip" if file.name.endswith(".gz") else None
    with file.open("rb") as stream:
        frame = pd.read_csv(stream, dtype=text, compression=packed)
    for column in data_set.factors:
        frame[column.name] = _categorical(frame[column.name], column)
    return frame


def names() -> list[str]:
    """Return the names of the embedded data sets.

    Returns
    -------
    list of str

    Examples
    --------
    >>> import multilevel as ml
    >>> ml.datasets.names()[:3]
    ['hsb', 'sleepstudy', 'penicillin']
    """
    return list(CATALOGUE)


def table() -> pd.DataFrame:
    """List the embedded data sets.

    Returns
    -------
    pandas.DataFrame
        By name: number of rows, number of columns, title, an example formula.

    Examples
    --------
    >>> import multilevel as ml
    >>> ml.datasets.table()[["rows", "columns"]].head(2)
                rows  columns
    name
    hsb         7185        9
    sleepstudy   180        3
    """
    rows = [
        (entry.n_rows, len(entry.columns), entry.title, entry.example)
        for entry in CATALOGUE.values()
    ]
    index = pd.Index(CATALOGUE, name="name")
    return pd.DataFrame(rows, index, ["rows", "columns", "title", "example"])


def describe(name: str) -> str:
    """Document an embedded data set: columns, units, source.

    Parameters
    ----------
    name : str
        A name that `names` lists.

    Returns
    -------
    str
        Several lines of plain text.

    Raises
    ------
    DataError
        If there is no such data set.

    Examples
    --------
    >>> import multilevel as ml
    >>> print(ml.datasets.describe("dyestuff"))
    dyestuff: Yield of dyestuff from six batches
    30 rows, 2 columns
    ...
      Batch  batch of the intermediate product (A, B, C, D, E, F)
      Yield  yield of dyestuff [grams of standard colour]
    ...
    """
    return _found(name).as_text()


def _found(name: str) -> DataSet:
    """Return the entry of this name, or refuse with the closest names there are."""
    text = str(name).lower()
    try:
        return CATALOGUE[text]
    except KeyError:
        close = difflib.get_close_matches(text, CATALOGUE, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
        known = ", ".join(CATALOGUE)
        raise DataError(
            f"there is no embedded data set {name!r}: {hint}there are {known}"
        ) from None


def _categorical(labels: pd.Series[str], column: Column) -> pd.Categorical:
    """Return the labels as a categorical with the levels in their order."""
    levels = column.levels or sorted(labels.unique(), key=int)
    return pd.Categorical(labels, categories=list(levels), ordered=column.ordered)
