"""The regression of a single group, as statsmodels' results.

Held by tests/comparison/test_unpooled.py and tests/comparison/test_unpooled_glm.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from multilevel.array_types import IntVector
from multilevel.comparison.pooled import pooled_regression
from multilevel.comparison.pooled_glm import statsmodels_glm
from multilevel.comparison.statsmodels_family import statsmodels_family
from multilevel.design.model_design import ModelDesign
from multilevel.errors import DataError

if TYPE_CHECKING:
    from statsmodels.regression.linear_model import RegressionResultsWrapper

    from multilevel.comparison.unpooled import Unpooled


def regression_of_group(fits: Unpooled, group: Any) -> RegressionResultsWrapper:
    """As `Unpooled.regression`."""
    if group in fits.excluded:
        raise DataError(
            f"{fits.factor.name} {group!r} has no regression ({fits.excluded[group]})"
        )
    if group not in fits.factor.levels:
        raise DataError(
            f"there is no {fits.factor.name} {group!r}; the first of the "
            f"{fits.factor.n_levels} groups is {fits.factor.levels[0]!r}"
        )
    code = fits.factor.levels.get_loc(group)
    design = _of_rows(fits.design, np.flatnonzero(fits.factor.codes == code), fits)
    if fits.family is None:
        return pooled_regression(design)
    shapes = fits.family.shape_values(np.ones(len(fits.family.shapes)))
    instance = statsmodels_family(fits.family, fits.family, shapes)
    return statsmodels_glm(design, fits.family, instance)


def _of_rows(design: ModelDesign, rows: IntVector, fits: Unpooled) -> ModelDesign:
    """The fixed part of a design on some rows, with the columns that groups have."""
    values = (design.weights, design.offset, design.trials)
    weights, offset, trials = (None if v is None else v[rows] for v in values)
    return replace(
        design,
        y=design.y[rows],
        exog=design.exog[rows],
        kept=fits.columns,
        weights=weights,
        offset=offset,
        trials=trials,
        index=design.index[rows],
    )
