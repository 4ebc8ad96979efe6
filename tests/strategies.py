"""Hypothesis strategies for data with groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import strategies as st


@st.composite
def grouped_frames(
    draw: st.DrawFn, *, min_groups: int = 4, max_groups: int = 12
) -> pd.DataFrame:
    """Unbalanced frames ``y, x, group`` with an effect of the group in them.

    Hypothesis chooses the design and the size of the effects; the numbers come from a
    generator that it seeds, so that y is never degenerate.
    """
    sizes = draw(
        st.lists(st.integers(3, 8), min_size=min_groups, max_size=max_groups),
        label="rows per group",
    )
    effect_sd = draw(st.sampled_from([0.5, 1.0, 3.0]), label="sd between groups")
    slope_sd = draw(st.sampled_from([0.3, 1.0]), label="sd of slopes")
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    codes = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.normal(size=codes.size)
    intercepts = rng.normal(scale=effect_sd, size=len(sizes))
    slopes = rng.normal(loc=1.0, scale=slope_sd, size=len(sizes))
    y = intercepts[codes] + slopes[codes] * x + rng.normal(size=codes.size)
    return pd.DataFrame({"y": y, "x": x, "group": [f"g{code:02}" for code in codes]})


def shifts_and_scales() -> st.SearchStrategy[tuple[float, float]]:
    """Changes of the units of a column: (shift, scale), from harmless to extreme."""
    return st.tuples(
        st.sampled_from([0.0, 1.0, -50.0, 2000.0, 1e5]),
        st.sampled_from([1e-3, 0.1, 1.0, 10.0, 1e4]),
    )
