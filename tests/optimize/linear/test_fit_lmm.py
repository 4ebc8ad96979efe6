"""The optimum is reached, in few evaluations, from any start."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import FitError, SingularFitWarning
from multilevel.models.mixedlm import MixedLM
from multilevel.optimize.linear.fit import fit_lmm
from multilevel.optimize.linear.fit_record import LMMFit
from small_data import balanced_groups

COUNTED = {
    "sleepstudy": ("Reaction ~ Days + (Days | Subject)", True),
    "penicillin": ("diameter ~ 1 + (1 | plate) + (1 | sample)", True),
    "insteval": ("y ~ service + (1 | s) + (1 | d) + (1 | dept:service)", False),
}


@pytest.mark.parametrize("name", COUNTED)
def test_few_evaluations_are_enough(name: str) -> None:
    formula, reml = COUNTED[name]
    result = ml.mixedlm(formula, ml.datasets.load(name)).fit(reml=reml)
    assert result.converged
    assert result.optimization.evaluations <= 12


def _model(name: str, formula: str) -> MixedLM:
    return ml.mixedlm(formula, ml.datasets.load(name))


def _quiet_fit(model: MixedLM, **options: object) -> LMMFit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return fit_lmm(model.problem, **options)


ESCAPES = {
    "sleepstudy": "Reaction ~ Days + (Days | Subject)",
    "penicillin": "diameter ~ 1 + (1 | plate) + (1 | sample)",
    "pastes": "strength ~ 1 + (1 | batch / cask)",
    "machines": "score ~ Machine + (0 + Machine | Worker)",
}


@pytest.mark.parametrize("start", ["zero", "tiny", "huge", "singular", "negative"])
@pytest.mark.parametrize("name", ESCAPES)
def test_every_start_leads_to_the_same_optimum(name: str, start: str) -> None:
    """theta = 0 is stationary whatever the data: it must be left all the same."""
    model = _model(name, ESCAPES[name])
    best = _quiet_fit(model)
    theta = {
        "zero": np.zeros_like(best.theta),
        "tiny": 1e-6 * best.theta,
        "huge": 1e2 * best.theta,
        "singular": np.where(np.arange(len(best.theta)) == 0, best.theta, 0.0),
        "negative": -best.theta,
    }[start]
    again = _quiet_fit(model, start=theta)
    assert again.report.converged
    assert_allclose(again.llf, best.llf, atol=2e-8, rtol=0)
    assert_allclose(again.sigma, best.sigma, rtol=1e-4)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ESCAPES)
def test_no_direction_is_downhill_at_the_optimum(name: str, reml: bool) -> None:
    model = _model(name, ESCAPES[name])
    fit = _quiet_fit(model, reml=reml)
    rng = np.random.default_rng(1)
    problem = model.problem
    for size in (1e-3, 1e-2, 0.3):
        for _ in range(20):
            theta = fit.working_theta + size * rng.normal(size=len(fit.theta))
            point = problem.point(problem.working.lams(theta), reml=reml)
            shift = problem.deviance_shift(reml=reml)
            assert point.profiled.deviance + shift >= -2.0 * fit.llf - 1e-8


def test_a_zero_variance_is_exactly_zero_and_named() -> None:
    model = _model("dyestuff2", "Yield ~ 1 + (1 | Batch)")
    with pytest.warns(SingularFitWarning, match=r"sd\(Intercept \| Batch\)"):
        fit = fit_lmm(model.problem)
    assert fit.theta[0] == 0.0
    assert fit.is_singular
    assert fit.report.boundary == {"sd(Intercept | Batch)": 0.0}
    assert fit.report.converged


@pytest.mark.parametrize("excess", [0.03, 0.15])
def test_a_small_variance_is_kept_where_none_is_less_likely(excess: float) -> None:
    """sd below 0.01 of the residual one, though zero costs less than 1 of deviance."""
    J, m = 40, 1600
    frame = balanced_groups(J, m, (1.0 + excess) / m)
    fit = fit_lmm(ml.mixedlm("y ~ 1 + (1 | g)", frame).problem, reml=False)
    # Analysis of variance: m tau^2 + sigma^2 = m between, sigma^2 = 1.
    assert_allclose(fit.theta, [np.sqrt(excess / m)], rtol=1e-5)
    assert fit.theta[0] < 0.01
    cost = J * m * np.log1p(excess / m) - J * np.log1p(excess)
    assert 0.01 < cost < 1.0
    assert not fit.is_singular


def test_a_correlation_of_one_is_named() -> None:
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(30), 8)
    x = rng.normal(size=len(g))
    b = rng.normal(size=30)[g]
    y = 1 + 2 * b + b * x + rng.normal(size=len(g)) * 0.5
    frame = pd.DataFrame({"y": y, "x": x, "g": g})
    with pytest.warns(SingularFitWarning, match=r"cor\(Intercept, x \| g\)"):
        result = ml.mixedlm("y ~ x + (x | g)", frame).fit(reml=False)
    sd = np.sqrt(np.diag(result.cov_re["g"]))
    assert_allclose(result.cov_re["g"].iloc[0, 1], sd[0] * sd[1], rtol=1e-6)
    assert result.optimization.boundary == {"cor(Intercept, x | g)": 1.0}
    assert result.is_singular


def test_a_fit_is_a_value() -> None:
    model = _model("sleepstudy", ESCAPES["sleepstudy"])
    first = fit_lmm(model.problem)
    llf = first.llf
    fit_lmm(model.problem, reml=False)
    assert first.llf == llf
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.llf = 0.0  # type: ignore[misc]


def test_a_start_of_the_wrong_length_is_refused() -> None:
    model = _model("sleepstudy", ESCAPES["sleepstudy"])
    with pytest.raises(FitError, match="3 finite covariance parameters"):
        fit_lmm(model.problem, start=np.ones(2))


@pytest.mark.parametrize("factor", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("ratio", [1e-4, 1e-2, 1.0, 1e2, 1e4])
def test_the_ratio_of_variances_and_the_unit_may_be_anything(
    ratio: float, factor: float
) -> None:
    """One factor, balanced: the REML estimates are those of analysis of variance."""
    rng = np.random.default_rng(11)
    n_groups, size = 40, 6
    g = np.repeat(np.arange(n_groups), size)
    y = ratio * rng.normal(size=n_groups)[g] + rng.normal(size=len(g))
    y = factor * (y + 3.0)
    means = y.reshape(n_groups, size).mean(axis=1)
    within = ((y - means[g]) ** 2).sum() / (n_groups * (size - 1))
    between = size * means.var(ddof=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        result = ml.mixedlm("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": g})).fit()
    variance = (between - within) / size
    if variance > 0:
        assert_allclose(result.scale, within, rtol=1e-6)
        assert_allclose(result.cov_re["g"].iloc[0, 0], variance, rtol=1e-4)
    else:
        assert result.cov_re["g"].iloc[0, 0] == 0.0


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.parametrize(
    ("seed", "llf"),
    [(157, -187.57710564), (158, -210.73598913), (191, -232.02759092)],
)
def test_the_lowest_minimum_is_found_where_rows_are_few_for_the_effects(seed, llf):
    """Sixty random starts lead to no other; the first descent ends 2 to 48 lower."""
    rng = np.random.default_rng(seed)
    g, h = rng.integers(0, 9, 70), rng.integers(0, 4, 70)
    x = rng.normal(size=70)
    y = x + 5 * rng.normal(size=4)[h] + rng.normal(size=70)
    w = np.exp(4 * rng.normal(size=70))
    data = pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "w": w})
    model = ml.mixedlm("y ~ x + (x | g:h) + (1 | g)", data, weights="w")
    assert_allclose(model.fit(reml=False).llf, llf, atol=1e-6)


def _deviance_of_one_variance(data, weights, theta):
    """Dense ML deviance of ``y ~ x0 + x1 + x2 + (1 | g)``."""
    X = np.column_stack([np.ones(len(data)), data[["x0", "x1", "x2"]]])
    same = data["g"].to_numpy()[:, None] == data["g"].to_numpy()
    V = np.diag(1 / weights) + theta**2 * same
    solved = np.linalg.solve(V, X)
    beta = np.linalg.solve(X.T @ solved, solved.T @ data["y"])
    left = data["y"].to_numpy() - X @ beta
    square, n = left @ np.linalg.solve(V, left), len(data)
    return n * (1 + np.log(2 * np.pi * square / n)) + np.linalg.slogdet(V)[1]


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_one_variance_has_the_lowest_of_all_minima(spread):
    """Some data of this size have two minima, either of which may be the lower."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, n_groups = int(rng.integers(10, 22)), int(rng.integers(2, 7))
        data = pd.DataFrame(rng.normal(size=(n, 3)), columns=["x0", "x1", "x2"])
        data["g"] = np.r_[0, 1, rng.integers(0, n_groups, n - 2)]
        data["y"] = rng.normal(size=n)
        weights = np.exp(spread * rng.normal(size=n))
        model = ml.mixedlm("y ~ x0 + x1 + x2 + (1 | g)", data, weights=weights)
        lowest = min(
            _deviance_of_one_variance(data, weights, theta)
            for theta in [0.0, *np.geomspace(0.05, 50.0, 40)]
        )
        assert model.fit(reml=False).deviance <= lowest + 1e-6
