"""What an expression gives: numbers, or categories.

Held by tests/design/test_bad_data.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector, FloatMatrix, IntVector
from multilevel.design.labels import Labels, encode_labels, shown_levels
from multilevel.errors import DataError, FormulaError

# What pandas calls the content of an object column that holds numbers only.
_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")


@dataclass(frozen=True, slots=True)
class NumericVariable:
    """Numbers, one or more columns.

    Attributes
    ----------
    values : (n, c) floats or integers
        NaN where missing.
    """

    values: FloatMatrix

    @property
    def missing(self) -> BoolVector | None:
        """Rows in which a column is missing, (n,); None if none is."""
        values = self.values
        if values.dtype.kind != "f" or not has_nan(values):
            return None
        missing: BoolVector = np.asarray(np.isnan(values).any(axis=1))
        return missing if missing.any() else None

    def of_rows(self, rows: IntVector) -> NumericVariable:
        """The same variable, fewer rows."""
        return NumericVariable(self.values[rows])


@dataclass(frozen=True, slots=True)
class CategoricalVariable:
    """Categories.

    Attributes
    ----------
    labels : Labels
        Codes (n,) and levels.
    contrast : object
        What ``C(x, contrast)`` asked for; None for treatment coding.
    """

    labels: Labels
    contrast: Any = None

    @property
    def missing(self) -> BoolVector | None:
        """Rows without a category, (n,); None if there are none."""
        missing = self.labels.missing
        return missing if missing.any() else None

    def of_rows(self, rows: IntVector) -> CategoricalVariable:
        """The same variable, fewer rows."""
        return CategoricalVariable(self.labels.of_rows(rows), self.contrast)

    def without_unused_levels(self) -> CategoricalVariable:
        """Only the levels that occur; all, if the contrast has a row for each."""
        # Rows of a matrix belong to levels by position: leaving
        # a level out would shift them.
        is_matrix = isinstance(self.contrast, (np.ndarray, list)) or hasattr(
            self.contrast, "matrix"
        )
        if is_matrix:
            return self
        return CategoricalVariable(self.labels.without_unused_levels(), self.contrast)


Variable: TypeAlias = NumericVariable | CategoricalVariable


def has_nan(values: FloatMatrix) -> bool:
    """Whether a sum of the values is NaN; much cheaper than looking at each.

    True if one of them is NaN, and also if there are infinite ones of both signs.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isnan(values.sum()))


def as_variable(
    value: Any,
    name: str,
    n_rows: int,
    encode: Callable[[Any], Labels] = encode_labels,
) -> Variable:
    """Tell numbers from categories, by patsy's rules.

    Parameters
    ----------
    value : Series, array, Categorical, DataFrame, ``C(...)``
        What the expression gave.
    name : str
        The expression, for errors.
    n_rows : int
        Number of values there must be.
    encode : callable
        Codes a column of labels; a caller may have done that already.

    Returns
    -------
    NumericVariable or CategoricalVariable
        Numbers (also in an object column) are numeric; booleans, text and categories
        categorical.

    Raises
    ------
    DataError
        For dates and complex numbers.
    FormulaError
        If there is not one value per row.
    """
    if hasattr(value, "contrast") and hasattr(value, "levels"):
        labels = boxed_labels(value, name, n_rows)
        return CategoricalVariable(labels, value.contrast)
    value = _one_per_row(value, name, n_rows)
    if value.ndim == 2:
        return NumericVariable(_float_columns(value, name))
    dtype = value.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "fiu":
        return NumericVariable(np.asarray(value)[:, np.newaxis])
    if is_numeric(value):
        return NumericVariable(as_floats(value, name)[:, np.newaxis])
    _refuse_dates(value, name)
    return CategoricalVariable(encode(value))


def boxed_labels(box: Any, name: str, n_rows: int) -> Labels:
    """Labels of ``C(x, levels=[...])``, in the order that it names."""
    labels = encode_labels(_one_per_row(box.data, name, n_rows))
    if box.levels is None:
        return labels
    wanted = pd.Index(list(box.levels), tupleize_cols=False)
    positions = wanted.get_indexer(labels.without_unused_levels().levels)
    if (positions < 0).any():
        unlisted = labels.without_unused_levels().levels[positions < 0]
        raise DataError(
            f"{name} does not list the level {shown_levels(unlisted[:1])}, which "
            "occurs in the data; add it to levels=, or make it missing"
        )
    all_positions = wanted.get_indexer(labels.levels)
    return Labels(np.append(all_positions, -1)[labels.codes], wanted)


def is_numeric(values: Any) -> bool:
    """Whether a column holds numbers; booleans are not, text of digits is not."""
    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return pd.api.types.infer_dtype(values, skipna=True) in _NUMBERS
    return pd.api.types.is_numeric_dtype(dtype) and not (
        pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_complex_dtype(dtype)
    )


def as_floats(values: Any, name: str) -> FloatMatrix:
    """A column of numbers or booleans as floats (n,), NaN where missing.

    Raises
    ------
    DataError
        For anything else, with an example of it.
    """
    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "fiub":
        return np.asarray(values, dtype=float)
    _refuse_complex(values, name)
    if pd.api.types.is_bool_dtype(dtype) or is_numeric(values):
        return pd.Series(values).to_numpy(dtype=float, na_value=np.nan)
    present = pd.Series(values).dropna()
    example = f", such as {present.iloc[0]!r}" if len(present) else ""
    raise DataError(
        f"{name!r} must hold numbers, but it holds {kind_of(values)}{example}; "
        f"convert it, for example by pd.to_numeric(data[{name!r}], errors='coerce')"
    )


def _one_per_row(value: Any, name: str, n_rows: int) -> Any:
    if not hasattr(value, "dtype") and not isinstance(value, pd.DataFrame):
        try:
            value = np.asarray(value)
        except ValueError:
            raise FormulaError(
                f"{name!r} gives values of several lengths, not one per row",
                hint="terms are joined by +, not by a comma",
            ) from None
    if value.ndim == 0:
        raise FormulaError(
            f"{name!r} gives a single value ({value!s:.30}), not one per row",
            hint="use it in an expression with a column",
        )
    if value.ndim > 2 or len(value) != n_rows:
        raise FormulaError(
            f"{name!r} gives values of shape {np.shape(value)}, but there are "
            f"{n_rows} rows"
        )
    return value


def _float_columns(value: Any, name: str) -> FloatMatrix:
    array = value.to_numpy() if isinstance(value, pd.DataFrame) else np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"{name!r} gives {array.shape[1]} columns that are not numbers "
            f"({array.dtype})"
        )
    return np.asarray(array, dtype=float)


def _refuse_complex(values: Any, name: str) -> None:
    is_complex = pd.api.types.is_complex_dtype(values.dtype) or (
        values.dtype == object
        and pd.api.types.infer_dtype(values, skipna=True) == "complex"
    )
    if is_complex:
        n_complex = int(np.count_nonzero(np.imag(np.asarray(values, dtype=complex))))
        raise DataError(
            f"{name!r} holds complex numbers ({n_complex} of {len(values)} rows have "
            "an imaginary part); use np.real() or np.abs() of it"
        )


def _refuse_dates(values: Any, name: str) -> None:
    _refuse_complex(values, name)
    kind = kind_of(values)
    if kind in ("dates", "durations", "periods"):
        raise DataError(
            f"{name!r} holds {kind}; make numbers of them, for example days since the "
            f"first, or write C({name}) for a level per value"
        )


def kind_of(values: Any) -> str:
    """What a column holds, in plain words, for messages."""
    inferred = pd.api.types.infer_dtype(values, skipna=True)
    kinds = {
        "string": "text",
        "categorical": "categories",
        "datetime64": "dates",
        "datetime": "dates",
        "date": "dates",
        "timedelta64": "durations",
        "timedelta": "durations",
        "period": "periods",
        "empty": "missing values only",
    }
    return kinds.get(inferred, f"values of kind {inferred!r}")
