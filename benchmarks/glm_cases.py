"""The data and formulas of generalized models that are timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from cases import embedded


@dataclass(frozen=True)
class GlmCase:
    """One generalized model on one data set; `slow` names engines that are left out.

    The response is 0/1, or a proportion with `weights` the column of trials.
    """

    name: str
    formula: str
    data: Callable[[], pd.DataFrame]
    weights: str | None = None
    slow: tuple[str, ...] = ()


def verbagg() -> pd.DataFrame:
    """7,584 answers: 316 persons by 24 questions."""
    frame = embedded("verbagg")()
    frame["y"] = (frame["r2"] == "Y").astype(float)
    return frame


def contraception() -> pd.DataFrame:
    """1,934 women in 60 districts."""
    frame = embedded("contraception")()
    frame["y"] = (frame["use"] == "Y").astype(float)
    frame["age2"] = frame["age"] ** 2
    return frame


def cbpp() -> pd.DataFrame:
    """56 counts of 15 herds, as proportions."""
    frame = embedded("cbpp")()
    frame["y"] = frame["incidence"] / frame["size"]
    return frame


def binary_slopes() -> pd.DataFrame:
    """200,000 binary rows in 5,000 groups with random intercepts and slopes."""
    rng = np.random.default_rng(30)
    g = rng.integers(0, 5_000, 200_000)
    x = rng.normal(size=len(g))
    b = rng.normal(size=(5_000, 2)) * [0.8, 0.4]
    return drawn(rng, -0.5 + 0.7 * x + b[g, 0] + b[g, 1] * x, x=x, g=g)


def binary_crossed() -> pd.DataFrame:
    """20,000 binary rows, 400 by 100 crossed levels."""
    rng = np.random.default_rng(31)
    s, i = rng.integers(0, 400, 20_000), rng.integers(0, 100, 20_000)
    x = rng.normal(size=len(s))
    eta = 0.2 + 0.5 * x + rng.normal(size=400)[s] + 0.7 * rng.normal(size=100)[i]
    frame = drawn(rng, eta, x=x)
    frame["s"], frame["i"] = s.astype(str), i.astype(str)
    return frame


def drawn(
    rng: np.random.Generator, eta: np.ndarray, **columns: np.ndarray
) -> pd.DataFrame:
    """Binary responses with these logits."""
    y = rng.uniform(size=len(eta)) < 1.0 / (1.0 + np.exp(-eta))
    return pd.DataFrame({"y": y.astype(float), **columns})


NO_COUNTS = ("gpboost",)  # takes 0/1 responses only
OTHER_MODEL = ("gpboost",)  # its intercepts and slopes are not correlated
MINUTES = ("lme4", "glmmTMB")

GLM_CASES = (
    GlmCase("cbpp", "y ~ period + (1 | herd)", cbpp, "size", NO_COUNTS),
    GlmCase(
        "Contraception, random slope",
        "y ~ age + age2 + urban + livch + (urban | district)",
        contraception,
        slow=OTHER_MODEL,
    ),
    GlmCase(
        "VerbAgg, crossed",
        "y ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)",
        verbagg,
    ),
    GlmCase(
        "20,000 rows, 400 x 100 crossed", "y ~ x + (1 | s) + (1 | i)", binary_crossed
    ),
    GlmCase(
        "200,000 rows, 5,000 groups, random slope",
        "y ~ x + (x | g)",
        binary_slopes,
        slow=(*OTHER_MODEL, *MINUTES),
    ),
)
