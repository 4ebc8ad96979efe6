"""Z, G and V of a fitted model as full matrices, from its public tables alone."""

from __future__ import annotations

from typing import Any

import numpy as np


def dense_effects(result: Any) -> dict[str, np.ndarray]:
    """Z G Z' (n, n) by grouping factor, in squared units of the linear predictor."""
    design = result._fitted.design
    found = {}
    for position, name in enumerate(design.factor_names):
        own = [t for t in design.terms if t.factor_index == position]
        columns = np.hstack([t.columns for t in own])
        codes = design.factors[position].codes
        same = codes[:, None] == codes[None, :]
        G = result.cov_re[name].to_numpy()
        found[name] = same * (columns @ G @ columns.T)
    return found


def dense_v(result: Any) -> np.ndarray:
    """V (n, n) of a linear model."""
    design = result._fitted.design
    w = np.ones(design.nobs) if design.weights is None else design.weights
    return np.diag(result.scale / w) + sum(dense_effects(result).values())
