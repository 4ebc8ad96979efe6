"""Standard errors and limits of the effects and coefficients of every level.

A coefficient of a level, a fixed effect plus the level's random effect of the same
column, is the linear predictor of a row that has one in that column and zero elsewhere;
a random effect is that of a row whose fixed part is zero.  So their errors are those of
predictions: by the mixed-model equations, fixed and random effects jointly, as in
`prediction_error`.

References
----------
Henderson (1975), Biometrics 31, 423-447.

Held by tests/prediction/test_level_errors.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.display.column_formats import as_degrees, unrepeated
from multilevel.display.frame_table import FrameTable
from multilevel.errors import DataError
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.prediction.level_tables import (
    coefficient_tables,
    level_tables,
    row_labels,
)
from multilevel.prediction.linear_limits import LinearLimits, PredictionDf
from multilevel.prediction.prediction_error import PredictedMeans, predicted_means
from multilevel.prediction.prediction_rows import RowsToPredict
from multilevel.prediction.student_quantiles import two_sided_quantiles


def random_effect_errors(fitted: FittedModel) -> dict[str, pd.DataFrame]:
    """Standard errors of the conditional modes by grouping factor.

    Parameters
    ----------
    fitted : FittedModel

    Returns
    -------
    dict of str to DataFrame
        Of the shape of `level_tables`: roots of the mean squared errors of prediction,
        the uncertainty of the fixed effects included.
    """
    tables = level_tables(fitted)
    return {
        name: pd.DataFrame(
            _errors(fitted, k, with_fixed=False), index=own.index, columns=own.columns
        )
        for k, (name, own) in enumerate(tables.items())
    }


def coefficient_errors(fitted: FittedModel) -> dict[str, pd.DataFrame]:
    """Standard errors of each level's coefficients by grouping factor.

    Parameters
    ----------
    fitted : FittedModel

    Returns
    -------
    dict of str to DataFrame
        Of the shape of `coefficient_tables`; in columns without a random effect the
        standard error of the fixed effect.
    """
    design, tables = fitted.design, {}
    fixed = np.sqrt(np.square(fitted.fixed_root).sum(axis=1))
    for k, (name, own) in enumerate(coefficient_tables(fitted).items()):
        values = np.tile(
            np.append(fixed, np.zeros(own.shape[1] - len(fixed))), (len(own), 1)
        )
        errors, alone = _errors(fitted, k, with_fixed=True), len(fixed)
        for column, place in zip(errors.T, _places(design, k), strict=True):
            values[:, alone if place < 0 else place] = column
            alone += place < 0
        tables[name] = pd.DataFrame(values, index=own.index, columns=own.columns)
    return tables


def effects_table(
    fitted: FittedModel,
    factor: str | None,
    *,
    with_fixed: bool,
    alpha: float,
    denominators: Callable[[], PredictionDf],
) -> FrameTable:
    """Estimates, standard errors and limits of what varies between levels.

    Parameters
    ----------
    fitted : FittedModel
    factor : str or None
        Name of the grouping factor; None where there is one only.
    with_fixed : bool
        Whether the fixed effects of the same columns are added.
    alpha : float
        One minus the coverage of each level's limits.
    denominators : callable
        Gives the degrees of freedom of a linear model; limits of a generalized one are
        normal.

    Returns
    -------
    FrameTable
        A row for each level and effect: `level, effect, estimate, se, df, lower,
        upper`.

    Raises
    ------
    DataError
        If there is no such factor, or several and none is named.
    """
    position = _position(fitted.design, factor)
    means = predicted_means(fitted, _rows(fitted.design, position, with_fixed))
    se = np.sqrt(means.variance)
    df = _degrees(fitted, means, denominators)
    # An effect that is zero in every level has no error, whatever its df.
    reach = np.where(se > 0.0, two_sided_quantiles(df, alpha) * se, 0.0)
    own, names = fitted.design.factors[position], _names(fitted.design, position)
    levels = row_labels(own)
    columns = {
        "level": levels.repeat(len(names)),
        "effect": names * len(levels),
        "estimate": means.eta,
        "se": se,
        "df": df,
        "lower": means.eta - reach,
        "upper": means.eta + reach,
    }
    return FrameTable(
        pd.DataFrame(columns),
        f"{'Coefficients' if with_fixed else 'Random effects'} by {own.name}:",
        (_note(alpha),),
        headings={"level": own.name, "effect": "Effect"},
        formats={"level": unrepeated, "df": as_degrees},
    )


def _note(alpha: float) -> str:
    return (
        f"Limits cover {100 * (1 - alpha):g} %, each for itself; fixed and random "
        "effects are uncertain jointly, variance parameters are taken as estimated."
    )


def _degrees(
    fitted: FittedModel, means: PredictedMeans, denominators: Callable[[], PredictionDf]
) -> FloatVector:
    if not isinstance(fitted, LinearFittedModel):
        return np.full(len(means.eta), np.inf)
    limits = LinearLimits(fitted=fitted, means=means, denominators=denominators)
    return limits.mean_df()


def _errors(fitted: FittedModel, position: int, *, with_fixed: bool) -> FloatMatrix:
    """Standard errors (J, S) of the effects of one factor."""
    rows = _rows(fitted.design, position, with_fixed)
    variance = predicted_means(fitted, rows).variance
    n_levels = len(fitted.design.factors[position].levels)
    return np.asarray(np.sqrt(variance).reshape(n_levels, -1))


def _position(design: ModelDesign, factor: str | None) -> int:
    """Position of the grouping factor of that name."""
    names = design.factor_names
    if factor is None and len(names) == 1:
        return 0
    if factor in names:
        return names.index(factor)
    said = "several grouping factors" if factor is None else f"no factor {factor!r}"
    raise DataError(
        f"there {'are' if factor is None else 'is'} {said}: name one of "
        f"{', '.join(map(repr, names))}"
    )


def _names(design: ModelDesign, position: int) -> list[str]:
    """Names of the effects of one factor, terms in formula order, (S,)."""
    own = (design.terms[t] for t in design.terms_on(position))
    return [name for term in own for name in term.effects]


def _places(design: ModelDesign, position: int) -> list[int]:
    """For each of them the position of its column in X; -1 if it has none, (S,)."""
    place = {int(column): number for number, column in enumerate(design.kept)}
    own = (design.terms[t] for t in design.terms_on(position))
    return [place.get(shared, -1) for term in own for shared in term.shared]


def _rows(design: ModelDesign, position: int, with_fixed: bool) -> RowsToPredict:
    """A row for each level and effect of one factor, those of a level together."""
    places, n_levels = _places(design, position), len(design.factors[position].levels)
    n_effects, n = len(places), len(places) * n_levels
    fixed = np.zeros((n_effects, len(design.kept)))
    for row, place in enumerate(places):
        if with_fixed and place >= 0:
            fixed[row, place] = 1.0
    columns, first = [], 0
    for term in design.terms:
        own = np.zeros((n_effects, len(term.effects)))
        if term.factor_index == position:
            own = np.eye(n_effects)[:, first : first + len(term.effects)]
            first += len(term.effects)
        columns.append(np.tile(own, (n_levels, 1)))
    unused, levels = np.full(n, -1), np.repeat(np.arange(n_levels), n_effects)
    return RowsToPredict(
        X=np.tile(fixed, (n_levels, 1)),
        codes=tuple(
            levels if k == position else unused for k in range(len(design.factors))
        ),
        columns=tuple(columns),
        offset=np.zeros(n),
        weights=np.ones(n),
        missing=np.zeros(n, dtype=bool),
        index=pd.RangeIndex(n),
    )
