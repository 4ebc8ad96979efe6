"""Data for the fits of generalized models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def frame():
    """Thirty groups of twenty rows with a response for every family."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(30), 20)
    x, z = rng.normal(size=(2, 600))
    b = rng.normal(size=30)[g]
    eta = 0.3 + 0.5 * x + b
    gamma_mean = np.exp(0.5 + 0.2 * x + 0.3 * b)
    return pd.DataFrame(
        {
            "x": x,
            "z": z,
            "g": g,
            "h": rng.integers(0, 12, 600),
            "d": rng.choice(list("abc"), 600),
            "binary": (rng.random(600) < 1 / (1 + np.exp(-eta))).astype(float),
            "flat": (rng.random(600) < 1 / (1 + np.exp(-0.3 - 0.5 * x))).astype(float),
            "count": rng.poisson(np.exp(np.clip(eta, -3, 4))).astype(float),
            "huge": rng.poisson(1e6 * np.exp(0.1 * x + 0.1 * b)).astype(float),
            "even": rng.binomial(10, 0.5, 600).astype(float),
            "positive": rng.gamma(4.0, gamma_mean / 4.0),
            "wald": rng.wald(gamma_mean, 3.0),
            "normal": 2.0 + x + b + 0.5 * rng.normal(size=600),
        }
    )
