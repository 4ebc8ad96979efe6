"""Random effects and coefficients of each level, as data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.model_design import ModelDesign


def level_tables(
    design: ModelDesign, modes: Sequence[FloatMatrix]
) -> dict[str, pd.DataFrame]:
    """Conditional modes by grouping factor.

    Parameters
    ----------
    design : ModelDesign
    modes : sequence of (J, k)
        Of each term.

    Returns
    -------
    dict of str to DataFrame
        Levels in rows, effects of all terms on the factor in columns; in units of
        the response per unit of the column.
    """
    tables = {}
    for position, factor in enumerate(design.factors):
        own = [
            t for t, term in enumerate(design.terms) if term.factor_index == position
        ]
        names = [name for t in own for name in design.terms[t].effects]
        values = np.hstack([modes[t] for t in own])
        tables[factor.name] = pd.DataFrame(
            values, index=factor.levels.rename(factor.name), columns=names
        )
    return tables


def coefficient_tables(
    design: ModelDesign, beta: FloatVector, random_effects: Mapping[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Fixed effects plus random effects of each level.

    Parameters
    ----------
    design : ModelDesign
    beta : (p,)
    random_effects : mapping of factor to DataFrame

    Returns
    -------
    dict of str to DataFrame
        A column for every fixed effect, then for random effects without one.
    """
    fixed = dict(zip((design.exog_names[i] for i in design.kept), beta, strict=True))
    tables = {}
    for factor, modes in random_effects.items():
        names = [*fixed, *(name for name in modes.columns if name not in fixed)]
        tables[factor] = pd.DataFrame(
            {
                name: modes[name] + fixed.get(name, 0.0)
                if name in modes
                else pd.Series(fixed[name], index=modes.index)
                for name in names
            }
        )
    return tables
