"""Predictions by the regressions of single groups.

Held by tests/comparison/test_unpooled.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatVector
from multilevel.design.new_data import NewRows, encode_new_data
from multilevel.errors import DataError
from multilevel.option_values import as_word

if TYPE_CHECKING:
    from multilevel.comparison.unpooled import Unpooled


def unpooled_predictions(
    fits: Unpooled, data: Any, *, kind: str, new_levels: str, offset: Any
) -> pd.Series:
    """As `Unpooled.predict`."""
    as_word(kind, ("response", "link"), "kind")
    as_word(new_levels, ("raise", "missing"), "new_levels")
    if data is None and offset is not None:
        raise DataError("offset= belongs to new rows; give data= too")
    if data is None:
        eta, index = fits.eta, fits.design.index
    else:
        rows = encode_new_data(
            fits.design, data, factors=[fits.factor.name], offset=offset
        )
        eta, index = _linear_predictor(fits, rows, new_levels), rows.index
    if kind == "response" and fits.family is not None:
        eta = np.asarray(fits.family.link.mean(eta))
    return pd.Series(eta, index)


def _linear_predictor(fits: Unpooled, rows: NewRows, new_levels: str) -> FloatVector:
    position = fits.design.factor_names.index(fits.factor.name)
    place = np.full(fits.factor.n_levels + 1, -1)
    place[fits.fitted] = np.arange(len(fits.fitted))
    found = place[rows.codes[position]]  # the last place is that of unseen groups
    if new_levels == "raise":
        _refuse_unfitted(fits, rows, position, found)
    eta = np.einsum("ip,pi->i", rows.exog[:, fits.columns], fits.fits.params[:, found])
    if rows.offset is not None:
        eta = eta + rows.offset
    eta[found < 0] = np.nan
    return np.asarray(eta)


def _refuse_unfitted(
    fits: Unpooled, rows: NewRows, position: int, found: np.ndarray
) -> None:
    lost = np.flatnonzero((found < 0) & ~rows.missing)
    if not len(lost):
        return
    code = rows.codes[position][lost[0]]
    label = rows.labels[position][lost[0]]
    why = "the fit has not seen it" if code < 0 else fits.excluded[
        fits.factor.levels[code]
    ]  # fmt: skip
    raise DataError(
        f"{len(lost)} of {len(found)} rows are of groups without a regression, the "
        f"first of {fits.factor.name} {label!r} ({why}); new_levels='missing' leaves "
        "them missing"
    )
