"""Refusals that need the whole design, and the aliased columns.

Held by tests/design/test_bad_data.py and tests/design/test_rank.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector, IntVector
from multilevel.design.fixed_effects import ColumnPlan
from multilevel.design.grouping import GroupingFactor, refuse_unusable_factor
from multilevel.design.labels import shown_levels
from multilevel.design.random_effects import RandomTermDesign
from multilevel.design.rank import independent_columns
from multilevel.design.response import (
    refuse_constant,
    refuse_infinite,
    refuse_wrong_proportions,
)
from multilevel.design.variables import CategoricalVariable, Variable
from multilevel.errors import DataError, RankDeficiencyWarning, warn_caller


def refuse_unusable_variables(variables: Mapping[str, Variable]) -> None:
    """Refuse infinite numbers, and factors of one level.

    Raises
    ------
    DataError
        Naming the expression.
    """
    for code, variable in variables.items():
        if isinstance(variable, CategoricalVariable):
            levels = variable.labels.levels
            if len(levels) < 2:
                raise DataError(
                    f"the factor {code!r} has only one level, {shown_levels(levels)}, "
                    f"in all {len(variable.labels.codes)} rows used; leave it out"
                )
        elif variable.values.dtype.kind == "f":
            for column in variable.values.T:
                refuse_infinite(column, code)


def refuse_infinite_products(exog: FloatMatrix, plan: ColumnPlan) -> None:
    """Refuse interactions of numbers that are too large to be multiplied.

    Raises
    ------
    DataError
        Naming the column.
    """
    for column, (name, recipe) in enumerate(zip(plan.names, plan.recipes, strict=True)):
        if len(recipe) > 1:
            refuse_infinite(exog[:, column], name)


def refuse_unusable_response(
    y: FloatVector, weights: FloatVector | None, name: str, *, binomial: bool
) -> None:
    """Refuse a response that no model of its family could have.

    Raises
    ------
    DataError
        For a constant response, and for proportions that are none.
    """
    if binomial:
        refuse_wrong_proportions(y, weights, name)
    # A constant proportion strictly inside (0, 1) still has a finite estimate.
    if not (binomial and 0 < y[0] < 1):
        refuse_constant(y, name)


def refuse_unusable_terms(
    factors: Sequence[GroupingFactor],
    terms: Sequence[RandomTermDesign],
    *,
    residual_estimated: bool,
    weights: FloatVector | None = None,
) -> None:
    """Refuse random terms that no data could inform.

    With a row a level a term is still told apart from the residual if its variance
    differs between rows: ``(0 + d | row)`` is a second residual variance where d = 1.

    Raises
    ------
    DataError
        As `refuse_unusable_factor`.
    """
    for term in terms:
        factor = factors[term.factor_index]
        is_row = factor.n_levels == len(factor.codes)
        refuse_unusable_factor(
            factor,
            term.effects,
            residual_estimated=residual_estimated
            and not (is_row and _differs_by_row(term.columns, weights)),
        )


def _differs_by_row(columns: FloatMatrix, weights: FloatVector | None) -> bool:
    """Whether no effect of a row has a constant share of the residual variance."""
    shares = columns**2 if weights is None else columns**2 * weights[:, np.newaxis]
    used = shares if weights is None else shares[weights > 0]
    # A constant share makes the effect's variance a part of the residual one.
    spread = used.max(axis=0) - used.min(axis=0)
    return bool((spread > 1e-8 * used.max(axis=0)).all())


def estimable_columns(
    exog: FloatMatrix, names: Sequence[str], *, residual_estimated: bool
) -> IntVector:
    """Positions of the columns to estimate; warns of those left out.

    Parameters
    ----------
    exog : (n, p_all)
        Fixed-effects columns.
    names : sequence of str
        Their names.
    residual_estimated : bool
        Whether rows must be left to estimate a residual variance from.

    Returns
    -------
    (p,) integers

    Raises
    ------
    DataError
        If there are not more rows than columns.
    """
    kept = independent_columns(exog)
    n_rows = len(exog)
    if residual_estimated and n_rows <= len(kept):
        raise DataError(
            f"{n_rows} rows for {len(kept)} fixed effects leave nothing to estimate "
            "the residual variance from; use fewer terms, or more rows"
        )
    if len(kept) < len(names):
        inside = set(kept.tolist())
        aliased = [name for i, name in enumerate(names) if i not in inside]
        listed = ", ".join(aliased[:6])
        listed += f" and {len(aliased) - 6} more" if len(aliased) > 6 else ""
        warn_caller(
            f"{len(aliased)} of {len(names)} fixed-effects columns depend linearly on "
            f"earlier ones and were left out: {listed}. Their params are NaN; drop "
            "them from the formula",
            RankDeficiencyWarning,
        )
    return kept
