"""Fits of generalized models: R's numbers, other approximations, limits, bad input."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from multilevel.design.model_design import build_design
from multilevel.errors import ConvergenceWarning, FitError, SingularFitWarning
from multilevel.formula.parse import parse_formula
from multilevel.likelihood.families import family_of
from multilevel.optimize.fit_glmm import fit_glmm
from multilevel.optimize.fit_lmm import fit_lmm
from multilevel.optimize.glm_estimates import user_params, working_params
from multilevel.optimize.glm_likelihood import (
    conditional_covariances,
    hessian,
    loglike,
    loglike_groups,
    score,
)
from multilevel.optimize.glm_problem import build_glm_problem
from multilevel.optimize.linear_problem import build_problem
from reference_cases import ReferenceCase, load_references


def problem_of(formula, frame, family, *, link=None, weights=None):
    found = family_of(family, link)
    design = build_design(
        parse_formula(formula),
        frame,
        weights=weights,
        family_is_binomial=found.name == "binomial",
        residual_estimated=False,
    )
    return build_glm_problem(design, found)


def fitted(formula, frame, family, *, nagq=1, **given):
    problem = problem_of(formula, frame, family, **given)
    return problem, fit_glmm(problem, nagq=nagq)


def sds(fit):
    return np.concatenate([np.sqrt((factor**2).sum(axis=1)) for factor in fit.factors])


# --- R's results -----------------------------------------------------------------


def is_ours(case: ReferenceCase) -> bool:
    """Laplace with the observed information, by ML: not all of lme4's are."""
    if not case["engine"].startswith("lme4"):
        return True
    if case["family"] not in ("binomial", "poisson"):
        return False
    canonical = (case["family"], case["link"]) in (
        ("binomial", "logit"),
        ("poisson", "log"),
    )
    return canonical or case["nAGQ"] > 1


REFERENCES = [case for case in load_references("glmm") if is_ours(case)]
FAMILIES = {"nbinom2": "negativebinomial", "Gamma": "gamma"}


@cache
def reference_fit(case: ReferenceCase):
    frame = case.frame()
    weights = case["weights"]
    family = FAMILIES.get(case["family"], case["family"])
    return fitted(
        case.formula,
        frame,
        family,
        link=case["link"],
        nagq=case["nAGQ"],
        weights=None if weights is None else frame.eval(weights).to_numpy(float),
    )


references = pytest.mark.parametrize(
    "case", REFERENCES, ids=[case.id for case in REFERENCES]
)


@pytest.mark.reference
@references
def test_log_likelihood_agrees_with_r(case):
    _, fit = reference_fit(case)
    expected = case.record.get("logLik_full") or case["logLik"]
    assert_allclose(fit.llf, expected, rtol=0, atol=1e-6)
    assert fit.report.converged


@pytest.mark.reference
@references
def test_fixed_effects_agree_with_r(case):
    _, fit = reference_fit(case)
    errors = np.sqrt(np.diag(fit.cov_beta))
    order = np.argsort(case["fixef"]["estimate"])
    expected = np.array(case["fixef"]["estimate"])[order]
    found = np.argsort(fit.beta)
    assert_allclose((fit.beta[found] - expected) / errors[found], 0.0, atol=1e-4)


def standard_errors(case):
    """All that R's engines say of them, each (p,) in ascending order."""
    table = case["fixef"]
    found = [table.get(key) for key in ("se", "se_hessian", "se_lme4_hessian")]
    check = case.record.get("crosscheck_glmmTMB")
    if check and check["same_approximation"]:
        found.append(check["fixef"]["se"])
    return [np.sort(errors) for errors in found if errors]


@pytest.mark.reference
@references
def test_standard_errors_agree_with_r(case):
    """R's are numerical differences, at times rough: one of them must agree well."""
    _, fit = reference_fit(case)
    own = np.sort(np.sqrt(np.diag(fit.cov_beta)))
    distances = [np.abs(own / other - 1.0).max() for other in standard_errors(case)]
    assert max(distances) < 5e-3
    # glmmTMB alone fitted this one, whose age^2 is badly scaled.
    rough = case.id == "contraception_cloglog_tmb"
    assert min(distances) < (5e-3 if rough else 2e-5)


@pytest.mark.reference
@references
def test_variances_agree_with_r(case):
    _, fit = reference_fit(case)
    expected = [sd for term in case["varcorr"] for sd in np.atleast_1d(term["sd"])]
    assert_allclose(np.sort(sds(fit)), np.sort(expected), rtol=1e-4)
    if case["family"] == "nbinom2":
        assert_allclose(fit.dispersion, case["dispersion"], rtol=1e-4)
    elif case["family"] == "Gamma":
        # glmmTMB's sigma is the square root of phi.
        assert_allclose(np.sqrt(fit.dispersion), case["dispersion"], rtol=1e-4)


@pytest.mark.reference
@pytest.mark.parametrize("name", ["cbpp_laplace", "contraception_nested"])
def test_conditional_modes_and_covariances_agree_with_lme4(name):
    case = next(case for case in REFERENCES if case.id == name)
    problem, fit = reference_fit(case)
    blocks = conditional_covariances(problem, fit)
    for group, entry in case["ranef"].items():
        wanted = set(group.split(":"))
        k = [set(f.split(":")) for f in problem.factor_names].index(wanted)
        t = problem.terms.factor_of_term.index(k)
        squares = (fit.modes[t] ** 2).sum(axis=0)
        assert_allclose(squares, entry["sum_of_squares"], rtol=1e-4)
        own = np.sqrt(blocks[k][:, 0, 0])
        for condsd in np.ravel(entry["condsd"]):
            assert np.abs(own / condsd - 1.0).min() < 1e-4


# --- against other ways to the same number ----------------------------------------


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(30), 20)
    x, z = rng.normal(size=(2, 600))
    b = rng.normal(size=30)[g]
    eta = 0.3 + 0.5 * x + b
    gamma_mean = np.exp(0.5 + 0.2 * x + 0.3 * b)
    return pd.DataFrame(
        {
            "x": x,
            "z": z,
            "g": g,
            "h": rng.integers(0, 12, 600),
            "d": rng.choice(list("abc"), 600),
            "binary": (rng.random(600) < 1 / (1 + np.exp(-eta))).astype(float),
            "flat": (rng.random(600) < 1 / (1 + np.exp(-0.3 - 0.5 * x))).astype(float),
            "count": rng.poisson(np.exp(np.clip(eta, -3, 4))).astype(float),
            "huge": rng.poisson(1e6 * np.exp(0.1 * x + 0.1 * b)).astype(float),
            "even": rng.binomial(10, 0.5, 600).astype(float),
            "positive": rng.gamma(4.0, gamma_mean / 4.0),
            "wald": rng.wald(gamma_mean, 3.0),
            "normal": 2.0 + x + b + 0.5 * rng.normal(size=600),
        }
    )


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


# --- limits ------------------------------------------------------------------------


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


# --- what is refused ----------------------------------------------------------------


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
