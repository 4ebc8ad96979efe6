"""New rows in the coding of a fit: same bases, same categories, same levels."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector, IntVector
from multilevel.design.design_record import DesignEncoding, ModelDesign
from multilevel.design.expressions import Scope
from multilevel.design.fixed_effects import ColumnPlan
from multilevel.design.frames import ColumnTable, column_names, read_columns
from multilevel.design.labels import Labels, encode_labels, match_levels
from multilevel.design.row_evaluation import ColumnStore, RowEvaluation
from multilevel.design.row_values import read_row_values, refuse_unknown_column
from multilevel.design.variables import (
    CategoricalVariable,
    NumericVariable,
    Variable,
    as_floats,
    boxed_labels,
)
from multilevel.errors import DataError


@dataclass(frozen=True, slots=True)
class NewRows:
    """New data, coded as the data of the fit.

    Attributes
    ----------
    exog : (n, p_all)
        Fixed-effects columns; NaN in rows where something is missing.
    codes : tuple of (n,) integers
        Per grouping factor the level of each row, -1 where the fit has not seen it,
        where it is missing, and throughout for a factor that was not asked for.
    labels : tuple of Index (n,)
        Per grouping factor what the data call the level of each row; empty texts for
        a factor that was not asked for.
    columns : tuple of (n, k)
        Per random term its columns; NaN where missing, 0 if not asked for.
    offset : (n,) or None
        Sum of the offsets.
    index : Index (n,)
        Row labels.
    missing : (n,) booleans
        Rows in which something that was asked for is missing.
    """

    exog: FloatMatrix
    codes: tuple[IntVector, ...]
    labels: tuple[pd.Index[Any], ...]
    columns: tuple[FloatMatrix, ...]
    offset: FloatVector | None
    index: pd.Index[Any]
    missing: BoolVector


def encode_new_data(
    design: ModelDesign,
    data: Any,
    *,
    factors: Collection[str] | None = None,
    offset: Any = None,
) -> NewRows:
    """Code new data as the data of a fit were coded; no row is dropped.

    Parameters
    ----------
    design : ModelDesign
        Built from a formula.
    data : DataFrame, dict of columns, polars DataFrame, pyarrow Table
        With the columns that the fixed effects and the factors asked for use; the
        response is not needed.
    factors : collection of str, optional
        The grouping factors that matter; None for all.
    offset : str or array-like (n,), optional
        In place of the ``offset=`` of the fit, which is required again if it was an
        array.

    Returns
    -------
    NewRows

    Raises
    ------
    DataError
        For columns that are absent, levels of a fixed categorical variable that the
        fit has not seen, text where the fit had numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from multilevel.design.model_design import build_design
    >>> from multilevel.design.new_data import encode_new_data
    >>> from multilevel.formula.parse import parse_formula
    >>> data = pd.DataFrame({"y": [1.0, 2, 4, 3, 5, 4], "x": [0, 1, 2, 0, 1, 2],
    ...                      "g": list("aaabbb")})
    >>> design = build_design(parse_formula("y ~ center(x) + (1 | g)"), data)
    >>> rows = encode_new_data(design, {"x": [3.0, None], "g": ["b", "c"]})
    >>> rows.exog.tolist(), rows.codes[0].tolist()
    ([[1.0, 2.0], [nan, nan]], [1, -1])
    """
    reader = _NewDataReader.of(design, data, factors, offset)
    fixed_codes, group_codes = reader.asked()
    rows = _complete_rows(reader, (*fixed_codes, *group_codes))
    scope = Scope(design.formula.text if design.formula else "", (), {}, {})
    values = RowEvaluation(reader.store, reader.encoding.expressions, scope, rows)
    variables = {
        code: _variable(values, code, reader.encoding) for code in reader.effect_codes()
    }
    return reader.assembled(values, variables)
