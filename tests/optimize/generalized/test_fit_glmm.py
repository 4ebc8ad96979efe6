"""Fits of generalized models against other ways to the same number."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from generalized_fits import fitted, problem_of
from multilevel.design.model_design import build_design
from multilevel.errors import SingularFitWarning
from multilevel.formula.parse import parse_formula
from multilevel.optimize.generalized.estimates import user_params, working_params
from multilevel.optimize.generalized.fit import fit_glmm
from multilevel.optimize.generalized.likelihood import (
    hessian,
    loglike,
    loglike_groups,
    score,
)
from multilevel.optimize.linear.fit import fit_lmm
from multilevel.optimize.linear.problem import build_problem


def test_gaussian_identity_is_the_linear_mixed_model(frame):
    formula = "normal ~ x + (1 | g) + (0 + z | h)"
    varied = frame.assign(normal=frame["normal"] + frame["z"] * (frame["h"] % 3))
    _, fit = fitted(formula, varied, "gaussian")
    design = build_design(parse_formula(formula), varied)
    linear = fit_lmm(build_problem(design), reml=False)
    assert_allclose(fit.llf, linear.llf, atol=1e-8)
    assert_allclose(fit.beta, linear.beta, rtol=1e-6)
    assert_allclose(fit.dispersion, linear.sigma**2, rtol=1e-5)
    for own, other in zip(fit.factors, linear.factors, strict=True):
        assert_allclose(own, linear.sigma * other, rtol=1e-4, atol=1e-6)
    assert_allclose(fit.cov_beta, linear.cov_beta, rtol=1e-3)


@pytest.mark.parametrize("nagq", [1, 6])
def test_merged_rows_change_nothing(frame, nagq):
    """The same model of rounded covariates, with and without a unique offset."""
    rounded = frame.assign(x=frame["x"].round(), tiny=np.arange(600) * 1e-13)
    problem, fit = fitted("binary ~ x + (1 | g)", rounded, "binomial", nagq=nagq)
    assert len(problem.X) < 300
    formula = "binary ~ x + offset(tiny) + (1 | g)"
    apart, other = fitted(formula, rounded, "binomial", nagq=nagq)
    assert len(apart.X) == 600
    assert_allclose(fit.llf, other.llf, atol=1e-8)
    assert_allclose(fit.cov_beta, other.cov_beta, rtol=1e-5)
    assert_allclose(fit.eta, other.eta, atol=1e-5)


@pytest.mark.parametrize("family", ["binomial", "poisson", "negativebinomial", "gamma"])
def test_order_of_rows_does_not_matter(frame, family):
    response = {"binomial": "binary", "gamma": "positive"}.get(family, "count")
    formula = f"{response} ~ x + (x | g) + (1 | h)"
    link = "logit" if family == "binomial" else "log"
    shuffled = frame.sample(frac=1.0, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        _, one = fitted(formula, frame, family, link=link)
        _, other = fitted(formula, shuffled, family, link=link)
    assert_allclose(other.llf, one.llf, atol=1e-7)
    assert_allclose(other.beta, one.beta, rtol=1e-4)
    assert_allclose(other.mu[np.argsort(shuffled.index)], one.mu, rtol=1e-3)


@pytest.mark.parametrize(("shift", "scale"), [(0, 1e8), (0, 1e-8), (1e5, 1), (-2e3, 9)])
@pytest.mark.parametrize("nagq", [1, 5])
def test_units_of_a_covariate_do_not_matter(frame, shift, scale, nagq):
    formula = "count ~ x + (x | g)"
    moved = frame.assign(x=shift + scale * frame["x"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        _, one = fitted(formula, frame, "poisson", nagq=nagq)
        _, other = fitted(formula, moved, "poisson", nagq=nagq)
    assert_allclose(other.llf, one.llf, atol=1e-7)
    assert_allclose(other.beta[1] * scale, one.beta[1], rtol=1e-5)
    assert_allclose(other.cov_beta[1, 1] * scale**2, one.cov_beta[1, 1], rtol=1e-4)


def test_a_constant_random_column_is_an_intercept_in_other_units(frame):
    _, one = fitted("binary ~ x + (1 | g)", frame, "binomial")
    _, other = fitted("binary ~ x + (0 + c | g)", frame.assign(c=-3.0), "binomial")
    assert_allclose(other.llf, one.llf, atol=1e-8)
    assert_allclose(3.0 * other.theta, one.theta, rtol=1e-5)
    assert_allclose(-3.0 * other.modes[0], one.modes[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("formula", "family", "nagq"),
    [
        ("binary ~ x + (x | g)", "binomial", 1),
        ("binary ~ x + (x | g)", "binomial", 4),
        ("count ~ x + (1 | g) + (1 | h)", "negativebinomial", 1),
        ("wald ~ x + (1 | g)", "inversegaussian", 3),
        ("count ~ x + (x || g)", "poisson", 1),
    ],
)
def test_likelihood_in_the_users_parameters(frame, formula, family, nagq):
    link = "log" if family == "inversegaussian" else None
    problem = problem_of(formula, frame, family, link=link)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        fit = fit_glmm(problem, nagq=nagq)
    params = user_params(problem, fit.working_params)
    assert_allclose(loglike(problem, params, nagq=nagq), fit.llf, atol=1e-8)
    again = user_params(problem, working_params(problem, params))
    assert_allclose(again, params, rtol=1e-7, atol=1e-9)
    elsewhere = 1.1 * params + 0.05
    slopes = score(problem, elsewhere, nagq=nagq)
    for j, slope in enumerate(slopes):
        shift = np.zeros(len(params))
        shift[j] = 1e-5
        ahead, behind = (
            loglike(problem, elsewhere + way * shift, nagq=nagq) for way in (1, -1)
        )
        assert_allclose(slope, (ahead - behind) / 2e-5, rtol=1e-4, atol=1e-4)
    curvature = hessian(problem, elsewhere, nagq=nagq)
    shift = 1e-4 * np.eye(len(params))[0]
    change = score(problem, elsewhere + shift, nagq=nagq)
    change = change - score(problem, elsewhere - shift, nagq=nagq)
    assert_allclose(curvature[0], change / 2e-4, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(
    ("formula", "nagq"),
    [("binary ~ x + (1 | g)", 1), ("binary ~ x + (1 | g)", 5), ("binary ~ (1|g/h)", 1)],
)
def test_contributions_of_groups_add_up(frame, formula, nagq):
    problem, fit = fitted(formula, frame, "binomial", nagq=nagq)
    parts = loglike_groups(problem, fit)
    assert parts.shape == (30,)
    assert_allclose(parts.sum(), fit.llf, atol=1e-8)


def test_covariance_of_the_parameters_inverts_the_hessian(frame):
    problem, fit = fitted("count ~ x + (1 | g)", frame, "negativebinomial")
    params = user_params(problem, fit.working_params)
    expected = np.linalg.inv(-hessian(problem, params))
    assert_allclose(fit.cov_params, expected, rtol=1e-3, atol=1e-8)
    assert_allclose(fit.cov_beta, fit.cov_params[:2, :2])


def test_more_nodes_come_nearer_to_each_other(frame):
    """The quadrature converges; the Laplace approximation is its coarsest member."""
    formula = "binary ~ x + (1 | g)"
    values = [
        fitted(formula, frame, "binomial", nagq=n)[1].llf for n in (1, 2, 3, 7, 15, 25)
    ]
    distance = np.abs(np.array(values) - values[-1])
    assert (np.diff(distance) <= 1e-9).all()
    assert distance[-2] < 1e-6 < distance[0]


def test_start_does_not_matter(frame):
    problem = problem_of("binary ~ x + (1 | g)", frame, "binomial")
    expected = fit_glmm(problem)
    for start in ([0.05], [3.0], [10.0, -10.0, 30.0], expected.working_params):
        fit = fit_glmm(problem, start=np.array(start))
        assert_allclose(fit.llf, expected.llf, atol=1e-8)
        assert_allclose(fit.theta, expected.theta, rtol=1e-4)


def test_a_fit_is_told_of_and_counts_its_evaluations(frame):
    told = []
    problem = problem_of("binary ~ x + (1 | g)", frame, "binomial")
    fit = fit_glmm(problem, on_step=lambda n, value: told.append((n, value)))
    counts, values = zip(*told, strict=True)
    assert list(counts) == sorted(counts)
    assert (np.diff(values) <= 1e-9).all()
    assert counts[-1] <= fit.report.evaluations <= 25
    assert fit.criterion == "Laplace"
    assert fit_glmm(problem, nagq=3).criterion == "AGQ(3)"
