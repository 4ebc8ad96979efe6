"""Satterthwaite's degrees of freedom from their definition, by other routes."""

from __future__ import annotations

import numpy as np
import pytest
from dense_likelihood import central_difference
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.array_types import FloatVector
from multilevel.inference.satterthwaite import (
    contrast_variance,
    variance_parameter_hessian,
)
from multilevel.models.mixedlm import MixedLM
from multilevel.optimize.linear.estimates import Estimates, estimates_at
from multilevel.optimize.linear.problem import LinearProblem

MODELS = {
    "one factor": ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    "crossed": ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
    "nested": ("machines", "score ~ Machine + (1 | Worker / Machine)"),
}


def _model(name: str) -> MixedLM:
    data, formula = MODELS[name]
    return ml.mixedlm(formula, ml.datasets.load(data))


def _deviance(model: MixedLM, params: FloatVector, *, reml: bool) -> float:
    """Deviance in (working theta, sigma), the fixed effects profiled out."""
    problem = model.problem
    at = _estimates(problem, params[:-1], reml=reml)
    nu = problem.n_rows - (problem.n_fixed if reml else 0)
    ratio = (at.sigma / params[-1]) ** 2
    return float(at.deviance + nu * (ratio - 1.0 - np.log(ratio)))


def _estimates(problem: LinearProblem, theta: FloatVector, *, reml: bool) -> Estimates:
    point = problem.point(problem.working.lams(theta), reml=reml)
    return estimates_at(problem, point)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_hessian_is_that_of_the_deviance(name: str, reml: bool) -> None:
    model = _model(name)
    fitted = model.fit(reml=reml)._fitted
    params = np.append(fitted.fit.working_theta, fitted.sigma)

    def slope(at: FloatVector) -> FloatVector:
        return central_difference(lambda x: _deviance(model, x, reml=reml), at, 1e-4)

    differences = central_difference(slope, params, 1e-4)
    ours = variance_parameter_hessian(fitted, fitted.point())
    assert_allclose(ours, differences, rtol=2e-3, atol=2e-4 * np.abs(ours).max())


@pytest.mark.parametrize("name", MODELS)
def test_slopes_are_those_of_the_covariance_of_the_fixed_effects(name: str) -> None:
    fitted = _model(name).fit()._fitted
    problem = fitted.problem

    def covariance(at: FloatVector) -> FloatVector:
        estimates = _estimates(problem, at[:-1], reml=True)
        return estimates.cov_beta * (at[-1] / estimates.sigma) ** 2

    params = np.append(fitted.fit.working_theta, fitted.sigma)
    differences = central_difference(covariance, params, 1e-5)
    contrasts = contrast_variance(fitted)
    slopes = contrasts.root @ contrasts.slopes @ contrasts.root.T
    assert_allclose(slopes, differences, rtol=1e-5, atol=1e-7 * np.abs(slopes).max())


def test_balanced_designs_have_the_degrees_of_freedom_of_anova() -> None:
    """Eighteen subjects, each with the same days: 17 for both coefficients."""
    model = _model("one factor")
    df = contrast_variance(model.fit()._fitted).df(np.eye(2))
    assert_allclose(df, [17.0, 17.0], rtol=1e-5)


def test_a_contrast_may_be_scaled_and_an_f_test_of_one_row_is_the_t_test() -> None:
    model = _model("nested")
    contrasts = contrast_variance(model.fit()._fitted)
    L = np.array([[0.0, 1.0, -1.0]])
    assert_allclose(contrasts.df(7.0 * L), contrasts.df(L), rtol=1e-10)
    assert_allclose(contrasts.f_df(L), contrasts.df(L)[0], rtol=1e-10)
    # Fai & Cornelius: repeating a row changes nothing.
    assert_allclose(contrasts.f_df(np.vstack([L, L])), contrasts.f_df(L), rtol=1e-8)


def test_strata_are_found_in_any_mixture_of_contrasts() -> None:
    """Balanced split plots: 9 within whole plots and 27 within them, mixed at will."""
    rng = np.random.default_rng(6)
    plot, a, b = (i.ravel() for i in np.indices((10, 2, 4)))
    y = rng.normal(size=10)[plot] + rng.normal(size=(10, 2))[plot, a]
    data = {"plot": plot, "a": a - 0.5, "b": b - 1.5, "y": y + rng.normal(size=80)}
    model = ml.mixedlm("y ~ a + b + (1 | plot) + (1 | plot:a)", data)
    contrasts = contrast_variance(model.fit()._fitted)
    both = np.eye(3)[1:]
    separate = contrasts.df(both)
    expected = (separate / (separate - 2.0)).sum()
    for mixture in ([[1.0, 0.0], [0.0, 1e6]], [[3.0, 1.0], [1.0, 1.0]]):
        df = contrasts.f_df(np.array(mixture) @ both)
        assert_allclose(df, 2.0 * expected / (expected - 2.0), rtol=1e-6)


def test_a_contrast_of_no_more_than_two_degrees_of_freedom_leaves_two() -> None:
    """Three plots give one to what differs between them, whatever is tested with it."""
    rng = np.random.default_rng(4)
    plot, b = (i.ravel() for i in np.indices((3, 8)))
    y = 3.0 * rng.normal(size=3)[plot] + rng.normal(size=24)
    data = {"plot": plot, "a": plot == 2, "b": b - 3.5, "y": y}
    model = ml.mixedlm("y ~ a + b + (1 | plot)", data)
    contrasts = contrast_variance(model.fit()._fitted)
    both = np.eye(3)[1:]
    assert_allclose(contrasts.df(both), [1.0, 20.0], rtol=1e-3)
    assert contrasts.f_df(both) == 2.0
    assert contrasts.f_df(np.array([[3.0, 1.0], [1.0, 1.0]]) @ both) == 2.0


def test_many_contrasts_of_one_stratum_take_no_time() -> None:
    rng = np.random.default_rng(0)
    g, f = (i.ravel() for i in np.indices((6, 60)))
    data = {
        "g": g,
        "f": f.astype(str),
        "y": rng.normal(size=6)[g] + rng.normal(size=360),
    }
    result = ml.mixedlm("y ~ f + (1 | g)", data).fit()
    test = result.f_test(np.eye(60)[1:])
    assert test.df_num == 59
    assert_allclose(test.df_denom, 5 * 59, rtol=1e-6)
