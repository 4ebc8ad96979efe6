"""The data and formulas that are timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import multilevel as ml


@dataclass(frozen=True)
class Case:
    """One model on one data set.

    `pooled` is the formula of the ordinary regression that is timed beside it, `slow`
    names engines that need minutes and are left out, with the reason.
    """

    name: str
    formula: str
    pooled: str
    reml: bool
    data: Callable[[], pd.DataFrame]
    slow: tuple[str, ...] = ()


def two_million(labels: str) -> Callable[[], pd.DataFrame]:
    """2,000,000 rows in 20,000 groups with random intercepts and slopes."""

    def make() -> pd.DataFrame:
        rng = np.random.default_rng(20)
        n_rows, n_groups = 2_000_000, 20_000
        g = rng.integers(0, n_groups, n_rows)
        return slopes(rng, g, n_groups, labels)

    return make


def slopes(
    rng: np.random.Generator, g: np.ndarray, n_groups: int, labels: str
) -> pd.DataFrame:
    """y = 1 + 2 x + b0 + b1 x + e with sd 1, 0.5 and 2."""
    x = rng.normal(size=len(g))
    b = rng.normal(size=(n_groups, 2)) * [1.0, 0.5]
    y = 1.0 + 2.0 * x + b[g, 0] + b[g, 1] * x + 2.0 * rng.normal(size=len(g))
    frame = pd.DataFrame({"y": y, "x": x, "g": g})
    if labels == "text":
        frame["g"] = "g" + frame["g"].astype(str)
    return frame


def maximal() -> pd.DataFrame:
    """56 subjects by 32 items, four correlated effects each, covariances of rank 2."""
    rng = np.random.default_rng(1)
    n_subjects, n_items = 56, 32
    s = np.repeat(np.arange(n_subjects), n_items)
    i = np.tile(np.arange(n_items), n_subjects)
    signs = rng.choice([-1.0, 1.0], size=(3, len(s)))
    columns = np.c_[np.ones(len(s)), signs.T]
    roots = rng.normal(size=(4, 2)) * 0.6, rng.normal(size=(4, 2)) * 0.4
    effects = (rng.normal(size=(n_subjects, 2)) @ roots[0].T)[s] + (
        rng.normal(size=(n_items, 2)) @ roots[1].T
    )[i]
    y = 1.0 + (columns * effects).sum(axis=1) + rng.normal(size=len(s))
    frame = pd.DataFrame({"y": y, "a": signs[0], "b": signs[1], "c": signs[2]})
    frame["s"], frame["i"] = s.astype(str), i.astype(str)
    return frame


def three_levels() -> pd.DataFrame:
    """31,000 pupils in 2,400 schools in 130 authorities."""
    rng = np.random.default_rng(97)
    n_rows, n_schools, n_leas = 31_000, 2_400, 130
    school = rng.integers(0, n_schools, n_rows)
    lea = rng.integers(0, n_leas, n_schools)
    x = rng.normal(size=n_rows)
    y = 5.0 + 2.5 * x + 1.1 * rng.normal(size=n_schools)[school]
    y += 0.15 * rng.normal(size=n_leas)[lea[school]] + 2.3 * rng.normal(size=n_rows)
    return pd.DataFrame(
        {
            "score": np.round(y),
            "gcse": x,
            "lea": lea[school].astype(str),
            "school": school.astype(str),
        }
    )


def embedded(name: str) -> Callable[[], pd.DataFrame]:
    """A data set of the package, with factors as text for every engine."""

    def make() -> pd.DataFrame:
        frame = ml.datasets.load(name)
        for column, values in frame.items():
            if isinstance(values.dtype, pd.CategoricalDtype):
                frame[column] = values.astype(str)
        return frame

    return make


HOURS = ("statsmodels",)

LMM_CASES = (
    Case(
        "sleepstudy, random slope",
        "Reaction ~ Days + (Days | Subject)",
        "Reaction ~ Days",
        True,
        embedded("sleepstudy"),
    ),
    Case(
        "penicillin, crossed",
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        "diameter ~ 1",
        True,
        embedded("penicillin"),
        HOURS,
    ),
    Case(
        "hsb, random slope",
        "math ~ ses + (ses | school)",
        "math ~ ses",
        True,
        embedded("hsb"),
    ),
    Case(
        "three nested levels, 31,000 rows",
        "score ~ gcse + (1 | lea / school)",
        "score ~ gcse",
        True,
        three_levels,
        HOURS,
    ),
    Case(
        "maximal model, 56 x 32, 20 thetas",
        "y ~ a + b + c + (a + b + c | s) + (a + b + c | i)",
        "y ~ a + b + c",
        False,
        maximal,
        HOURS,
    ),
    Case(
        "InstEval, three crossed factors",
        "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)",
        "y ~ service",
        False,
        embedded("insteval"),
        HOURS,
    ),
    Case(
        "2,000,000 rows, 20,000 groups",
        "y ~ x + (x | g)",
        "y ~ x",
        True,
        two_million("numbers"),
        (*HOURS, "lme4", "mixedlm"),
    ),
    Case(
        "the same, text labels",
        "y ~ x + (x | g)",
        "y ~ x",
        True,
        two_million("text"),
        (*HOURS, "lme4", "mixedlm"),
    ),
)
