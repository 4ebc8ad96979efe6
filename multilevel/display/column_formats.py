"""How the columns of a table are written, by what they hold.

Held by tests/display/test_frame_table.py and tests/models/test_rows_are_read_once.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import pandas as pd
from pandas.api.types import is_float_dtype

from multilevel.display.number_text import (
    column_text,
    common_or_own_decimals,
    df_text,
    fixed_text,
    number_text,
    p_text,
)

Columns: TypeAlias = Mapping[Any, pd.Series]
"""The columns of a data frame by name."""
ColumnFormat: TypeAlias = Callable[[Columns, Any, int], Sequence[str]]
"""Texts of one of the columns, with so many significant digits if that matters."""


def as_numbers(columns: Columns, name: Any, digits: int) -> list[str]:
    """With common decimals where the sizes are comparable."""
    return column_text(columns[name].to_numpy(dtype=float), digits)


def beside_errors(columns: Columns, name: Any, digits: int) -> list[str]:
    """With the decimals that the standard error of the row deserves."""
    if "se" not in columns:
        return as_numbers(columns, name, digits)
    decimals = common_or_own_decimals(columns["se"].to_numpy(dtype=float), digits)
    pairs = zip(columns[name].tolist(), decimals.tolist(), strict=True)
    return [number_text(value, own) for value, own in pairs]


def as_p_values(columns: Columns, name: Any, digits: int) -> list[str]:
    """With three decimals, or that they are below 0.001."""
    return [p_text(p) for p in columns[name]]


def as_statistics(columns: Columns, name: Any, digits: int) -> list[str]:
    """With two decimals."""
    return [fixed_text(value, 2) for value in columns[name]]


def as_residuals(columns: Columns, name: Any, digits: int) -> list[str]:
    """With three decimals."""
    return [fixed_text(value, 3) for value in columns[name]]


def as_degrees(columns: Columns, name: Any, digits: int) -> list[str]:
    """Degrees of freedom."""
    return [df_text(df) for df in columns[name]]


def as_texts(columns: Columns, name: Any, digits: int) -> list[str]:
    """As they are; nothing where there is nothing."""
    return ["" if _is_missing(value) else str(value) for value in columns[name]]


def unrepeated(columns: Columns, name: Any, digits: int) -> list[str]:
    """Texts, those left out that are the same as in the row above."""
    texts = as_texts(columns, name, digits)
    above = ["", *texts[:-1]]
    pairs = zip(texts, above, strict=True)
    return ["" if text == before else text for text, before in pairs]


def given_correlations(columns: Columns, name: Any, digits: int) -> list[str]:
    """With two decimals; nothing where two effects are independent by the model."""
    return ["" if value is None else f"{value:.2f}" for value in columns[name]]


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value != value


COLUMN_FORMATS: MappingProxyType[str, ColumnFormat] = MappingProxyType(
    {
        **dict.fromkeys(
            ("estimate", "mean", "slope", "se", "lower", "upper"),
            beside_errors,
        ),
        **dict.fromkeys(("t", "z", "F", "chi2", "statistic"), as_statistics),
        **dict.fromkeys(("p", "pvalue", "p_boundary", "pvalue_chi2"), as_p_values),
        **dict.fromkeys(("df", "df_denom"), as_degrees),
        "group": unrepeated,
    }
)
"""Name of the column -> how it is written, in every table."""

HEADINGS: MappingProxyType[str, str] = MappingProxyType(
    {
        "group": "Group",
        "effect": "Effect",
        "estimate": "Estimate",
        "se": "Std.Err.",
        "pvalue": "p",
        "variance": "Variance",
        "sd": "Std.Dev.",
    }
)
"""Name of the column -> what stands above it; the name itself for all others."""


def format_of(columns: Columns, name: Any) -> ColumnFormat:
    """How a column is written if nothing else is said.

    Parameters
    ----------
    columns : mapping of names to Series
    name : str
        One of them.

    Examples
    --------
    >>> frame = pd.DataFrame({"pvalue": [0.2], "rows": [12], "term": ["ses"]})
    >>> [format_of(frame, name).__name__ for name in frame]
    ['as_p_values', 'as_texts', 'as_texts']
    """
    if name in COLUMN_FORMATS:
        return COLUMN_FORMATS[name]
    return as_numbers if is_float_dtype(columns[name].dtype) else as_texts
