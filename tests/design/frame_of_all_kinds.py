"""What the tests of designs share: one frame of every kind of column, one call."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from multilevel.design.model_design import build_design
from multilevel.formula.parse import parse_formula


def frame(n: int = 60, seed: int = 1) -> pd.DataFrame:
    """Numbers, text, categories and booleans; nothing missing."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n) + 3,
            "z": rng.uniform(1, 5, n),
            "g": rng.integers(0, 8, n),
            "h": np.resize(list("abcde"), n),
            "f": pd.Categorical(np.resize(list("prqrpq"), n)),
            "b": np.resize([True, False, False], n),
            "k": np.resize([0, 1, 2, 1], n),
        }
    )


def design_of(formula: str, data=None, **options):
    """The design of a formula, on the common frame unless data are given."""
    return build_design(
        parse_formula(formula), frame() if data is None else data, **options
    )


def quiet_design_of(formula: str, data=None, **options):
    """The same without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return design_of(formula, data, **options)
