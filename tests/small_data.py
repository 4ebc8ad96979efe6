"""Small simulated data: a response for every family, and exact variances."""

from __future__ import annotations

import numpy as np
import pandas as pd


def grouped_responses(seed: int = 1, n_groups: int = 20) -> pd.DataFrame:
    """Columns g, h (crossed), x, size, and a response for each family."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_groups), rng.integers(5, 9, n_groups))
    n = len(codes)
    x = rng.normal(size=n)
    crossed = rng.integers(0, 6, n)
    eta = 0.4 + rng.normal(scale=0.7, size=n_groups)[codes]
    eta += rng.normal(loc=0.5, scale=0.6, size=n_groups)[codes] * x
    eta += rng.normal(scale=0.6, size=6)[crossed]
    mean, chance = np.exp(eta), 1.0 / (1.0 + np.exp(-eta))
    size = rng.integers(2, 9, n)
    return pd.DataFrame(
        {
            "g": [f"g{code:02}" for code in codes],
            "h": np.array(list("abcdef"))[crossed],
            "x": x,
            "size": size,
            "yes": rng.binomial(size, chance),
            "binary": rng.binomial(1, chance),
            "count": rng.poisson(mean),
            "overdispersed": rng.negative_binomial(2, 2 / (2 + mean)),
            "positive": rng.gamma(4.0, mean / 4.0),
            "wald": rng.wald(mean, 3.0),
            "normal": eta + rng.normal(size=n),
        }
    )


def balanced_groups(n_groups: int, size: int, between: float) -> pd.DataFrame:
    """Variance 1 within groups (unbiased) and `between` among means, exactly."""
    rng = np.random.default_rng(1)
    means, rest = rng.normal(size=n_groups), rng.normal(size=(n_groups, size))
    means = (means - means.mean()) / means.std()
    rest -= rest.mean(axis=1, keepdims=True)
    rest /= np.sqrt((rest**2).sum() / (n_groups * (size - 1)))
    y = np.sqrt(between) * means[:, None] + rest
    return pd.DataFrame({"y": y.ravel(), "g": np.repeat(np.arange(n_groups), size)})
