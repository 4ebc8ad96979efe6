"""A linear regression in every level of a factor, by least squares.

Held by tests/comparison/test_unpooled.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.rows.effect_rows import LevelIndex
from multilevel.likelihood.rows.level_regressions import (
    LevelBasis,
    level_basis,
    level_inverses,
    level_solutions,
)
from multilevel.optimize.common.level_fits import LevelFits

_ROUNDING = 8.0 * np.finfo(float).eps
"""Of a residual, in units of the response's length, above which it is no rounding."""


def fit_linear_levels(
    columns: FloatMatrix,
    response: FloatVector,
    weights: FloatVector | None,
    index: LevelIndex,
) -> LevelFits:
    """Weighted least squares in each level, each with its own residual variance.

    Parameters
    ----------
    columns : (n, p)
        Independent in every level.
    response : (n,)
        Less the offset.
    weights : (n,) or None
        Var(e_i) = sigma_j^2 / w_i.
    index : LevelIndex

    Returns
    -------
    LevelFits
    """
    roots = None if weights is None else np.sqrt(weights)
    basis = level_basis(_times(columns, roots), index)
    found = level_solutions(basis, response if roots is None else roots * response)
    squares = _without_rounding(found.ssr, response, roots, basis)
    rest = found.rest if roots is None else found.rest / roots
    return LevelFits(
        params=found.params,
        unscaled=level_inverses(basis),
        squares=squares,
        llf=_log_likelihoods(squares, weights, index),
        eta=response - rest,
    )


def _times(columns: FloatMatrix, roots: FloatVector | None) -> FloatMatrix:
    return columns if roots is None else columns * roots[:, np.newaxis]


def _without_rounding(
    ssr: FloatVector,
    response: FloatVector,
    roots: FloatVector | None,
    basis: LevelBasis,
) -> FloatVector:
    """Sums of squares (J,), zero where they are rounding of the response only."""
    sized = response if roots is None else roots * response
    with np.errstate(over="ignore"):
        total = basis.index.sums(sized * sized)
    # Rounding of a row is a unit of its response, whatever is fitted to it.
    return np.where(ssr > _ROUNDING**2 * total, ssr, 0.0)


def _log_likelihoods(
    squares: FloatVector, weights: FloatVector | None, index: LevelIndex
) -> FloatVector:
    """At the variances RSS_j / n_j, (J,); infinite where that is zero."""
    n = index.sums(None)
    with np.errstate(divide="ignore"):
        llf = -0.5 * n * (np.log(2.0 * np.pi * squares / n) + 1.0)
    if weights is not None:
        llf += 0.5 * index.sums(np.log(weights))
    return np.asarray(llf)
