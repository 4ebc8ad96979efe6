"""Limits of new observations: degrees of freedom for the whole variance."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import t as student

import multilevel as ml
from multilevel.errors import SingularFitWarning
from multilevel.likelihood.families.traits import bind_rows

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _one_way(n_groups, n_rows, *, seed, sd=1.0):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), n_rows)
    y = sd * rng.normal(size=n_groups)[g] + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "g": g, "x": rng.normal(size=len(g))})


def _fit(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return ml.mixedlm(formula, data, **options).fit()


def test_an_observation_is_known_no_better_than_its_mean():
    """These means have two degrees of freedom, the sum with a residual has many."""
    result = _fit("y ~ 1 + (1 | g)", _one_way(4, 10, seed=7, sd=0.5))
    prediction = result.get_prediction()
    assert 2.0 < prediction.mean_df().min() < 2.1
    mean, observation = prediction.conf_int(1e-3), prediction.observation_limits(1e-3)
    assert_allclose(observation[0], mean[0])
    assert (observation[:, 0] <= mean[:, 0]).all()
    assert (observation[:, 1] >= mean[:, 1]).all()


@pytest.mark.parametrize(("n_groups", "n_rows"), [(3, 30), (8, 4), (20, 10)])
def test_a_new_group_of_a_balanced_design_has_the_df_of_mean_squares(n_groups, n_rows):
    """v = MSB (1/J + 1)/n + MSE (1 - 1/n), two independent scaled chi-squares."""
    data = _one_way(n_groups, n_rows, seed=5)
    result = _fit("y ~ 1 + (1 | g)", data)
    between = n_rows * data.groupby("g")["y"].mean().var(ddof=1)
    within = data.groupby("g")["y"].var(ddof=1).mean()
    parts = [between * (1 / n_groups + 1) / n_rows, within * (1 - 1 / n_rows)]
    df = sum(parts) ** 2 / (
        parts[0] ** 2 / (n_groups - 1) + parts[1] ** 2 / (n_groups * (n_rows - 1))
    )
    prediction = result.get_prediction(data.head(1), random="none")
    limits = prediction.observation_limits(0.05)[0]
    assert_allclose(
        np.ptp(limits) / 2, student.ppf(0.975, df) * np.sqrt(sum(parts)), rtol=1e-4
    )


@pytest.mark.parametrize("random", ["all", "none"])
@pytest.mark.parametrize("seed", range(6))
def test_an_observation_is_never_known_better_than_its_mean(seed, random):
    data = _one_way(3, 30, seed=seed, sd=3.0)
    frame = _fit("y ~ x + (x | g)", data).get_prediction(random=random).summary_frame()
    assert (frame["obs_ci_lower"] <= frame["mean_ci_lower"]).all()
    assert (frame["obs_ci_upper"] >= frame["mean_ci_upper"]).all()


@given(
    seed=st.integers(0, 1000),
    shift=st.sampled_from([0.0, 40.0, 2005.0, 1e5]),
    unit=st.sampled_from([1e-6, 1.0, 1e5]),
    random=st.sampled_from(["all", "none"]),
)
def test_limits_know_no_units_and_no_origin(seed, shift, unit, random):
    data = _one_way(7, 8, seed=seed)
    moved = data.assign(x=(data.x + shift) * unit, y=3.0 + 1e3 * data.y)
    one, other = (
        _fit("y ~ x + (x | g)", d).get_prediction(random=random).summary_frame()
        for d in (data, moved)
    )
    expected = one.to_numpy() * 1e3 + np.where(one.columns == "mean_se", 0.0, 3.0)
    assert_allclose(other.to_numpy(), expected, rtol=1e-3, atol=1.0)


def test_a_mean_of_zero_without_fixed_effects_is_known():
    data = _one_way(6, 5, seed=1)
    result = _fit("y ~ 0 + (1 | g)", data)
    frame = result.get_prediction(random="none").summary_frame()
    assert (frame[["mean_ci_lower", "mean_ci_upper"]] == 0.0).all(axis=None)
    assert (frame["obs_ci_upper"] > 1.96 * result.sigma).all()


def test_missing_rows_stay_missing():
    data = _one_way(5, 6, seed=2)
    new = pd.DataFrame({"x": [0.0, np.nan], "g": [0, 1]})
    frame = _fit("y ~ x + (1 | g)", data).get_prediction(new).summary_frame()
    assert frame.iloc[0].notna().all()
    assert frame.iloc[1].isna().all()


@pytest.mark.parametrize(
    "family",
    [
        sm.families.Gamma(sm.families.links.Identity()),
        sm.families.Gaussian(sm.families.links.Log()),
    ],
    ids=["gamma-identity", "gaussian-log"],
)
def test_rows_of_negative_information_change_no_other_formula(family):
    rng = np.random.default_rng(2)
    g, x = np.repeat(np.arange(20), 12), rng.uniform(size=240)
    mu = np.exp(1 + x + 0.4 * rng.normal(size=20)[g])
    data = pd.DataFrame({"g": g, "x": x, "y": rng.gamma(2, mu / 2)})
    result = ml.mixedglm("y ~ x + (1 | g)", data, family=family).fit()
    fit, X = result.fit_record, result.model.design.X
    rows = bind_rows(result.family, result.model.design.y, None)
    information = rows.terms(fit.eta, np.log(fit.shape_values)).weight
    assert (information < 0).any()
    Z = np.eye(20)[g]
    precision = Z.T @ (Z * information[:, None])
    K = np.linalg.inv(precision + np.eye(20) / fit.factors[0][0, 0] ** 2)
    moved = X - Z @ (K @ (Z.T @ (information[:, None] * X)))
    variance = np.einsum("ij,jk,ik->i", Z, K, Z)
    variance += np.einsum("ij,jk,ik->i", moved, fit.cov_beta, moved)
    found = result.get_prediction().se_linpred
    assert_allclose(found, np.sqrt(variance), rtol=1e-8)


@pytest.mark.slow
def test_the_table_of_coverage_in_the_guide_holds():
    covered = runpy.run_path(str(BENCHMARKS / "prediction_coverage.py"))["covered"]
    by_t, by_z = covered(3, 600, seed=3)
    # Four standard errors of 600 replicates.
    assert abs(by_t - 0.926) < 0.04
    assert abs(by_z - 0.867) < 0.055
