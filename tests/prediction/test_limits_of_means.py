"""Limits of means: degrees of freedom of each row's own variance."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import t as student

import multilevel as ml
from multilevel.errors import SingularFitWarning
from multilevel.prediction.linear_limits import LinearLimits
from multilevel.prediction.prediction_error import predicted_means
from multilevel.prediction.prediction_options import PredictionOptions
from multilevel.prediction.prediction_rows import rows_to_predict


def _crossed(seed, *, n_few=4, n_many=12, n_rows=2):
    rng = np.random.default_rng(seed)
    few = np.repeat(np.arange(n_few), n_many * n_rows)
    many = np.tile(np.repeat(np.arange(n_many), n_rows), n_few)
    u_few, u_many = 2.0 * rng.normal(size=n_few), rng.normal(size=n_many)
    y = 5.0 + u_few[few] + u_many[many] + rng.normal(size=len(few))
    return pd.DataFrame({"y": y, "few": few, "many": many}), 5.0 + u_many


def _fit(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return ml.mixedlm(formula, data).fit(**options)


@pytest.mark.parametrize(("n_groups", "n_rows"), [(4, 10), (8, 4), (20, 3)])
def test_a_group_of_a_balanced_design_has_the_df_of_mean_squares(n_groups, n_rows):
    """v = (MSE / n) (1 - (1 - 1/J) MSE / MSB), two independent scaled chi-squares."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(n_groups), n_rows)
    y = rng.normal(size=n_groups)[g] + rng.normal(size=len(g))
    data = pd.DataFrame({"y": y, "g": g})
    between = n_rows * data.groupby("g")["y"].mean().var(ddof=1)
    within = data.groupby("g")["y"].var(ddof=1).mean()
    share = (1 - 1 / n_groups) * within / between
    v = within / n_rows * (1 - share)
    spread = (1 - 2 * share) ** 2 * 2 * within**2 / (n_groups * (n_rows - 1))
    spread += share**2 * (within / between) ** 2 * 2 * between**2 / (n_groups - 1)
    df = 2 * v**2 / (spread / n_rows**2)
    frame = _fit("y ~ 1 + (1 | g)", data).get_prediction().summary_frame()
    reach = (frame["mean_ci_upper"] - frame["mean_ci_lower"]) / 2
    assert_allclose(frame["mean_se"], np.sqrt(v), rtol=1e-6)
    assert_allclose(reach, student.ppf(0.975, df) * np.sqrt(v), rtol=1e-3)


@pytest.mark.parametrize("random", ["all", ["many"], ["few"]])
def test_limits_of_a_row_do_not_depend_on_the_other_rows(random):
    data, _ = _crossed(1)
    result = _fit("y ~ 1 + (1 | few) + (1 | many)", data)
    new = pd.DataFrame({"few": [0, -1, -1, 1], "many": [-1, 0, -1, 1]})
    options = {"random": random, "new_levels": "population"}
    together = result.get_prediction(new, **options).summary_frame()
    for i in range(len(new)):
        alone = result.get_prediction(new.iloc[[i]], **options).summary_frame()
        assert_allclose(alone, together.iloc[[i]], rtol=1e-10)


def test_a_stranger_has_the_limits_of_the_fixed_effects():
    data, _ = _crossed(1)
    result = _fit("y ~ 1 + (1 | few) + (1 | many)", data)
    new = pd.DataFrame({"few": [0, -1], "many": [0, -1]})
    stranger = result.get_prediction(new, new_levels="population").summary_frame()
    assert_allclose(
        stranger.loc[[1], ["mean_ci_lower", "mean_ci_upper"]],
        result.conf_int(),
        rtol=1e-10,
    )


@pytest.mark.parametrize("method", ["residual", "normal"])
def test_other_degrees_of_freedom_are_those_of_all_rows(method):
    data, _ = _crossed(2)
    result = _fit("y ~ 1 + (1 | few) + (1 | many)", data, ddf=method)
    for random in ("all", ["many"], "none"):
        df = result.get_prediction(random=random).df
        assert_allclose(df, len(data) - 1 if method == "residual" else np.inf)


def test_what_few_levels_leave_uncertain_is_covered():
    covered = []
    for seed in range(200):
        data, means = _crossed(seed)
        result = _fit("y ~ 1 + (1 | few) + (1 | many)", data)
        new = pd.DataFrame({"many": [0]})
        limits = result.get_prediction(new, random=["many"]).conf_int()[0]
        covered.append(limits[0] < means[0] < limits[1])
    # Normal limits cover 0.86; the standard error is 0.015.
    assert np.mean(covered) > 0.91


def test_limits_stay_finite_beside_a_variance_that_is_all_but_zero():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(20), 4)
    for _ in range(20):
        data = pd.DataFrame({"y": rng.normal(size=80), "g": g})
        result = _fit("y ~ 1 + (1 | g)", data)
        frame = result.get_prediction().summary_frame()
        reach = (frame["mean_ci_upper"] - frame["mean_ci_lower"]) / 2
        assert (reach <= student.ppf(0.975, 1.0) * frame["mean_se"] * (1 + 1e-9)).all()


@pytest.mark.parametrize("times", [1.0, 0.6])
def test_variances_move_with_theta_and_the_residual_one_is_held(times):
    """sigma^2 [x z] C [x z]' with the inverse C of the mixed-model equations."""
    data, _ = _crossed(2)
    fitted = _fit("y ~ 1 + (1 | few) + (1 | many)", data)._fitted
    asked = PredictionOptions(random="all", new_levels="raise")
    rows = rows_to_predict(fitted.design, None, asked, every_effect=True)
    limits = LinearLimits(
        fitted=fitted, means=predicted_means(fitted, rows), denominators=lambda: None
    )
    found = limits._variances_at(times * fitted.fit.working_theta)
    levels = [np.eye(f.n_levels)[f.codes] for f in fitted.design.factors]
    T = np.column_stack([fitted.design.X, *levels])
    prior = [np.full(z.shape[1], (times * f[0, 0]) ** -2.0)
             for z, f in zip(levels, fitted.fit.factors, strict=True)]  # fmt: skip
    C = np.linalg.inv(T.T @ T + np.diag(np.concatenate([[0.0], *prior])))
    mean = fitted.scale * np.einsum("ij,jk,ik->i", T, C, T)
    assert_allclose(found, [mean, mean + fitted.scale], rtol=1e-8)
