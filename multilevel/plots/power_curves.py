"""Simulated power against the size of the study.

Held by tests/plots/test_power_curves.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multilevel.plots.new_axes import new_axes

_SPREAD = 0.006


def power_curves(frame: pd.DataFrame, ax: Any = None, *, title: str = "") -> Any:
    """Power with its limits against the number of groups, a line for each size.

    Where only the size varies, against the size.

    Parameters
    ----------
    frame : DataFrame
        `power`, `lower`, `upper`, and numbers of groups and sizes.
    ax : Axes, optional
        New ones by default.
    title : str

    Returns
    -------
    Axes

    Raises
    ------
    MultilevelError
        If matplotlib is not installed.
    """
    axes = new_axes() if ax is None else ax
    columns = [str(name) for name in frame]
    grid = [name for name in columns if name == "size" or name.startswith("groups")]
    varied = [name for name in grid if frame[name].nunique() > 1] or grid[:1]
    across, lines = varied[0], varied[1:]
    reach = max(float(np.ptp(frame[across])), 1.0)
    pieces = frame.groupby(lines, sort=True) if lines else [((), frame)]
    parts = list(pieces)
    for number, (values, part) in enumerate(parts):
        # A little apart, or the limits of one line hide another's.
        apart = _SPREAD * reach * (number - (len(parts) - 1) / 2.0)
        _draw_line(axes, part.sort_values(across), across, apart, _named(lines, values))
    axes.axhline(0.8, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    axes.set(ylim=(0.0, 1.02), ylabel="power", xlabel=_words(across), title=title)
    axes.set_xticks(sorted(frame[across].unique()))
    axes.spines[["top", "right"]].set_visible(False)
    if lines:
        axes.legend(frameon=False, loc="lower right")
    return axes


def _draw_line(
    axes: Any, part: pd.DataFrame, across: str, apart: float, label: str
) -> None:
    power = part["power"].to_numpy()
    reach = np.abs(part[["lower", "upper"]].to_numpy().T - power)
    axes.errorbar(
        part[across].to_numpy() + apart,
        power,
        yerr=reach,
        marker="o",
        markersize=4.5,
        linewidth=1.4,
        elinewidth=0.9,
        capsize=2.5,
        label=label,
    )


def _words(name: str) -> str:
    if name == "size":
        return "rows in each group"
    factor = name.removeprefix("groups").removeprefix("_")
    return f"number of groups: {factor}" if factor else "number of groups"


def _named(lines: list[str], values: Any) -> str:
    listed = values if isinstance(values, tuple) else (values,)
    pairs = zip(lines, listed, strict=True)
    return ", ".join(f"{_words(name)}: {value:g}" for name, value in pairs)
