"""Axes to draw on where none are given.

Held by tests/plots/test_power_curves.py and tests/plots/test_influence_index.py.
"""

from __future__ import annotations

from typing import Any

from multilevel.errors import MultilevelError


def new_axes(height: float = 4.0) -> Any:
    """The axes of a new figure.

    Parameters
    ----------
    height : float
        Of the figure, in inches; it is six wide.

    Returns
    -------
    Axes

    Raises
    ------
    MultilevelError
        If matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError:
        raise MultilevelError(
            "pictures need matplotlib: pip install multilevel[plots]"
        ) from None
    return pyplot.subplots(figsize=(6.0, height), layout="constrained")[1]
