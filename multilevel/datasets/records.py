"""The types of the catalogue's records: a data set, and each of its columns.

Held by tests/datasets/test_loading.py.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it measures and in which unit.

    Attributes
    ----------
    name : str
    meaning : str
    unit : str
        Unit of a measurement, empty for a categorical column or a plain number.
    levels : tuple of str or None
        Levels of a categorical column, the base level of treatment coding first;
        None for numbers, an empty tuple for numbered levels in increasing order.
    ordered : bool
        Whether the levels are ordered.
    """

    name: str
    meaning: str
    unit: str = ""
    levels: tuple[str, ...] | None = None
    ordered: bool = False

    @property
    def is_factor(self) -> bool:
        """Whether the column is categorical."""
        return self.levels is not None


@dataclass(frozen=True, slots=True)
class DataSet:
    """One embedded data set.

    Attributes
    ----------
    name, title : str
    file : str
        File in the folder ``data``.
    n_rows : int
    columns : tuple of Column
    about : str
        What was observed, on whom, how.
    source : str
        Publication that the data come from.
    provenance : str
        R package that the file was exported from, and what was changed.
    example : str
        A model formula for these data.
    family : str
        Family of a generalized model; empty for a linear one.
    """

    name: str
    title: str
    file: str
    n_rows: int
    columns: tuple[Column, ...]
    about: str
    source: str
    provenance: str
    example: str
    family: str = ""

    @property
    def factors(self) -> tuple[Column, ...]:
        """Categorical columns."""
        return tuple(column for column in self.columns if column.is_factor)

    @property
    def call(self) -> str:
        """The example as a call."""
        if self.family:
            return f'mixedglm("{self.example}", data, family="{self.family}")'
        return f'mixedlm("{self.example}", data)'

    def as_text(self) -> str:
        """Title, description, columns, source: 79 characters wide."""
        width = max(len(column.name) for column in self.columns)
        lines = [
            f"{self.name}: {self.title}",
            f"{self.n_rows:,} rows, {len(self.columns)} columns",
            "",
            *textwrap.wrap(self.about, 79),
            "",
            *(_described(column, width) for column in self.columns),
            "",
            *textwrap.wrap(f"Source: {self.source}", 79, subsequent_indent="  "),
            *textwrap.wrap(f"Exported from {self.provenance}", 79),
            *textwrap.wrap(f"Example: {self.call}", 79, subsequent_indent="  "),
        ]
        return "\n".join(lines)


def _described(column: Column, width: int) -> str:
    """One line (wrapped) of a column: name, meaning, unit or levels."""
    detail = f" [{column.unit}]" if column.unit else ""
    if column.levels and len(column.levels) <= 6:
        between = " < " if column.ordered else ", "
        detail = f" ({between.join(column.levels)})"
    indent = " " * (width + 4)
    return textwrap.fill(
        f"  {column.name:<{width}}  {column.meaning}{detail}",
        79,
        subsequent_indent=indent,
    )
