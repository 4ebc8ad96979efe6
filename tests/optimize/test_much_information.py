"""Rows that know much more than the random effects do: nothing is lost in rounding."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import ConvergenceWarning, SingularFitWarning
from multilevel.results.mixedglm_results import MixedGLMResults

links = sm.families.links


def _crossed(seed: int, levels: int = 20) -> tuple[pd.DataFrame, np.random.Generator]:
    rng = np.random.default_rng(seed)
    g, h = np.repeat(np.arange(levels), levels), np.tile(np.arange(levels), levels)
    x, z = rng.normal(size=(2, levels**2))
    b = 0.4 * rng.normal(size=levels)[g] + 0.3 * rng.normal(size=levels)[h]
    eta = 0.1 * x + 0.05 * z + b
    return pd.DataFrame({"g": g, "h": h, "x": x, "z": z, "eta": eta}), rng


def _drawn(kind: str, seed: int) -> tuple[pd.DataFrame, dict[str, object], np.ndarray]:
    """Data, what else the model is given, and the information of each row."""
    data, rng = _crossed(seed)
    eta = data["eta"].to_numpy()
    if kind == "poisson":
        data["y"] = rng.poisson(1e6 * np.exp(eta)).astype(float)
        return data, {"family": "poisson"}, 1e6 * np.exp(eta)
    if kind == "binomial":
        data["n"], p = 1e7, 1.0 / (1.0 + np.exp(-eta))
        data["y"] = rng.binomial(10**7, p) / 1e7
        return data, {"family": "binomial", "weights": "n"}, 1e7 * p * (1.0 - p)
    data["y"] = rng.gamma(1e7, np.exp(eta) / 1e7)
    family = sm.families.Gamma(link=links.Log())
    return data, {"family": family}, np.full(len(data), 1e7)


@pytest.mark.parametrize("kind", ["poisson", "binomial", "gamma"])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_standard_errors_are_those_of_the_weighted_linear_model(
    kind: str, seed: int
) -> None:
    data, given, weights = _drawn(kind, seed)
    result = ml.mixedglm("y ~ x + z + (1 | g) + (1 | h)", data, **given).fit()
    assert result.converged
    assert result.optimization.evaluations < 100
    V = np.diag(1.0 / weights)
    for name, sd in zip(("g", "h"), result.theta, strict=True):
        V += sd**2 * (data[name].to_numpy()[:, None] == data[name].to_numpy())
    X = np.column_stack([np.ones(len(data)), data[["x", "z"]]])
    expected = np.sqrt(np.diag(np.linalg.inv(X.T @ np.linalg.solve(V, X))))
    # A gamma's dispersion is estimated.
    assert_allclose(result.bse, expected, rtol=0.1 if kind == "gamma" else 5e-3)
    assert_allclose(result.params[1:], [0.1, 0.05], atol=5e-4)


# glmmTMB 1.1.5 on the data of seed 1: log-likelihood and standard errors.
GLMMTMB = {
    "poisson": (-3581.8516, [9.6663789e-2, 5.6373561e-5, 5.1012875e-5]),
    "binomial": (-3806.5804, [9.6649982e-2, 3.7662851e-5, 3.2693333e-5]),
    "gamma": (2377.1493, [9.6660592e-2, 1.8917809e-5, 1.6499560e-5]),
}


@pytest.mark.parametrize("kind", list(GLMMTMB))
def test_standard_errors_are_those_of_glmmtmb(kind: str) -> None:
    data, given, _ = _drawn(kind, 1)
    result = ml.mixedglm("y ~ x + z + (1 | g) + (1 | h)", data, **given).fit()
    llf, bse = GLMMTMB[kind]
    assert_allclose(result.llf, llf, atol=2e-4)
    assert_allclose(result.bse, bse, rtol=3e-4)


def _trade(mean: float) -> MixedGLMResults:
    """Counts that vary far more than a Poisson's do, in another unit."""
    data, rng = _crossed(0)
    eta = data["eta"] + 0.5 * data["x"] + rng.normal(size=len(data))
    data["y"] = np.round(mean * np.exp(eta))
    return ml.mixedglm("y ~ x + (1 | g) + (1 | h)", data, family="poisson").fit()


def test_the_unit_of_large_counts_moves_the_intercept_only() -> None:
    one, other = _trade(1e4), _trade(1e8)
    assert one.converged
    assert other.converged
    assert other.optimization.evaluations < 100
    # The deviance is 1e11, of which doubles keep 1e-4; standard errors are 0.24, 2e-6.
    assert_allclose(
        other.params["Intercept"] - np.log(1e4), one.params.iloc[0], atol=1e-3
    )
    assert_allclose(other.params["x"], one.params["x"], atol=5e-6)
    assert_allclose(100.0 * other.bse["x"], one.bse["x"], rtol=1e-3)
    assert_allclose(other.bse["Intercept"], one.bse["Intercept"], rtol=5e-3)
    assert_allclose(other.theta, one.theta, rtol=5e-3)


def test_counts_that_doubles_cannot_hold_are_said_to_need_another_unit() -> None:
    with pytest.warns(ConvergenceWarning, match="another unit"):
        assert not _trade(1e12).converged


def test_a_small_variance_is_not_zero_where_rows_tell_much() -> None:
    """A standard deviation of 8e-5, where a row tells 1e-5 of the rate's logarithm."""
    rng = np.random.default_rng(5)
    g, effects = np.repeat(np.arange(20), 20), 8e-5 * rng.normal(size=20)
    data = pd.DataFrame({"y": rng.poisson(1e10 * np.exp(effects[g])) + 0.0, "g": g})
    result = ml.mixedglm("y ~ 1 + (1 | g)", data, family="poisson").fit()
    assert result.converged
    assert not result.is_singular
    assert_allclose(result.theta, effects.std(), rtol=0.1)


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_a_singular_covariance_of_informative_rows_keeps_errors_finite(
    slope: float,
) -> None:
    data, rng = _crossed(2)
    g, h = 0.4 * rng.normal(size=20)[data["g"]], 0.3 * rng.normal(size=20)[data["h"]]
    eta = 0.1 * data["x"] + g + slope * g * data["x"] + h
    data["y"] = rng.poisson(1e6 * np.exp(eta)) + 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        result = ml.mixedglm("y ~ x + (x | g) + (1 | h)", data, family="poisson").fit()
    assert result.converged
    # The mean of the effects of 20 levels, and the residuals where slopes do not vary.
    least, most = (4.5e-5, 7e-5) if slope == 0.0 else (0.03, 0.06)
    assert least < result.bse["x"] < most
    assert 0.08 < result.bse["Intercept"] < 0.15


@pytest.mark.parametrize("mean", [-20.0, -5.0, -1.0])
def test_negative_responses_of_a_log_link_are_not_called_separation(
    mean: float,
) -> None:
    rng = np.random.default_rng(0)
    g, x = np.repeat(np.arange(20), 20), rng.normal(size=400)
    y = mean + x + rng.normal(size=20)[g] + rng.normal(size=400)
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    family = sm.families.Gaussian(link=links.Log())
    with pytest.warns(ConvergenceWarning, match="not positive.*identity link"):
        result = ml.mixedglm("y ~ x + (1 | g)", data, family=family).fit()
    assert not result.converged
    assert result.llf < 0.0


@pytest.mark.parametrize("mean", [1e8, 1e10, 1e14])
@pytest.mark.parametrize("link", [links.Log(), links.Sqrt()])
def test_the_unit_of_large_overdispersed_counts_does_not_matter(
    mean: float, link: links.Link
) -> None:
    data, rng = _crossed(2)
    drawn = np.exp(data["eta"]) * rng.gamma(4.0, 0.25, len(data))
    family = sm.families.NegativeBinomial(link=link, alpha=0.25)
    if isinstance(link, links.Log):
        family = "negativebinomial"
    one, other = (
        ml.mixedglm(
            "y ~ x + (1 | g)", data.assign(y=np.round(m * drawn)), family=family
        ).fit()
        for m in (1e6, mean)
    )
    assert other.converged
    assert other.optimization.evaluations < 40
    unit = 1.0 if isinstance(link, links.Log) else (mean / 1e6) ** 0.5
    assert_allclose(other.params["x"], one.params["x"] * unit, rtol=1e-4)
    assert_allclose(other.bse, one.bse * unit, rtol=1e-3)
    shift = -len(data) * np.log(mean / 1e6)
    assert_allclose(other.llf, one.llf + shift, atol=5e-3)


@pytest.mark.parametrize("kind", ["poisson", "binomial", "gamma", "gaussian"])
@pytest.mark.parametrize("information", [1e10, 1e12])
def test_standard_errors_keep_their_digits_however_much_a_row_tells(
    kind: str, information: float
) -> None:
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(20), 10), rng.normal(size=200)
    eta = 0.3 + 0.5 * x + 0.5 * rng.normal(size=20)[g]
    error = rng.normal(size=200) / np.sqrt(information)
    mean, p = np.exp(eta), 1.0 / (1.0 + np.exp(-eta))
    data = pd.DataFrame({"g": g, "x": x, "y": mean * (1.0 + error), "n": information})
    given: dict[str, object] = {"family": kind}
    if kind == "poisson":
        data["y"] = np.round(information * data["y"])
    elif kind == "binomial":
        data["y"] = np.round(information * (p + np.sqrt(p * (1.0 - p)) * error))
        data["y"] /= information
        given["weights"] = "n"
    else:
        name = {"gamma": "Gamma", "gaussian": "Gaussian"}[kind]
        given["family"] = getattr(sm.families, name)(link=links.Log())
    result = ml.mixedglm("y ~ x + (1 | g)", data, **given).fit()
    assert result.converged
    # The groups' intercepts are known as if they were seen.
    assert_allclose(result.bse["Intercept"], result.theta[0] / 20**0.5, rtol=1e-4)
    inverse = np.linalg.inv(-result.model.hessian(result.full_params))
    assert_allclose(np.sqrt(np.diag(inverse))[:2], result.bse, rtol=1e-3)
