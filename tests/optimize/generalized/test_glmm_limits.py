"""Generalized models where estimates are at an edge or at infinity, and bad input."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from generalized_fits import fitted, problem_of
from multilevel.errors import ConvergenceWarning, FitError, SingularFitWarning
from multilevel.optimize.generalized.estimates import user_params
from multilevel.optimize.generalized.fit import fit_glmm
from multilevel.optimize.generalized.likelihood import (
    loglike,
    loglike_groups,
    score,
)
from small_data import balanced_groups


def test_a_variance_of_zero_is_found_and_reported(frame):
    nothing = frame.assign(flat=np.tile([0.0, 1.0], 300))
    problem = problem_of("flat ~ z + (1 | g)", nothing, "binomial")
    with pytest.warns(SingularFitWarning, match=r"sd\(Intercept \| g\) = 0"):
        fit = fit_glmm(problem)
    assert fit.is_singular
    assert fit.theta[0] == 0.0
    assert fit.report.converged
    assert np.isfinite(fit.cov_beta).all()
    assert fit.llf >= loglike(problem, np.append(fit.beta, 0.02)) - 1e-9


def test_a_small_variance_is_kept_where_none_is_less_likely():
    """sd below 0.01 of the residual one, though zero costs less than 1 of deviance."""
    frame = balanced_groups(40, 1600, 1.1 / 1600)
    problem, fit = fitted("y ~ 1 + (1 | g)", frame, "gaussian")
    # Analysis of variance: size times the variance, over the residual one, is 0.1.
    assert_allclose(fit.theta[0], np.sqrt(0.1 / 1600), rtol=1e-4)
    assert not fit.is_singular
    nothing = np.array([fit.beta[0], 0.0, 1.0])
    assert 0.1 < 2.0 * (fit.llf - loglike(problem, nothing)) < 1.0


@pytest.mark.parametrize(
    ("formula", "start"),
    [
        ("count ~ x + (1 | g)", [0.0]),
        ("count ~ x + (1 | g) + (0 + z | h)", [0.0, 0.3]),
        ("count ~ x + (x | g)", [0.8, 0.0, 0.0]),
        ("count ~ x + (x | g)", [0.0, 0.0, 0.0]),
        ("count ~ x + (x || g)", [0.0, 0.5]),
    ],
)
@pytest.mark.parametrize("nagq", [1, 3])
def test_a_singular_start_is_left_where_the_likelihood_rises(
    frame, formula, start, nagq
):
    """Zero is a stationary point of theta whatever the data."""
    if nagq > 1 and "h" in formula:
        return
    rng = np.random.default_rng(0)
    slopes = 0.5 * rng.normal(size=30)[frame["g"]] * frame["x"]
    mean = np.exp(0.5 + slopes + 0.7 * rng.normal(size=30)[frame["g"]])
    mean *= np.exp(0.4 * rng.normal(size=12)[frame["h"]] * frame["z"])
    varied = frame.assign(count=rng.poisson(mean).astype(float))
    problem = problem_of(formula, varied, "poisson")
    expected = fit_glmm(problem, nagq=nagq)
    assert not expected.is_singular
    fit = fit_glmm(problem, nagq=nagq, start=np.array(start))
    assert_allclose(fit.llf, expected.llf, atol=1e-7)


def test_complete_separation_is_named(frame):
    told = frame.assign(sure=(frame["x"] > 0).astype(float))
    problem = problem_of("sure ~ x + z + (1 | g)", told, "binomial")
    with pytest.warns(ConvergenceWarning, match=r"no finite estimate of .*x.*600 rows"):
        fit = fit_glmm(problem)
    assert not fit.report.converged
    assert np.sqrt(fit.cov_beta[1, 1]) > 25


@pytest.mark.parametrize(
    ("response", "family"), [("binary", "binomial"), ("count", "poisson")]
)
@pytest.mark.parametrize("nagq", [1, 5])
def test_a_level_with_one_outcome_is_named(frame, response, family, nagq):
    outcome = 1.0 if family == "binomial" else 0.0
    told = frame.copy()
    told.loc[told["d"] == "c", response] = outcome
    problem = problem_of(f"{response} ~ x + d + (1 | g)", told, family)
    rows = (told["d"] == "c").sum()
    with pytest.warns(ConvergenceWarning, match=rf"d\[T.c\] exists.* {rows} rows"):
        fit = fit_glmm(problem, nagq=nagq)
    assert np.sqrt(fit.cov_beta[2, 2]) > 25
    # What is not separated is estimated as if those rows were not there.
    rest = told[told["d"] != "c"]
    _, other = fitted(f"{response} ~ x + d + (1 | g)", rest, family, nagq=nagq)
    assert_allclose(fit.llf, other.llf, atol=1e-4)
    assert_allclose(fit.beta[3], other.beta[2], atol=1e-3)


def test_every_group_with_one_outcome_is_named(frame):
    told = frame.assign(sure=(frame["g"] % 2).astype(float))
    problem = problem_of("sure ~ z + (1 | g)", told, "binomial")
    with pytest.warns(ConvergenceWarning, match=r"sd\(Intercept \| g\) runs off"):
        assert not fit_glmm(problem).report.converged


def test_groups_of_zeros_and_of_ones_are_ordinary(frame):
    told = frame.copy()
    told.loc[told["g"] == 3, "binary"] = 0.0
    told.loc[told["g"] == 4, "binary"] = 1.0
    _, fit = fitted("binary ~ x + (1 | g)", told, "binomial")
    assert fit.report.converged
    assert fit.modes[0][3, 0] < -1 < 1 < fit.modes[0][4, 0]


@pytest.mark.parametrize("offset", [-300.0, -5.0, 30.0, 300.0])
@pytest.mark.parametrize(
    ("response", "family"), [("binary", "binomial"), ("count", "poisson")]
)
def test_a_constant_offset_moves_the_intercept(frame, response, family, offset):
    formula = f"{response} ~ x + offset(away) + (1 | g)"
    _, plain = fitted(f"{response} ~ x + (1 | g)", frame, family)
    _, moved = fitted(formula, frame.assign(away=offset), family)
    assert_allclose(moved.llf, plain.llf, atol=1e-7)
    assert_allclose(moved.beta + [offset, 0.0], plain.beta, atol=1e-5)


def test_counts_of_a_million(frame):
    _, fit = fitted("huge ~ x + (1 | g)", frame, "poisson")
    assert fit.report.converged
    assert_allclose(fit.beta, [np.log(1e6), 0.1], atol=0.05)
    shares = frame.assign(share=frame["huge"] / frame["huge"].max(), n=1e6)
    _, fit = fitted("share ~ x + (1 | g)", shares, "binomial", weights="n")
    assert fit.report.converged


@pytest.mark.parametrize("nagq", [1, 4])
@pytest.mark.parametrize("formula", ["binary ~ 1 + (1 | g)", "binary ~ 0 + (1 | g)"])
def test_few_fixed_effects_or_none(frame, formula, nagq):
    problem, fit = fitted(formula, frame, "binomial", nagq=nagq)
    assert len(fit.beta) == problem.n_fixed == int("1 +" in formula)
    assert fit.report.converged
    assert fit.cov_params.shape == (problem.n_parameters,) * 2


def test_counts_less_dispersed_than_poisson_go_to_the_edge(frame):
    problem = problem_of("even ~ x + (1 | g)", frame, "negativebinomial")
    with pytest.warns(SingularFitWarning) as caught:
        fit = fit_glmm(problem)
    assert any('family="poisson"' in str(w.message) for w in caught)
    with pytest.warns(SingularFitWarning):
        _, poisson = fitted("even ~ x + (1 | g)", frame, "poisson")
    assert_allclose(fit.llf, poisson.llf, atol=1e-5)


@pytest.mark.parametrize(
    ("response", "family", "link"),
    [
        ("positive", "gamma", "log"),
        ("positive", "gamma", "inverse"),
        ("positive", "gamma", "identity"),
        ("wald", "inversegaussian", "log"),
        ("wald", "inversegaussian", "inverse_squared"),
        ("count", "negativebinomial", "log"),
        ("even", "poisson", "identity"),
        ("even", "poisson", "sqrt"),
        ("binary", "binomial", "cauchit"),
        ("binary", "binomial", "loglog"),
    ],
)
def test_a_fit_is_stationary_whatever_the_family(frame, response, family, link):
    problem = problem_of(f"{response} ~ x + (1 | g)", frame, family, link=link)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        fit = fit_glmm(problem)
    assert fit.report.converged
    assert fit.report.expected_gain < 1e-7
    params = user_params(problem, fit.working_params)
    errors = np.sqrt(np.diag(fit.cov_params))
    interior = params != 0.0
    slopes = score(problem, params)
    assert np.abs(slopes[interior] * errors[interior]).max() < 1e-2
    assert (fit.mu > 0).all()


def test_units_of_a_positive_response_move_the_intercept_only(frame):
    scaled = frame.assign(positive=1e6 * frame["positive"])
    _, one = fitted("positive ~ x + (1 | g)", frame, "gamma", link="log")
    _, other = fitted("positive ~ x + (1 | g)", scaled, "gamma", link="log")
    assert_allclose(other.beta - [np.log(1e6), 0.0], one.beta, atol=1e-6)
    assert_allclose(other.dispersion, one.dispersion, rtol=1e-6)
    assert_allclose(other.llf, one.llf - 600 * np.log(1e6), atol=1e-6)


@pytest.mark.parametrize(
    ("formula", "nagq", "words"),
    [
        ("binary ~ x + (1 | g) + (1 | h)", 5, "one grouping factor.*2: g, h"),
        ("binary ~ x + (1 | g/h)", 2, "one grouping factor"),
        ("binary ~ x + (x * z | g)", 3, "at most 3 random effects.*g has 4"),
        ("binary ~ x + (1 | g)", 0, "nagq=0"),
        ("binary ~ x + (1 | g)", -3, "nagq=-3"),
        ("binary ~ x + (1 | g)", 2.5, r"nagq=2\.5"),
    ],
)
def test_impossible_nodes_are_refused(frame, formula, nagq, words):
    problem = problem_of(formula, frame, "binomial")
    with pytest.raises(FitError, match=words):
        fit_glmm(problem, nagq=nagq)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (np.ones(2), "2.*1 covariance parameters theta and 4"),
        (np.ones((1, 1)), "shape"),
        (np.array([np.nan]), "not finite"),
        (np.array([0.1, 0.2, 1.0, -1.0]), "dispersion -1"),
    ],
)
def test_impossible_starts_are_refused(frame, start, words):
    problem = problem_of("positive ~ x + (1 | g)", frame, "gamma", link="log")
    with pytest.raises(FitError, match=words):
        fit_glmm(problem, start=start)


def test_parameters_that_do_not_fit_are_refused(frame):
    problem = problem_of("positive ~ x + (1 | g)", frame, "gamma", link="log")
    with pytest.raises(ValueError, match=r"2 fixed effects.*dispersion: 4"):
        loglike(problem, np.ones(3))
    with pytest.raises(ValueError, match="must be positive"):
        loglike(problem, np.array([0.1, 0.2, 1.0, 0.0]))
    with pytest.raises(FitError, match="cannot be evaluated"):
        loglike(problem, np.array([-1e4, 0.2, 1.0, 1.0]))


def test_contributions_of_crossed_groups_are_refused(frame):
    problem, fit = fitted("count ~ x + (1 | g) + (1 | h)", frame, "poisson")
    with pytest.raises(FitError, match="crossed"):
        loglike_groups(problem, fit)
