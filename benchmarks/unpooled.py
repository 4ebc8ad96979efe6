"""One regression per group, all at once, against a loop over statsmodels' ols.

Usage: python benchmarks/unpooled.py [GROUPS [ROWS_PER_GROUP]]
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

import multilevel as ml

LOOPED = 500  # groups of which the loop is timed; its time is proportional to them


def frame_of(n_groups: int, n_rows: int) -> pd.DataFrame:
    """y, x, z in groups of n_rows on average, in no order."""
    rng = np.random.default_rng(0)
    n = n_groups * n_rows
    frame = pd.DataFrame({"g": rng.integers(0, n_groups, n)})
    frame["x"], frame["z"] = rng.normal(2000.0, 3.0, n), rng.normal(size=n)
    frame["y"] = 1e3 + frame["x"] + frame["z"] + rng.normal(size=n)
    return frame


def main(n_groups: int = 10_000, n_rows: int = 20) -> None:
    """Time both and compare their numbers."""
    frame = frame_of(n_groups, n_rows)
    ml.unpooled("y ~ x + z | g", frame_of(5, 20))  # imports
    start = time.perf_counter()
    fits = ml.unpooled("y ~ x + z | g", frame)
    params, bse = fits.params, fits.bse
    ours = time.perf_counter() - start
    groups = dict(list(frame.groupby("g")))
    worst = 0.0
    start = time.perf_counter()
    looped = {g: smf.ols("y ~ x + z", groups[g]).fit() for g in fits.groups[:LOOPED]}
    errors = {group: own.bse for group, own in looped.items()}
    theirs = (time.perf_counter() - start) * len(fits.groups) / len(looped)
    for group, own in looped.items():
        for found, wanted in ((params, own.params), (bse, errors[group])):
            worst = max(worst, float((found.loc[group] / wanted - 1.0).abs().max()))
    print(f"{len(fits.groups)} groups, {len(frame)} rows: {ours:.3f} s")
    print(f"looped smf.ols (from {len(looped)} groups): {theirs:.1f} s")
    print(f"{theirs / ours:.0f} times; largest relative difference {worst:.1e}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
