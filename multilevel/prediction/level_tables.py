"""Random effects and coefficients of each level, as data frames.

Held by tests/results/test_mixedlm_results.py.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from multilevel.design.grouping import GroupingFactor
from multilevel.design.labels import levels_told_apart
from multilevel.optimize.common.fitted_model import FittedModel


def level_tables(fitted: FittedModel) -> dict[str, pd.DataFrame]:
    """Conditional modes by grouping factor.

    Parameters
    ----------
    fitted : FittedModel

    Returns
    -------
    dict of str to DataFrame
        Levels in rows, effects of all terms on the factor in columns; in units of
        the response per unit of the column.
    """
    design, tables = fitted.design, {}
    for position, factor in enumerate(design.factors):
        own = design.terms_on(position)
        names = [name for t in own for name in design.terms[t].effects]
        values = np.hstack([fitted.modes[t] for t in own])
        tables[factor.name] = pd.DataFrame(
            values, index=row_labels(factor), columns=names
        )
    return tables


def coefficient_tables(fitted: FittedModel) -> dict[str, pd.DataFrame]:
    """Fixed effects plus random effects of each level.

    Parameters
    ----------
    fitted : FittedModel

    Returns
    -------
    dict of str to DataFrame
        A column for every fixed effect, to which the random effects of the same
        column are added, then one for each random effect without such.
    """
    design, tables = fitted.design, {}
    place = {int(column): number for number, column in enumerate(design.kept)}
    for position, factor in enumerate(design.factors):
        totals = np.tile(fitted.beta, (len(factor.levels), 1))
        names, alone = list(design.kept_names), []
        for term, b in zip(design.terms, fitted.modes, strict=True):
            if term.factor_index != position:
                continue
            for k, (name, shared) in enumerate(
                zip(term.effects, term.shared, strict=True)
            ):
                if shared in place:
                    totals[:, place[shared]] += b[:, k]
                else:
                    names.append(name)
                    alone.append(b[:, k])
        tables[factor.name] = pd.DataFrame(
            np.column_stack([totals, *alone]),
            index=row_labels(factor),
            columns=names,
        )
    return tables


def row_labels(factor: GroupingFactor) -> pd.Index:
    """The levels; of 1 and "1" the text prints in quotes."""
    levels = factor.levels
    if levels.dtype == object:
        apart = levels_told_apart(levels)
        levels = pd.Index(apart, dtype=object, tupleize_cols=False)
    return levels.rename(factor.name)
