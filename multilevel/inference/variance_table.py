"""Variance components as they are printed.

Held by tests/inference/test_variance_components.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pandas as pd

from multilevel.display.column_formats import given_correlations
from multilevel.display.frame_table import FrameTable
from multilevel.inference.variance_terms import Component


def variance_table(components: Sequence[Component]) -> FrameTable:
    """Variance and standard deviation of each effect, and its correlations.

    Parameters
    ----------
    components : sequence of Component
        Of each term its standard deviations, then its correlations.

    Returns
    -------
    FrameTable
        A row for each standard deviation.
    """
    shown = [row for row in components if row.is_sd]
    columns = {
        "group": [row.group for row in shown],
        "effect": [row.effect1 or "" for row in shown],
        "variance": [row.vcov for row in shown],
        "sd": [row.sdcor for row in shown],
    }
    triangle = _correlation_columns(components, shown)
    return FrameTable(
        pd.DataFrame(columns | triangle),
        "Random effects:",
        headings=dict.fromkeys(triangle, "") | {"cor_1": "Corr"},
        formats=dict.fromkeys(triangle, given_correlations),
    )


def _correlation_columns(
    rows: Sequence[Component], shown: Sequence[Component]
) -> dict[str, pd.Series]:
    """Correlations of each effect with those above it, in as many columns as needed."""
    pairs = [row for row in rows if not row.is_sd]
    known = {(row.group, row.effect2, row.effect1): row.sdcor for row in pairs}
    lines = [
        [
            known.get((row.group, row.effect1, other.effect1))
            for other in shown
            if other.group == row.group and other.effect1 != row.effect1
        ]
        for row in shown
    ]
    columns = list(itertools.zip_longest(*lines))
    while columns and all(value is None for value in columns[-1]):
        columns.pop()
    return {
        f"cor_{i}": pd.Series(column, dtype=object)
        for i, column in enumerate(columns, 1)
    }
