"""No pooling: a regression of its own for each group, all groups at once.

Held by tests/comparison/test_unpooled.py, tests/comparison/test_unpooled_glm.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, IntVector
from multilevel.comparison.fittable_groups import FittableGroups, fittable_groups
from multilevel.comparison.unpooled import Unpooled
from multilevel.design.grouping import GroupingFactor
from multilevel.design.model_design import ModelDesign
from multilevel.errors import ComparisonError
from multilevel.likelihood.families.traits import Family
from multilevel.likelihood.rows.effect_rows import LevelIndex
from multilevel.optimize.common.level_fits import LevelFits
from multilevel.optimize.generalized.level_fits import fit_generalized_levels
from multilevel.optimize.generalized.level_rows import (
    GeneralizedLevels,
    LevelResponses,
)
from multilevel.optimize.linear.level_fits import fit_linear_levels


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be fitted."""

    design: ModelDesign
    family: Family | None
    factor: GroupingFactor
    formula: str


def fit_unpooled(
    design: ModelDesign, family: Family | None, *, group: str | None, formula: str
) -> Unpooled:
    """Fit the fixed part of a design in every level of a grouping factor.

    Parameters
    ----------
    design : ModelDesign
    family : Family or None
        None for linear regressions.
    group : str or None
        Name of the factor; None if the design has one only.
    formula : str
        As the user wrote it.

    Returns
    -------
    Unpooled

    Raises
    ------
    ComparisonError
        For a factor that the design does not have, and if no group can be fitted.
    """
    factor = _factor(design, group)
    asked = _Asked(design, family, factor, formula)
    if not len(design.kept):
        raise ComparisonError(
            "the formula has no fixed effects, so there is nothing to fit in a group; "
            "write at least an intercept, as in 'y ~ 1 + (1 | g)'"
        )
    has_scale = family is None or family.has_scale
    order = np.argsort(factor.codes, kind="stable")
    index = LevelIndex(factor.codes[order], factor.n_levels)
    exog = np.asfortranarray(design.X[order])
    found = fittable_groups(
        exog, design.kept_names, index, factor=factor.name, has_scale=has_scale
    )
    _refuse_nothing(found.excluded, factor)
    inside = np.flatnonzero(index.spread(found.fitted))
    rows, columns = order[inside], exog[np.ix_(inside, found.columns)]
    sizes = factor.sizes[found.fitted]
    own = LevelIndex(np.repeat(np.arange(len(sizes)), sizes), len(sizes))
    names = tuple(design.kept_names[k] for k in found.columns)
    fits = _fits(asked, names, columns, rows, own)
    return _value(asked, found, fits, rows)


def _factor(design: ModelDesign, group: str | None) -> GroupingFactor:
    names = ", ".join(map(repr, design.factor_names))
    if group is None and len(design.factors) > 1:
        raise ComparisonError(
            f"the formula has {len(design.factors)} grouping factors, {names}; say "
            "whose groups get a regression each, as in "
            f"group={design.factor_names[0]!r}"
        )
    if group is not None and group not in design.factor_names:
        raise ComparisonError(
            f"group={group!r} is no grouping factor of the formula; there is {names}"
        )
    return design.factors[0] if group is None else design.factor(group)


def _refuse_nothing(excluded: dict[int, str], factor: GroupingFactor) -> None:
    """Refuse if no group is left, with the first reasons."""
    if len(excluded) < factor.n_levels:
        return
    numbers = sorted(excluded)[:3]
    why = "; ".join(f"{factor.levels[j]}: {excluded[j]}" for j in numbers)
    raise ComparisonError(
        f"none of the {factor.n_levels} groups of {factor.name!r} can have a "
        f"regression of its own ({why}{'; ...' if len(excluded) > 3 else ''}). Use "
        "fewer columns, or groups with more rows"
    )


def _fits(
    asked: _Asked,
    names: tuple[str, ...],
    columns: FloatMatrix,
    rows: IntVector,
    index: LevelIndex,
) -> LevelFits:
    design, family = asked.design, asked.family
    offset = np.zeros(design.nobs) if design.offset is None else design.offset
    if family is None:
        weights = None if design.weights is None else design.weights[rows]
        return fit_linear_levels(columns, (design.y - offset)[rows], weights, index)
    responses = LevelResponses(design.y, design.weights, design.trials, offset)
    levels = GeneralizedLevels.bound(family, names, columns, responses.of(rows), index)
    return fit_generalized_levels(levels)


def _value(
    asked: _Asked, found: FittableGroups, fits: LevelFits, rows: IntVector
) -> Unpooled:
    """The estimates with the names and rows that they belong to."""
    design, factor = asked.design, asked.factor
    candidates = np.flatnonzero(found.fitted)
    excluded = found.excluded | {
        int(candidates[at]): reason for at, reason in fits.failed.items()
    }
    _refuse_nothing(excluded, factor)
    fitted = np.delete(candidates, list(fits.failed))
    eta = np.full(design.nobs, np.nan)
    eta[rows] = fits.eta
    if asked.family is None and design.offset is not None:
        eta += design.offset
    eta[~np.isin(factor.codes, fitted)] = np.nan
    aliased = np.setdiff1d(np.arange(len(design.exog_names)), design.kept)
    dropped = {design.exog_names[k]: _ALIASED for k in aliased}
    dropped |= {design.kept_names[k]: why for k, why in found.dropped.items()}
    return Unpooled(
        design=design,
        family=asked.family,
        formula=asked.formula,
        factor=factor,
        columns=design.kept[found.columns],
        fitted=fitted,
        fits=fits,
        eta=eta,
        excluded={factor.levels[j]: excluded[j] for j in sorted(excluded)},
        dropped=dropped,
    )


_ALIASED = "depends on the columns before it in all rows"
