"""Rows whose fixed part has no mean: the random effects bring them to where they do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose

import multilevel as ml

families, links = sm.families, sm.families.links


def _rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(6), 8), np.tile(np.linspace(-1.0, 1.0, 8), 6)
    mean = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7])[g] * np.exp(0.1 * x)
    share = rng.binomial(20, mean) / 20.0
    positive, count = rng.gamma(9.0, mean / 9.0), rng.poisson(20.0 * mean) + 0.0
    return pd.DataFrame(
        {"g": g, "x": x, "n": 20, "share": share, "y": positive, "count": count}
    )


CASES: list[tuple[str, Any, list[float]]] = [
    ("share", families.Binomial(link=links.Log()), [0.4, 0.1, 1.5]),
    ("y", families.Gamma(link=links.Identity()), [-0.5, 0.02, 1.5, 0.1]),
    ("y", families.Gamma(), [-3.0, 0.0, 5.0, 0.1]),
    ("y", families.InverseGaussian(link=links.Identity()), [-1.0, 0.02, 1.5, 0.3]),
    ("count", families.Poisson(link=links.Identity()), [-4.0, 0.5, 20.0]),
]


@pytest.mark.parametrize(("response", "family", "params"), CASES)
def test_a_likelihood_is_had_where_the_fixed_part_alone_has_no_mean(
    response: str, family: Any, params: list[float]
) -> None:
    weights = "n" if response == "share" else None
    model = ml.mixedglm(
        f"{response} ~ x + (1 | g)", _rows(), family=family, weights=weights
    )
    at = np.array(params)
    assert np.isfinite(model.loglike(at))
    differences = []
    for j, size in enumerate(np.maximum(np.abs(at), 0.1)):
        step = np.zeros(len(at))
        step[j] = 1e-4 * size
        ahead, behind = model.loglike(at + step), model.loglike(at - step)
        differences.append((ahead - behind) / (2e-4 * size))
    assert_allclose(model.score(at), differences, rtol=1e-5, atol=1e-4)
    assert_allclose(model.loglike(at), model.loglike(at, nagq=9), atol=0.5)
