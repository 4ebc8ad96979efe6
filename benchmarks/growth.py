"""How the time of a whole call grows with rows, groups, covariates and categories."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from cases import slopes
from timing import alternate, exponent

import multilevel as ml


def _fit(formula: str, frame: pd.DataFrame) -> Callable[[], float]:
    return lambda: float(ml.mixedlm(formula, frame).fit().llf)


def _rows(size: int) -> tuple[str, pd.DataFrame]:
    rng = np.random.default_rng(size)
    return "y ~ x + (x | g)", slopes(rng, rng.integers(0, 1000, size), 1000, "numbers")


def _groups(size: int) -> tuple[str, pd.DataFrame]:
    rng = np.random.default_rng(size)
    g = np.r_[np.arange(size), rng.integers(0, size, 4 * size)]
    return "y ~ x + (x | g)", slopes(rng, g, size, "numbers")


def _nested(size: int) -> tuple[str, pd.DataFrame]:
    rng = np.random.default_rng(size)
    child = np.repeat(np.arange(size), 5)
    frame = slopes(rng, child, size, "numbers").rename(columns={"g": "child"})
    parent = child // 10
    frame["y"] += rng.normal(size=size // 10 + 1)[parent]
    return "y ~ x + (1 | parent / child)", frame.assign(parent=parent)


def _covariates(size: int) -> tuple[str, pd.DataFrame]:
    rng = np.random.default_rng(size)
    frame = slopes(rng, rng.integers(0, 500, 50_000), 500, "numbers")
    names = [f"x{j}" for j in range(size)]
    more = pd.DataFrame(rng.normal(size=(len(frame), size)), columns=names)
    return f"y ~ {' + '.join(names)} + (1 | g)", pd.concat([frame, more], axis=1)


def _categories(size: int) -> tuple[str, pd.DataFrame]:
    rng = np.random.default_rng(size)
    frame = slopes(rng, rng.integers(0, 500, 50_000), 500, "numbers")
    frame["f"] = "f" + pd.Series(rng.integers(0, size, len(frame))).astype(str)
    return "y ~ f + (1 | g)", frame


SERIES = {
    "rows, 1,000 groups, random slope": (_rows, [20_000, 80_000, 320_000, 1_280_000]),
    "groups of five rows, random slope": (_groups, [2_000, 8_000, 32_000, 128_000]),
    "nested groups, two levels": (_nested, [2_000, 8_000, 32_000, 128_000]),
    "covariates, 50,000 rows": (_covariates, [4, 8, 16, 32]),
    "categories of one covariate": (_categories, [4, 16, 64, 256]),
}


def growth_rows(rounds: int) -> list[list[str]]:
    """One table row for each series: sizes, milliseconds, fitted exponent."""
    table = []
    for name, (make, sizes) in SERIES.items():
        calls = {str(size): _fit(*make(size)) for size in sizes}
        times = [seconds for seconds, _ in alternate(calls, rounds).values()]
        table.append(
            [
                name,
                ", ".join(f"{size:,}" for size in sizes),
                ", ".join(f"{1e3 * t:.0f}" for t in times),
                f"{exponent([float(s) for s in sizes], times):.2f}",
            ]
        )
    return table
