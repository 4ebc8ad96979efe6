"""A design on some of its rows, as for deleting a group or for cross-validation.

Nothing is read from the data again: columns keep their meaning, so that what a spline
or a mean has learned from all rows stays as it was.

Held by tests/design/test_some_rows.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector, IntVector
from multilevel.design.design_record import ModelDesign
from multilevel.design.grouping import GroupingFactor
from multilevel.design.rank import independent_columns
from multilevel.design.validation import refuse_unusable_terms
from multilevel.errors import DataError


def on_rows(
    design: ModelDesign, rows: IntVector, *, residual_estimated: bool
) -> ModelDesign:
    """The same design on some of its rows.

    Parameters
    ----------
    design : ModelDesign
    rows : (r,) integers
        Positions of the rows that stay, ascending.
    residual_estimated : bool
        Whether the model has a residual variance to estimate.

    Returns
    -------
    ModelDesign
        Its factors have the levels that are left. It cannot code new data.

    Raises
    ------
    DataError
        If the fixed effects that were estimated cannot be from these rows, or the
        random terms leave nothing to tell them apart by.
    """
    _refuse_fewer_columns(design, design.exog[rows][:, design.kept])
    factors = tuple(_on_rows(factor, rows) for factor in design.factors)
    part = with_rows(design, rows, factors)
    refuse_unusable_terms(
        factors, part.terms, residual_estimated=residual_estimated, weights=part.weights
    )
    return part


def with_rows(
    design: ModelDesign, rows: IntVector, factors: tuple[GroupingFactor, ...]
) -> ModelDesign:
    """The arrays of a design at given rows; whether they tell enough is not asked.

    Parameters
    ----------
    design : ModelDesign
    rows : (r,) integers
        Positions of rows, some of them more than once where rows are copied.
    factors : tuple of GroupingFactor
        Of these rows.

    Returns
    -------
    ModelDesign
        It cannot code new data.
    """
    return replace(
        design,
        y=design.y[rows],
        exog=np.asfortranarray(design.exog[rows]),
        weights=_part(design.weights, rows),
        offset=_part(design.offset, rows),
        factors=factors,
        terms=tuple(
            replace(term, columns=np.asfortranarray(term.columns[rows]))
            for term in design.terms
        ),
        index=design.index[rows],
        encoding=None,
        rows=rows if design.rows is None else design.rows[rows],
        trials=_part(design.trials, rows),
    )


def _part(values: FloatVector | None, rows: IntVector) -> FloatVector | None:
    return None if values is None else values[rows]


def _on_rows(factor: GroupingFactor, rows: IntVector) -> GroupingFactor:
    used, codes = np.unique(factor.codes[rows], return_inverse=True)
    return replace(factor, codes=codes.astype(np.intp), levels=factor.levels[used])


def _refuse_fewer_columns(design: ModelDesign, columns: FloatMatrix) -> None:
    kept = independent_columns(columns)
    if len(kept) == columns.shape[1] < len(columns):
        return
    lost = [n for j, n in enumerate(design.kept_names) if j not in set(kept.tolist())]
    what = ", ".join(map(repr, lost[:6])) or "the residual variance"
    raise DataError(f"{what} cannot be estimated from the {len(columns)} rows left")
