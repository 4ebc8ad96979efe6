"""How a model was asked for: enough to build its design again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multilevel.design.frames import ColumnTable, column_names, read_columns
from multilevel.design.random_effects import RandomTerm

# From pandas 3 on a column that is taken out does not change with the data frame.
_COPY_ON_WRITE = int(pd.__version__.split(".")[0]) >= 3
_ARRAYS = ("endog", "exog", "weights", "offset")


@dataclass(frozen=True, slots=True)
class FormulaSource:
    """A formula and the columns that it uses.

    Attributes
    ----------
    formula : str
    table : ColumnTable
        All rows; only columns whose name stands in the formula or in `weights` or
        `offset`.
    weights, offset
        As given to `from_formula`.
    missing : str
    """

    formula: str
    table: ColumnTable
    weights: Any
    offset: Any
    missing: str

    def frame(self) -> pd.DataFrame:
        """The columns as a data frame."""
        return pd.DataFrame(self.table.columns, index=self.table.index)

    def as_document(self) -> dict[str, Any]:
        """Dicts, lists and columns, for an archive."""
        return {
            "kind": "formula",
            "formula": self.formula,
            "columns": _frame_document(self.frame()),
            "weights": _row_values_document(self.weights),
            "offset": _row_values_document(self.offset),
            "missing": self.missing,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> FormulaSource:
        """The source that `as_document` described."""
        frame = _frame_of(document["columns"])
        return cls(
            document["formula"],
            read_columns(frame, list(frame.columns)),
            _row_values_of(document["weights"]),
            _row_values_of(document["offset"]),
            document["missing"],
        )


@dataclass(frozen=True, slots=True)
class ArraySource:
    """Arrays as given to a model's constructor."""

    endog: Any
    exog: Any
    random: tuple[RandomTerm, ...]
    weights: Any
    offset: Any
    missing: str

    def as_document(self) -> dict[str, Any]:
        """Dicts, lists and columns, for an archive."""
        given = {name: getattr(self, name) for name in _ARRAYS}
        return {
            "kind": "arrays",
            **{name: _row_values_document(values) for name, values in given.items()},
            "random": [
                {
                    "groups": _row_values_document(term.groups),
                    "exog_re": _row_values_document(term.exog_re),
                    "name": term.name,
                    "structure": term.structure,
                }
                for term in self.random
            ],
            "missing": self.missing,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> ArraySource:
        """The source that `as_document` described."""
        terms = [
            RandomTerm(
                _row_values_of(term["groups"]),
                _row_values_of(term["exog_re"]),
                name=term["name"],
                structure=term["structure"],
            )
            for term in document["random"]
        ]
        given = {name: _row_values_of(document[name]) for name in _ARRAYS}
        return cls(random=tuple(terms), missing=document["missing"], **given)


def formula_source(
    formula: str, data: Any, weights: Any, offset: Any, missing: str
) -> FormulaSource:
    """Keep what a formula uses of a data frame.

    Parameters
    ----------
    formula : str
    data : data frame
    weights, offset : column name, array_like or None
    missing : str

    Returns
    -------
    FormulaSource
    """
    given = [formula, *(text for text in (weights, offset) if isinstance(text, str))]
    text = "\n".join(given)
    names = [name for name in column_names(data) if _mentions(text, str(name))]
    table = read_columns(data, dict.fromkeys(names))
    if not _COPY_ON_WRITE:
        columns = {name: values.copy() for name, values in table.columns.items()}
        table = ColumnTable(columns, table.index)
    return FormulaSource(formula, table, weights, offset, missing)


def _mentions(text: str, name: str) -> bool:
    """Whether a column's name stands in a formula, not as a part of a word."""
    if name not in text:
        return False
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _frame_document(frame: pd.DataFrame) -> dict[str, Any]:
    """Index, and name and values of each column (a name need not be text)."""
    columns = [[name, values] for name, values in frame.items()]
    return {"index": _index_document(frame.index), "columns": columns}


def _frame_of(document: Mapping[str, Any]) -> pd.DataFrame:
    """The data frame that `_frame_document` described."""
    index = _index_of(document["index"])
    columns = {name: values.set_axis(index) for name, values in document["columns"]}
    return pd.DataFrame(columns, index=index)


def _index_document(index: pd.Index[Any]) -> dict[str, Any]:
    """Names and labels of each level of an index."""
    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step]}
    levels = [index.get_level_values(level) for level in range(index.nlevels)]
    names = [None if name is None else str(name) for name in index.names]
    return {"names": names, "levels": levels}


def _index_of(document: Mapping[str, Any]) -> pd.Index[Any]:
    """The index that `_index_document` described."""
    if "range" in document:
        return pd.RangeIndex(*document["range"])
    levels, names = document["levels"], document["names"]
    labels: pd.Index[Any]
    if len(levels) == 1:
        labels = pd.Index(levels[0], name=names[0])
    else:
        labels = pd.MultiIndex.from_arrays(levels, names=names)
    return labels


def _row_values_document(values: Any) -> Any:
    """Something with a value for each row, as given: frame, Series, array or name."""
    if values is None or isinstance(values, str):
        return values
    if isinstance(values, pd.DataFrame):
        return {"frame": _frame_document(values)}
    if isinstance(values, pd.Series):
        return {"frame": _frame_document(values.to_frame()), "is_column": True}
    return {"array": np.asarray(values)}


def _row_values_of(document: Any) -> Any:
    """What `_row_values_document` described."""
    if document is None or isinstance(document, str):
        return document
    if "array" in document:
        return np.asarray(document["array"])
    frame = _frame_of(document["frame"])
    return frame.iloc[:, 0] if "is_column" in document else frame
