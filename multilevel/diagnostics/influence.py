"""Influence of rows or of groups: which of them is asked for.

Held by tests/diagnostics/test_row_influence.py and
tests/diagnostics/test_group_influence.py.
"""

from __future__ import annotations

from multilevel.diagnostics.group_influence import GroupInfluence, group_influence
from multilevel.diagnostics.row_influence import (
    RowInfluence,
    row_influence,
    with_refits,
)
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.option_values import as_switch


def influence(
    fitted: FittedModel,
    level: str | None = None,
    *,
    exact: bool = False,
    progress: bool = True,
) -> RowInfluence | GroupInfluence:
    """Of single rows, or of the levels of a grouping factor.

    Parameters
    ----------
    fitted : FittedModel
    level : str, optional
        A grouping factor.
    exact : bool
        By refits.
    progress : bool
        Whether to show a bar on a terminal while refits take long.

    Raises
    ------
    DataError
        If `level` is no grouping factor.
    """
    exact = as_switch(exact, "exact")
    bar = as_switch(progress, "progress")
    if level is not None:
        return group_influence(fitted, level, exact=exact, progress=bar)
    if exact:
        return with_refits(fitted, progress=bar)
    return row_influence(fitted)
