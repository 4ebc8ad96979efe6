"""Refuse a residual that is rounding: such a likelihood has no maximum.

Held by tests/models/test_mixedlm.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.design.model_design import ModelDesign
from multilevel.errors import FitError


def refuse_exact_fit(design: ModelDesign, sigma: float) -> None:
    """Refuse an estimate whose residual standard deviation is rounding.

    Parameters
    ----------
    design : ModelDesign
    sigma : float

    Raises
    ------
    FitError
        That names a grouping factor within whose levels the response is constant.
    """
    # By the rows: rounding is that of the largest response, which no sum of squares of
    # a response less its mean tells of.
    size = float(np.abs(design.y).max())
    # In the unit of y: sigma belongs to a row of weight one, which need not exist.
    spread = sigma if design.weights is None else sigma / design.weights.mean() ** 0.5
    if spread > 32.0 * np.finfo(float).eps * size:
        return
    constant = [
        factor.name for factor in design.factors if factor.is_constant_within(design.y)
    ]
    why = f" (it is the same within each level of {constant[0]!r})" if constant else ""
    raise FitError(
        f"the fixed and random effects explain {design.response!r} exactly{why}: the "
        f"residual standard deviation is {spread:.1g}, which is rounding, and the "
        "likelihood has no maximum. Leave out what the response was computed from, or "
        "a random effect"
    )
