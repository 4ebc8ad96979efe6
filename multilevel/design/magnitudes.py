"""Numbers too large, too small or too nearly equal to be computed with.

Held by tests/design/test_array_interface.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.design.design_record import ModelDesign
from multilevel.errors import DataError

# Variances are squares of ratios of the response to a column, and their covariances
# are squares of those: eighth powers of this must stay below 1e308.
LARGEST = 1e35


def refuse_extreme_numbers(design: ModelDesign) -> None:
    """Refuse columns whose powers would overflow or vanish.

    Parameters
    ----------
    design : ModelDesign

    Raises
    ------
    DataError
        Naming the column, or if the response less its offset is constant.
    """
    _refuse_extreme(design.y, design.response)
    if design.weights is not None:
        _refuse_extreme(design.weights, "weights")
    if design.offset is not None:
        _refuse_extreme(design.offset, "offset", smallest=0.0)
        _refuse_constant_difference(design.y, design.offset, design.response)
    kept = set(design.kept.tolist())
    for position in kept:
        _refuse_extreme(design.exog[:, position], design.exog_names[position])
    for term in design.terms:
        for name, column, shared in zip(
            term.effects, term.columns.T, term.shared, strict=True
        ):
            if shared not in kept:
                _refuse_extreme(column, name)


def _refuse_extreme(
    values: FloatVector, name: str, *, smallest: float = 1.0 / LARGEST
) -> None:
    largest = max(float(values.max()), -float(values.min()))
    if smallest <= largest <= LARGEST or largest == 0.0:
        return
    raise DataError(
        f"the largest number in {name!r} is {largest:.3g} in size, but computing needs "
        f"columns between {1.0 / LARGEST:g} and {LARGEST:g}; give it in another unit, "
        "for example divided by its standard deviation"
    )


def _refuse_constant_difference(y: FloatVector, offset: FloatVector, name: str) -> None:
    left = y - offset
    rounding = 8.0 * np.finfo(float).eps * max(np.abs(y).max(), np.abs(offset).max())
    if np.ptp(left) <= rounding:
        raise DataError(
            f"the response {name!r} less its offset is {left[0]:g} in all {len(y)} "
            "rows, up to rounding; there is nothing to explain. Is it the right offset?"
        )
