"""No finite estimate exists where the likelihood rises for ever, and nowhere else."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import ConvergenceWarning
from multilevel.optimize.generalized.separation import separating_direction
from multilevel.results.mixedglm_results import MixedGLMResults


def _with_outlier(value: float) -> pd.DataFrame:
    """1,000 rows of 40 groups, the covariate of one of them mistyped."""
    rng = np.random.default_rng(1)
    g, x = np.arange(1000) % 40, rng.normal(size=1000)
    eta = x + 0.5 * rng.normal(size=40)[g]
    y = (rng.random(1000) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    x[5], y[5] = value, 1.0
    return pd.DataFrame({"y": y, "x": x, "g": g})


def _fit(formula: str, data: pd.DataFrame, family: str) -> MixedGLMResults:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ml.mixedglm(formula, data, family=family).fit()


@pytest.mark.parametrize("value", [1e3, 99999.0, 1e7])
def test_an_outlier_is_not_taken_for_separation(value: float) -> None:
    result = ml.mixedglm(
        "y ~ x + (1 | g)", _with_outlier(value), family="binomial"
    ).fit()
    assert result.converged
    assert result.optimization.evaluations < 100
    rest = _with_outlier(value).drop(index=5)
    without = ml.mixedglm("y ~ x + (1 | g)", rest, family="binomial").fit()
    assert_allclose(result.params, without.params, atol=1e-4)
    assert_allclose(result.bse, without.bse, rtol=1e-3)


@pytest.mark.parametrize("spread", [1.5, 2.5, 4.0])
def test_a_lognormal_covariate_is_not_taken_for_separation(spread: float) -> None:
    rng = np.random.default_rng(2)
    x, g = np.exp(spread * rng.normal(size=1000)), np.arange(1000) % 40
    eta = 0.3 * x - 1.0 + 0.5 * rng.normal(size=40)[g]
    y = (rng.random(1000) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    assert ml.mixedglm("y ~ x + (1 | g)", data, family="binomial").fit().converged


@settings(max_examples=10, deadline=None)
@given(
    unit=st.floats(-8.0, 8.0),
    origin=st.sampled_from([0.0, 1.0, 1e4]),
    seed=st.integers(0, 9),
)
def test_separation_knows_no_unit_and_no_origin(
    unit: float, origin: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, g = rng.normal(size=60), np.arange(60) % 6
    moved = 10.0**unit * (x + origin)
    told = pd.DataFrame({"y": (x > 0.1).astype(float), "x": moved, "g": g})
    with pytest.warns(ConvergenceWarning, match=r"no finite estimate of .*x.* 60 rows"):
        result = ml.mixedglm("y ~ x + (1 | g)", told, family="binomial").fit()
    assert not result.converged
    y = (rng.random(60) < 0.5).astype(float)
    result = _fit("y ~ x + (1 | g)", told.assign(y=y), "binomial")
    assert result.converged


def _tables(seed: int) -> pd.DataFrame:
    """Counts of 12 tables of 4 by 3, two cells always empty."""
    rng = np.random.default_rng(seed)
    g, c, t = (part.ravel() for part in np.indices((12, 4, 3)))
    mean = np.exp(1.0 + 0.3 * c - 0.2 * t + 0.5 * rng.normal(size=len(g)))
    y = rng.poisson(mean).astype(float)
    y[((c == 2) & (t == 1)) | ((c == 3) & (t == 0))] = 0.0
    return pd.DataFrame({"y": y, "g": g, "c": c.astype(str), "t": t.astype(str)})


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_finite_estimates_beside_infinite_ones_keep_their_errors(seed: int) -> None:
    data = _tables(seed)
    with pytest.warns(ConvergenceWarning, match="of 24 rows"):
        result = ml.mixedglm(
            "y ~ c * t + (1 | g) + (1 | g:c)", data, family="poisson"
        ).fit()
    filled = data.groupby(["c", "t"])["y"].transform("sum") > 0.0
    rest = data[filled].assign(cell=data["c"] + data["t"])
    other = _fit("y ~ 0 + cell + (1 | g) + (1 | g:c)", rest, "poisson")
    assert_allclose(result.llf, other.llf, atol=1e-6)
    assert_allclose(result.bse["Intercept"], other.bse["cell[00]"], rtol=1e-4)
    contrast = other.t_test("cell[01] - cell[00] = 0")
    assert_allclose(result.bse["t[T.1]"], contrast.sd.item(), rtol=1e-4)
    assert_allclose(
        result.bse["c[T.1]"],
        other.t_test("cell[10] - cell[00] = 0").sd.item(),
        rtol=1e-4,
    )


def test_a_rare_level_with_one_outcome_is_found_among_many_rows() -> None:
    """One row of 20,000: a column of unit size is large there; so is its curvature."""
    rng = np.random.default_rng(0)
    g = np.arange(20_000) % 50
    eta = 0.3 * rng.normal(size=50)[g]
    y = (rng.random(20_000) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    d = np.zeros(20_000)
    d[7], y[7] = 1.0, 1.0
    data = pd.DataFrame({"y": y, "d": d, "g": g})
    with pytest.warns(ConvergenceWarning, match=r"estimate of d exists.* 1 rows"):
        assert (
            not ml.mixedglm("y ~ d + (1 | g)", data, family="binomial").fit().converged
        )


def _fit_with_one_outcome(link: str, outcome: float, words: str) -> None:
    """A third of the rows, those of level c, have the same outcome."""
    rng = np.random.default_rng(3)
    g, d = np.arange(400) % 20, rng.choice(list("abc"), 400)
    p = np.exp(-1.2 + 0.3 * rng.normal(size=20)[g])
    y = (rng.random(400) < (1.0 - p if link == "LogC" else p)).astype(float)
    y[d == "c"] = outcome
    family = sm.families.Binomial(link=getattr(sm.families.links, link)())
    data = pd.DataFrame({"y": y, "d": d, "g": g})
    with pytest.warns(ConvergenceWarning, match=words):
        assert not ml.mixedglm("y ~ d + (1 | g)", data, family=family).fit().converged


@pytest.mark.parametrize(
    ("link", "outcome"),
    [
        *itertools.product(["Probit", "CLogLog", "LogLog", "Cauchy"], [0.0, 1.0]),
        ("Log", 0.0),
        ("LogC", 1.0),
    ],
)
def test_a_level_with_one_outcome_is_told(link: str, outcome: float) -> None:
    _fit_with_one_outcome(link, outcome, r"d\[T.c\] exists.* 129 rows")


@pytest.mark.slow
@pytest.mark.parametrize(("link", "outcome"), [("Log", 1.0), ("LogC", 0.0)])
def test_a_level_at_the_edge_of_a_link_is_told(link: str, outcome: float) -> None:
    """These links reach a probability of one at a finite eta."""
    _fit_with_one_outcome(link, outcome, "Use the logit link")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_direction_separates_if_one_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = np.column_stack([np.ones(12), rng.normal(size=(12, 2)).round(1)])
    ends = rng.integers(-1, 2, 12).astype(float)
    found = separating_direction(columns, ends)
    told = columns @ rng.normal(size=3)
    assert separating_direction(columns, np.sign(told)) is not None
    if found is None:
        return
    along = columns @ found
    assert np.abs(along[ends == 0.0]).max(initial=0.0) < 1e-6
    assert (ends * along).min() > -1e-6
    assert (ends * along).max() > 1e-6
