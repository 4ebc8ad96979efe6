"""Any number of shape parameters: rows, approximations, search and results."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.optimize import approx_fprime, minimize
from two_shapes import GENERALIZED_GAMMA

import multilevel as ml
from generalized_cases import STRUCTURES, RandomCase, draw_case
from multilevel.errors import DataError, FitError
from multilevel.likelihood.families.registry import family_of
from multilevel.likelihood.families.row_chunks import RowChunks
from multilevel.likelihood.families.traits import bind_rows
from multilevel.likelihood.generalized.laplace import laplace_deviance, laplace_slopes
from multilevel.likelihood.generalized.pirls import GeneralizedRows, find_modes
from multilevel.likelihood.generalized.quadrature import quadrature_deviance
from multilevel.optimize.generalized.likelihood import modes_of
from multilevel.optimize.generalized.pooled_maximum import pooled_maximum
from multilevel.optimize.generalized.start import rough_hessian

SHAPES = np.array([0.6, -0.4])
STEP = 1e-5


def responses(eta, rng, shapes=SHAPES):
    a, k = np.exp(shapes)
    return np.exp(eta) * (rng.gamma(a, size=len(eta)) / a) ** (1.0 / k)


def differences(function, at):
    """Central differences, one row for each entry of `at`."""
    return np.array(
        [
            (function(at + shift) - function(at - shift)) / (2.0 * STEP)
            for shift in STEP * np.eye(len(at))
        ]
    )


def case_of(structure: str) -> RandomCase:
    drawn = draw_case(3, "gamma", "log", structure, n_rows=60)
    y = responses(drawn.base(), np.random.default_rng(5))
    likelihood = bind_rows(GENERALIZED_GAMMA, y, None)
    rows = GeneralizedRows(likelihood, drawn.rows.layout)
    return RandomCase(rows, drawn.X, drawn.offset, drawn.beta, drawn.lams, SHAPES)


def test_rows_have_their_derivatives():
    eta = np.array([0.3, -0.2, 1.0])
    rows = bind_rows(GENERALIZED_GAMMA, np.array([0.7, 2.0, 3.0]), None)
    a, k = np.exp(SHAPES)
    wanted = stats.gengamma.logpdf(
        np.exp(rows.log_y), a, k, scale=np.exp(eta) * a ** (-1.0 / k)
    )
    assert_allclose(rows.density(eta, SHAPES)[0] + rows.normalizer(SHAPES), wanted)
    found = rows.shape_terms(eta, SHAPES)
    log_p = differences(lambda s: rows.density(eta, s)[0] + rows.normalizer(s), SHAPES)
    assert_allclose(rows.shape_density(eta, SHAPES), log_p, rtol=1e-8)
    assert_allclose(found.total, log_p.sum(axis=1), rtol=1e-8)
    scores = differences(lambda s: rows.terms(eta, s).score, SHAPES)
    assert_allclose(found.score, scores, rtol=1e-8, atol=1e-9)
    weights = differences(lambda s: rows.terms(eta, s).weight, SHAPES)
    assert_allclose(found.weight, weights, rtol=1e-8)
    pieces = RowChunks(rows, ((slice(0, 2), rows.take(slice(0, 2))),
                              (slice(2, 3), rows.take(slice(2, 3)))))  # fmt: skip
    again = pieces.shape_terms(eta, SHAPES)
    for name in ("total", "score", "weight"):
        assert_allclose(getattr(again, name), getattr(found, name), rtol=1e-14)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_laplace_gradient(structure):
    case = case_of(structure)

    def value(shapes):
        modes = find_modes(case.rows, case.base(), case.lams, shapes, tolerance=1e-24)
        return laplace_deviance(case.rows, modes, shapes)

    slopes = laplace_slopes(case.rows, value(SHAPES))
    expected = differences(lambda shapes: value(shapes).value, SHAPES)
    assert_allclose(slopes.shapes, expected, rtol=1e-6)


@pytest.mark.parametrize("n_nodes", [2, 7])
def test_quadrature_gradient(n_nodes):
    case = case_of("slope")

    def at(shapes):
        base = case.base()
        modes = find_modes(case.rows, base, case.lams, shapes, tolerance=1e-24)
        return quadrature_deviance(case.rows, base, modes, shapes, n_nodes)

    expected = differences(lambda shapes: at(shapes)[0].value, SHAPES)
    assert_allclose(at(SHAPES)[1].shapes, expected, rtol=1e-6)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(40), 15)
    x = rng.normal(size=len(g))
    y = responses(0.5 + 0.3 * x + 0.4 * rng.normal(size=40)[g], rng)
    return pd.DataFrame({"y": y, "x": x, "g": g})


@pytest.fixture(scope="module")
def result(data):
    return ml.mixedglm("y ~ x + (1 | g)", data, family=GENERALIZED_GAMMA).fit()


def test_the_fit_is_a_maximum(result):
    assert result.converged
    assert len(result.full_params) == result.df_model == 5
    model, at = result.model, result.full_params
    errors = np.sqrt(np.diag(result.fit_record.cov_params))
    assert (np.abs(at - [0.5, 0.3, 0.4, *np.exp(SHAPES)]) < 3.0 * errors).all()
    assert_allclose(model.loglike(at), result.llf, rtol=1e-12)
    assert_allclose(model.score(at), 0.0, atol=1e-3)
    away = at * np.array([1.05, 0.95, 1.1, 0.9, 1.1])
    score = approx_fprime(away, model.loglike, 1e-6 * np.abs(away))
    assert_allclose(model.score(away), score, rtol=1e-4, atol=1e-3)


def test_standard_errors_are_those_of_the_whole_hessian(result):
    model, at = result.model, result.full_params
    found = model.hessian(at)
    steps = 1e-4 * np.abs(at)
    rows = [
        (model.score(at + s) - model.score(at - s)) / (2.0 * s.max())
        for s in np.diag(steps)
    ]
    scale = np.sqrt(np.abs(np.outer(np.diag(found), np.diag(found))))
    assert_allclose(found / scale, np.array(rows) / scale, atol=1e-4)
    covariance = np.linalg.inv(-found)
    assert_allclose(result.fit_record.cov_params, covariance, rtol=1e-3, atol=1e-7)


def test_the_search_starts_with_the_curvature_in_both(result):
    problem, fit = result.model.problem, result.fit_record
    modes, shapes = modes_of(problem, fit), np.log(fit.shape_values)
    guess = rough_hessian(problem, fit.working_params, modes)[-2:, -2:]
    likelihood = problem.rows.likelihood
    slopes = differences(lambda s: likelihood.shape_terms(modes.eta, s).total, shapes)
    assert_allclose(guess, -2.0 * slopes, rtol=1e-4)


def test_with_a_power_of_one_it_is_the_gamma_family(data, result):
    gamma = ml.mixedglm("y ~ x + (1 | g)", data, family=family_of("gamma", "log")).fit()
    params = gamma.full_params
    params = np.array([*params[:3], 1.0 / params[3], 1.0])
    assert_allclose(result.model.loglike(params), gamma.llf, rtol=1e-12)
    assert result.llf > gamma.llf + 2.0


def test_results_know_both(data, result):
    text = str(result.summary())
    a, k = result.fit_record.shape_values
    assert f"Shape            {a:.4g}" in text
    assert f"Power            {k:.4g}" in text
    residuals = result.get_residuals("quantile")
    assert stats.kstest(residuals, "norm").pvalue > 0.01
    limits = result.get_prediction().summary_frame()
    inside = (data["y"] > limits["obs_ci_lower"]) & (data["y"] < limits["obs_ci_upper"])
    assert 0.92 < inside.mean() < 0.99


def test_the_pooled_model_is_at_its_maximum(data, result):
    rows = bind_rows(GENERALIZED_GAMMA, data["y"].to_numpy(), None)
    columns = np.column_stack([np.ones(len(data)), data["x"]])

    def loss(params):
        terms = rows.terms(columns @ params[:2], params[2:])
        return -(terms.total + rows.normalizer(params[2:]).sum())

    pooled = pooled_maximum(result.model.problem)
    best = minimize(loss, [0.5, 0.3, *SHAPES], method="BFGS")
    assert_allclose(pooled.llf, -best.fun, rtol=1e-10)
    assert_allclose(pooled.shapes, best.x[2:], rtol=1e-3)
    test = result.compare_pooled()
    assert_allclose(test.statistic, 2.0 * (result.llf + best.fun), rtol=1e-6)
    with pytest.raises(DataError, match="no generalized gamma family"):
        assert result.pooled


def test_starts_are_checked_one_by_one(result):
    start = result.full_params.copy()
    again = result.model.fit(start=start)
    assert_allclose(again.llf, result.llf, rtol=1e-9)
    start[-1] = -1.0
    with pytest.raises(FitError, match="start has power -1"):
        result.model.fit(start=start)
    with pytest.raises(FitError, match="the shape and the power: 5 in all"):
        result.model.loglike(start[:4])
