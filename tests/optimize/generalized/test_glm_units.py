"""Generalized fits do not depend on units and origins, of the response neither."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import SingularFitWarning
from multilevel.results.mixedglm_results import MixedGLMResults

families, links = sm.families, sm.families.links

FAMILIES: dict[str, Any] = {
    "binomial": "binomial",
    "poisson": "poisson",
    "negativebinomial": "negativebinomial",
    "gamma": families.Gamma(link=links.Log()),
}


def _rows() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    g, h = np.repeat(np.arange(20), 15), np.tile(np.arange(15), 20)
    x, z = rng.normal(size=(2, 300))
    b, c = 0.6 * rng.normal(size=20), 0.4 * rng.normal(size=20)
    eta = 0.4 + 0.5 * x + b[g] + c[g] * x + 0.3 * rng.normal(size=15)[h]
    mean = np.exp(eta)
    return pd.DataFrame(
        {
            "g": g,
            "h": h,
            "k": 4 * g + h % 4,
            "x": x,
            "z": z,
            "binomial": (rng.random(300) < mean / (1.0 + mean)).astype(float),
            "poisson": rng.poisson(mean).astype(float),
            "negativebinomial": rng.poisson(mean * rng.gamma(2.0, 0.5, 300)) + 0.0,
            "gamma": rng.gamma(4.0, mean / 4.0),
            "positive": rng.gamma(9.0, (4.0 + np.clip(eta, -2.0, 2.0)) / 9.0),
            "normal": eta + rng.normal(size=300),
        }
    )


ROWS = _rows()


def _fit(
    formula: str, data: pd.DataFrame, family: Any, nagq: int = 1
) -> MixedGLMResults:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        result = ml.mixedglm(formula, data, family=family).fit(nagq=nagq)
    assert result.converged
    assert result.optimization.evaluations < 100
    return result


def _assert_same_slope(
    one: MixedGLMResults, other: MixedGLMResults, unit: float
) -> None:
    assert_allclose(other.llf, one.llf, atol=1e-6)
    assert_allclose(other.params["x"] * unit, one.params["x"], rtol=1e-4)
    assert_allclose(other.bse["x"] * unit, one.bse["x"], rtol=1e-3)
    frames = [r.variance_components.to_frame(se=True) for r in (one, other)]
    slopes = [f[(f["effect1"] == "x") & f["effect2"].isna()] for f in frames]
    for column in ("sdcor", "se"):
        ours, theirs = (slope[column].to_numpy(dtype=float) for slope in slopes)
        assert_allclose(theirs * unit, ours, rtol=3e-3)


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize(
    ("terms", "nagq"), [("(x | g)", 1), ("(x | g) + (1 | h)", 1), ("(x | g)", 5)]
)
@settings(max_examples=3, deadline=None)
@given(power=st.integers(-8, 8), origin=st.sampled_from([0.0, 1e2, -1e4, 1e6]))
def test_units_and_origins_of_covariates_do_not_matter(
    family: str, terms: str, nagq: int, power: int, origin: float
) -> None:
    formula = f"{family} ~ x + z + {terms}"
    one = _fit(formula, ROWS, FAMILIES[family], nagq)
    moved = ROWS.assign(x=10.0**power * (ROWS["x"] + origin))
    other = _fit(formula, moved, FAMILIES[family], nagq)
    _assert_same_slope(one, other, 10.0**power)


@pytest.mark.parametrize("family", list(FAMILIES))
@settings(max_examples=3, deadline=None)
@given(power=st.integers(-8, 8), origin=st.sampled_from([0.0, 1e4, 1e6]))
def test_units_of_nested_models_do_not_matter(
    family: str, power: int, origin: float
) -> None:
    formula = f"{family} ~ x + (1 | g) + (1 | g:k)"
    one = _fit(formula, ROWS, FAMILIES[family])
    moved = ROWS.assign(x=10.0**power * (ROWS["x"] + origin))
    other = _fit(formula, moved, FAMILIES[family])
    assert_allclose(other.llf, one.llf, atol=1e-6)
    assert_allclose(other.bse["x"] * 10.0**power, one.bse["x"], rtol=1e-3)
    assert_allclose(other.theta, one.theta, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("response", "family", "power"),
    [
        ("normal", families.Gaussian(), 1.0),
        ("positive", families.Gamma(link=links.Identity()), 1.0),
        ("positive", families.Gamma(), -1.0),
        ("positive", families.InverseGaussian(), -2.0),
        ("positive", families.Gaussian(link=links.Log()), 0.0),
        ("positive", families.InverseGaussian(link=links.Log()), 0.0),
    ],
)
@settings(max_examples=4, deadline=None)
@given(exponent=st.integers(-8, 8))
def test_the_unit_of_the_response_is_that_of_the_estimates(
    response: str, family: Any, power: float, exponent: int
) -> None:
    unit = 10.0**exponent
    formula = f"{response} ~ x + (x | g)"
    one = _fit(formula, ROWS, family)
    other = _fit(formula, ROWS.assign(**{response: unit * ROWS[response]}), family)
    assert_allclose(other.llf, one.llf - len(ROWS) * np.log(unit), atol=1e-5)
    assert_allclose(other.params["x"] / unit**power, one.params["x"], rtol=1e-4)
    assert_allclose(other.bse["x"] / unit**power, one.bse["x"], rtol=1e-3)
    assert_allclose(other.theta / unit**power, one.theta, rtol=5e-3, atol=1e-4)
    assert other.is_singular == one.is_singular


@pytest.mark.parametrize(
    ("response", "family", "nagq"),
    [
        ("normal", families.Gaussian(), 1),
        ("normal", families.Gaussian(), 5),
        ("positive", families.Gamma(link=links.Identity()), 1),
        ("positive", families.Gamma(), 1),
        ("positive", families.InverseGaussian(), 1),
        ("poisson", "poisson", 5),
    ],
)
@pytest.mark.parametrize("unit", [1e-8, 1e-3, 1e8])
def test_the_hessian_of_the_model_is_that_of_the_fit_in_any_unit(
    response: str, family: Any, nagq: int, unit: float
) -> None:
    column = "x" if response == "poisson" else response
    rows = ROWS.assign(**{column: unit * ROWS[column]})
    result = _fit(f"{response} ~ x + (x | g)", rows, family, nagq)
    information = -result.model.hessian(result.full_params, nagq=nagq)
    scale = 1.0 / np.sqrt(np.diag(information))
    inverse = np.linalg.inv(scale[:, None] * information * scale)
    bse = scale * np.sqrt(np.diag(inverse))
    assert_allclose(bse[:2], result.bse, rtol=1e-3)


def test_the_hessian_of_the_model_is_exact_where_a_variance_is_zero() -> None:
    rows = ROWS.assign(y=ROWS["poisson"].sample(frac=1.0, random_state=1).to_numpy())
    model = ml.mixedglm("y ~ x + (1 | g)", rows, family="poisson")
    at = np.array([0.6, 0.0, 0.0])
    differences = []
    for step in 1e-4 * np.eye(3):
        ahead, behind = model.score(at + step), model.score(at - step)
        differences.append((ahead - behind) / 2e-4)
    assert_allclose(model.hessian(at), differences, rtol=1e-5, atol=1e-4)
