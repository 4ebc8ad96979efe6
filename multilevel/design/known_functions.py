"""Functions and methods of which it is known whether they go row by row.

Held by tests/models/test_hostile_files.py.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

# A value per row, of that row's arguments. All of numpy's ufuncs are such, too.
ROW_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    np.where, np.clip, np.nan_to_num, np.round, np.around, np.real, np.imag,
    np.array, np.asarray, np.select, np.column_stack,
    pd.isna, pd.isnull, pd.notna, pd.notnull, abs, round,
)  # fmt: skip
# The same, with tables that are written down.
LOOKUPS: tuple[Callable[..., Any], ...] = (np.isin, np.interp, np.digitize)
# Of these, the ones that take a list of columns.
LIST_FUNCTIONS: tuple[Callable[..., Any], ...] = (np.select, np.column_stack)
# One value of a whole column.
REDUCTIONS: tuple[Callable[..., Any], ...] = (
    np.mean, np.median, np.std, np.var, np.min, np.max, np.sum, np.prod, np.ptp,
    np.average, np.quantile, np.percentile, np.nanmean, np.nanmedian, np.nanstd,
    np.nanvar, np.nanmin, np.nanmax, np.nansum, np.nanquantile, np.nanpercentile,
    len, max, min, sum,
)  # fmt: skip
CUTTING: tuple[Callable[..., Any], ...] = (pd.cut, pd.qcut)
# Several values that are written down.
LISTING_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    np.array, np.asarray, np.arange, np.linspace, np.logspace, np.geomspace,
    list, tuple, dict, set, range,
)  # fmt: skip
# One value, of one value.
SCALAR_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    int, float, bool, str, abs, round, max, min, len, sum, pd.Timestamp, pd.Timedelta,
)  # fmt: skip

ROW_ATTRIBUTES = frozenset("array dt imag real str values".split())
ROW_METHODS = frozenset(
    "abs add astype between clip combine_first div divide eq fillna floordiv ge gt "
    "isna isnull le lt mask mod mul multiply ne notna notnull pow radd rdiv rfloordiv "
    "rmod rmul round rpow rsub rtruediv sub subtract to_numpy truediv where".split()
)
# Of these the arguments are written lists, dicts or functions of one value.
LISTING_METHODS = frozenset("isin map replace".split())
REDUCING_METHODS = frozenset(
    "all any count kurt kurtosis max mean median min nunique prod product ptp quantile "
    "sem skew std sum var".split()
)
TEXT_METHODS = frozenset(
    "capitalize casefold contains count endswith extract find fullmatch get isalnum "
    "isalpha isdecimal isdigit islower isnumeric isspace istitle isupper len lower "
    "lstrip match pad removeprefix removesuffix replace rfind rstrip slice startswith "
    "strip swapcase title upper zfill".split()
)
# Options with which a function fills from other rows, or works along an axis.
SHAPING_OPTIONS = frozenset(("axis", "keepdims", "level", "limit", "method", "out"))
# Of whole numbers these go beyond 64 bits.
SUMS = frozenset(("cumsum", "nansum", "sum"))
PRODUCTS = frozenset(("cumprod", "prod", "product"))
ACCUMULATING = SUMS | PRODUCTS

# What is computed by `exact_arithmetic` instead.
EXACT_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "_plus",
    ast.Sub: "_minus",
    ast.Mult: "_times",
    ast.Pow: "_power",
}
EXACT_UFUNCS: dict[Any, str] = {
    np.add: "_plus",
    np.subtract: "_minus",
    np.multiply: "_times",
    np.power: "_power",
    np.square: "_square",
}
EXACT_METHODS = {
    "add": "_plus",
    "sub": "_minus",
    "subtract": "_minus",
    "mul": "_times",
    "multiply": "_times",
    "pow": "_power",
}
