"""Random effects with which every row has a mean, where the fixed part alone has none.

A log link of a probability, an identity or an inverse link of a positive mean leave a
part of the line without a mean. The fixed part of a row may lie there while its linear
predictor does not: rows outside are drawn to where their own response puts them, each
time more strongly, by penalized least squares.

Held by tests/likelihood/generalized/test_feasible_effects.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.elimination.eliminate import Elimination, eliminate
from multilevel.likelihood.elimination.solve import solve
from multilevel.likelihood.elimination.weighted_rows import (
    EffectLayout,
    weighted_products,
)
from multilevel.likelihood.families.row_likelihood import RowLikelihood

MAX_PULLS = 25
"""After which the farthest row has been weighted up by 1e15."""


def feasible_effects(
    likelihood: RowLikelihood,
    layout: EffectLayout,
    base: FloatVector,
    inside: FloatVector,
    lams: Sequence[FloatMatrix],
    shapes: FloatVector,
) -> tuple[Elimination, list[FloatMatrix]] | None:
    """Where the likelihood is finite; None if that is not found.

    Parameters
    ----------
    likelihood : RowLikelihood
    layout : EffectLayout
    base : (n,)
        Fixed part of eta, offset included.
    inside : (n,)
        Where each row alone has a mean.
    lams : one (S, S) for each factor
    shapes : (s,)

    Returns
    -------
    elimination : Elimination
    rhs : one (S, J) for each factor
        The effects are ``solve(elimination, rhs)``.
    """
    told = likelihood.expected_weight(inside, shapes)
    told = np.where(np.isfinite(told) & (told > 0.0), told, 1.0)
    weight, eta = np.zeros(len(base)), base
    found = None
    for _ in range(MAX_PULLS):
        density, _ = likelihood.density(eta, shapes)
        outside = ~np.isfinite(density)
        if not outside.any():
            return found
        # Only rows still outside are pulled: one that is inside is left where the
        # others put it, or effects would follow every response.
        weight = np.where(outside, np.maximum(4.0 * weight, told), weight)
        elimination = eliminate(weighted_products(layout, weight), lams)
        found = elimination, layout.rows.collect(weight * (inside - base))
        eta = layout.rows.spread(solve(*found)) + base
    return None
