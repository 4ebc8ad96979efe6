"""Where random effects can fit the response exactly the likelihood may have no maximum.

Then a minimum of the deviance with residuals left is taken if there is one, whatever
the order of the rows; otherwise the fit says that there is none.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import ConvergenceWarning
from multilevel.results.mixedlm_results import MixedLMResults

SLOPES_TWICE = "y ~ x + (x | g) + (x | h)"


def _sixteen_rows(seed: int) -> pd.DataFrame:
    """Six levels by six and two effects each: 24 effects for 16 rows."""
    rng = np.random.default_rng(seed)
    n = 16
    g, h = np.arange(n) % 6, rng.integers(0, 6, n)
    x, _ = rng.normal(size=n), rng.normal(size=n)
    y = 1 + x + rng.normal(size=n) + rng.normal(size=6)[g]
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h})


def _fit(
    formula: str, data: pd.DataFrame
) -> tuple[MixedLMResults, list[type[Warning]]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = ml.mixedlm(formula, data).fit()
    return result, [warning.category for warning in caught]


@pytest.mark.parametrize(
    ("seed", "deviance", "sigma"), [(594, 47.2714, 0.962), (542, 36.7962, 0.5577)]
)
@pytest.mark.parametrize("order", [None, 1, 2])
def test_a_minimum_with_residuals_is_preferred(
    seed: int, deviance: float, sigma: float, order: int | None
) -> None:
    data = _sixteen_rows(seed)
    if order is not None:
        data = data.sample(frac=1, random_state=order)
    result, categories = _fit(SLOPES_TWICE, data)
    assert -2.0 * result.llf == pytest.approx(deviance, abs=1e-3)
    assert result.scale**0.5 == pytest.approx(sigma, abs=1e-3)
    assert result.converged
    assert ConvergenceWarning not in categories


@pytest.mark.parametrize("order", [None, 1])
def test_no_maximum_is_said(order: int | None) -> None:
    data = _sixteen_rows(8)
    if order is not None:
        data = data.sample(frac=1, random_state=order)
    result, categories = _fit(SLOPES_TWICE, data)
    assert ConvergenceWarning in categories
    assert not result.converged
    assert result.optimization.message.startswith(
        "no maximum: 24 random and 2 fixed effects can fit the 16 rows exactly"
    )


def test_as_many_effects_as_rows_are_enough_for_no_maximum() -> None:
    """Two columns and a level for each row but two; there is a minimum on the way."""
    rng = np.random.default_rng(79)
    rng.integers(6, 14)
    data = pd.DataFrame(rng.normal(size=(3, 6)).T, columns=["y", "x", "z"])
    data["g"] = [0, 0, 0, 1, 2, 3]
    with pytest.warns(ConvergenceWarning, match="no maximum: 4 random and 2 fixed"):
        result = ml.mixedlm("y ~ 0 + x + z + (1 | g)", data).fit(reml=False)
    assert not result.converged


@pytest.mark.filterwarnings("ignore")
def test_other_starts_do_not_spoil_a_fit() -> None:
    """The response is the same within each group; far starts cannot be evaluated."""
    rng = np.random.default_rng(9)
    levels = int(rng.integers(3, 8))
    n = 3 * levels + 2
    g = np.r_[np.arange(levels), rng.integers(0, levels, n - levels)]
    x = rng.normal(size=n) * 1e6
    y = 1 + rng.normal(size=levels)[g]
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    assert ml.mixedlm("y ~ x + (x | g)", data).fit().scale < 1e-16


@pytest.mark.parametrize("noise", [1e-6, 1e-4, 1.0])
@pytest.mark.parametrize("terms", ["(1 | g)", "(x | g)", "(1 | g) + (1 | h)"])
def test_small_residuals_are_no_reason_to_warn(terms: str, noise: float) -> None:
    rng = np.random.default_rng(0)
    g, h = np.arange(100) % 10, np.arange(100) // 25
    x = rng.normal(size=100)
    y = rng.normal(size=10)[g] + noise * rng.normal(size=100)
    data = pd.DataFrame({"y": y, "x": x, "g": g, "h": h})
    result, categories = _fit(f"y ~ x + {terms}", data)
    assert result.scale**0.5 == pytest.approx(noise, rel=0.1)
    assert ConvergenceWarning not in categories
