"""A measure of influence of every row or group, the largest ones named.

Held by tests/plots/test_influence_index.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multilevel.errors import DataError
from multilevel.plots.new_axes import new_axes

_MANY = 200
"""Beyond so many, points without stems."""


def influence_index(
    frame: pd.DataFrame,
    measure: str = "cooks_distance",
    ax: Any = None,
    *,
    named: int = 5,
) -> Any:
    """One measure against the place in the table, the most influential ones named.

    Parameters
    ----------
    frame : DataFrame
        As ``influence().frame`` has it, of rows or of groups.
    measure : str
        A column of it. Of a covariance ratio the distance from one counts.
    ax : Axes, optional
        New ones by default.
    named : int
        How many are named.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If the table has no such column.
    MultilevelError
        If matplotlib is not installed.
    """
    if measure not in frame:
        listed = ", ".join(map(repr, frame.columns))
        raise DataError(f"measure={measure!r} is no column of the table: {listed}")
    axes = new_axes(height=3.4) if ax is None else ax
    values = frame[measure].to_numpy(dtype=float)
    middle = 1.0 if measure == "covratio" else 0.0
    place = np.arange(len(values))
    if len(values) <= _MANY:
        axes.vlines(place, middle, values, color="0.75", linewidth=1.0, zorder=1)
    axes.plot(place, values, "o", markersize=3.5, color="C0", zorder=2)
    axes.axhline(middle, color="0.6", linewidth=0.8, zorder=0)
    _name_largest(axes, frame, values, middle, named)
    axes.set(xlabel=frame.index.name or "row", ylabel=_words(measure))
    axes.margins(x=0.03, y=0.12)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    return axes


def _name_largest(
    axes: Any, frame: pd.DataFrame, values: np.ndarray[Any, Any], middle: float, n: int
) -> None:
    distance = np.nan_to_num(np.abs(values - middle), nan=-1.0)
    for j in np.argsort(-distance, kind="stable")[:n]:
        if distance[j] < 0:
            continue
        above = values[j] >= middle
        axes.annotate(
            str(frame.index[j]),
            (j, values[j]),
            xytext=(0, 4 if above else -4),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            fontsize="small",
        )


def _words(measure: str) -> str:
    plain = {
        "cooks_distance": "Cook's distance",
        "covratio": "covariance ratio",
        "leverage": "leverage",
    }
    return plain.get(measure, measure.replace("dfbetas_", "DFBETAS of ", 1))
