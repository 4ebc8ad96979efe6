"""The model object: statsmodels' contract, independence of fits, likelihoods."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal
from statsmodels.base.model import LikelihoodModel

import multilevel as ml
from multilevel.errors import DataError, FitError

SLOPES = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep():
    return ml.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def model(sleep):
    return ml.mixedlm(SLOPES, sleep)


def dense_loglike(result):
    """Log-density of y under N(X beta + offset, V) with V formed in full."""
    design, fit = result.model.design, result.fit_record
    n = len(design.y)
    weights = np.ones(n) if design.weights is None else design.weights
    covariance = np.diag(fit.sigma**2 / weights)
    for term, factor in zip(design.terms, fit.factors, strict=True):
        codes = design.factors[term.factor_index].codes
        same = codes[:, None] == codes[None, :]
        effects = fit.sigma**2 * factor @ factor.T
        covariance += same * (term.columns @ effects @ term.columns.T)
    mean = design.X @ fit.beta
    mean = mean if design.offset is None else mean + design.offset
    return multivariate_normal(mean, covariance).logpdf(design.y)


def test_is_a_statsmodels_likelihood_model(model):
    assert isinstance(model, LikelihoodModel)
    assert model.endog_names == "Reaction"
    assert model.exog_names == ["Intercept", "Days"]
    assert (model.nobs, model.df_model, model.df_resid) == (180, 1, 178)
    assert model.endog.shape == (180,)
    assert model.exog.shape == (180, 2)


@pytest.mark.parametrize(
    "formula",
    [
        SLOPES,
        "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)",
        "Reaction ~ 0 + Days + offset(10 * Days) + (1 | Subject)",
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_log_likelihood_is_the_dense_normal_density(sleep, formula, weighted):
    weights = 1.0 + sleep["Days"] / 3 if weighted else None
    result = ml.mixedlm(formula, sleep, weights=weights).fit(reml=False)
    assert_allclose(result.llf, dense_loglike(result), rtol=1e-10)


def test_log_likelihood_of_crossed_factors_is_the_dense_normal_density():
    data = ml.datasets.load("penicillin")
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    result = ml.mixedlm(formula, data).fit(reml=False)
    assert_allclose(result.llf, dense_loglike(result), rtol=1e-9)


def test_log_likelihood_without_fixed_effects(sleep):
    result = ml.mixedlm("Reaction ~ 0 + (1 | Subject)", sleep).fit(reml=False)
    assert result.params.empty
    assert_allclose(result.llf, dense_loglike(result), rtol=1e-10)


def test_loglike_at_the_estimate_is_llf(model):
    result = model.fit(reml=False)
    assert_allclose(model.loglike(result.full_params), result.llf, rtol=1e-12)


def test_score_vanishes_at_the_ml_estimate(model):
    result = model.fit(reml=False)
    score = model.score(result.full_params)
    spread = np.sqrt(np.diag(np.linalg.inv(model.information(result.full_params))))
    assert_allclose(score * spread, 0.0, atol=1e-5)


def test_score_and_hessian_are_the_derivatives_of_loglike(model):
    at = np.array([250.0, 9.0, 0.8, 0.1, 0.3, 26.0])
    score = approx_fprime(at, model.loglike, 1e-6 * np.abs(at))
    assert_allclose(model.score(at), score, rtol=1e-3, atol=1e-4)
    rows = [
        approx_fprime(at, lambda p, i=i: model.score(p)[i], 1e-6 * np.abs(at))
        for i in range(len(at))
    ]
    assert_allclose(model.hessian(at), rows, rtol=1e-3, atol=1e-3)


def test_two_fits_of_one_model_are_independent_values(model):
    reml = model.fit()
    before = (reml.llf, reml.params.copy(), reml.criterion)
    ml_fit = model.fit(reml=False)
    assert (reml.llf, reml.criterion) == (before[0], before[2])
    assert reml.params.equals(before[1])
    assert_allclose(reml.llf, -871.814135979244, rtol=1e-10)  # lme4
    assert_allclose(ml_fit.llf, -875.969672, rtol=1e-8)


def test_a_fit_stores_nothing_on_the_model(sleep):
    model = ml.mixedlm(SLOPES, sleep)
    before = set(vars(model))
    model.fit()
    assert set(vars(model)) - before <= {"problem"}


def test_arrays_and_formula_give_the_same_fit(sleep):
    exog = pd.DataFrame({"Intercept": 1.0, "Days": sleep["Days"].astype(float)})
    term = ml.RandomTerm(sleep["Subject"], exog, name="Subject")
    arrays = ml.MixedLM(sleep["Reaction"], exog, random=[term]).fit()
    formula = ml.mixedlm(SLOPES, sleep).fit()
    assert_allclose(arrays.params, formula.params, rtol=1e-10)
    assert_allclose(arrays.llf, formula.llf, rtol=1e-12)
    assert arrays.formula == (
        "Reaction ~ Intercept + Days + (Intercept + Days | Subject)"
    )


def test_functions_are_found_where_the_model_is_written(sleep):
    def thousands(x):
        return x / 1000.0

    by_method = ml.MixedLM.from_formula("thousands(Reaction) ~ (1 | Subject)", sleep)
    by_function = ml.mixedlm("thousands(Reaction) ~ (1 | Subject)", sleep)
    assert_allclose(by_method.endog, sleep["Reaction"] / 1000)
    assert_allclose(by_function.endog, sleep["Reaction"] / 1000)


def test_starting_at_another_theta_ends_at_the_same_estimate(model):
    usual = model.fit()
    other = model.fit(start=[2.0, -0.5, 0.01])
    assert_allclose(other.theta, usual.theta, rtol=1e-4)


def test_progress_tells_the_deviance(model, capsys):
    model.fit(progress=True)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("evaluation ")
    assert "deviance" in last


def test_an_unknown_ddf_names_the_known_ones(model):
    with pytest.raises(FitError, match="'satterthwaite', 'residual', 'normal'"):
        model.fit(ddf="between-within")


def test_missing_may_be_refused(sleep):
    frame = sleep.assign(Reaction=sleep["Reaction"].where(sleep.index != 3))
    with pytest.raises(DataError, match="Reaction"):
        ml.mixedlm(SLOPES, frame, missing="raise")


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.filterwarnings("ignore::multilevel.errors.ConvergenceWarning")
def test_effects_that_explain_the_response_exactly_are_refused(sleep):
    frame = sleep.assign(own=sleep["Subject"].astype("category").cat.codes + 0.1)
    with pytest.raises(FitError, match="'own' exactly .*same within each level"):
        ml.mixedlm("own ~ 1 + (1 | Subject)", frame).fit()
    with pytest.raises(FitError, match="explain 'I\\(3 \\* Days\\)' exactly"):
        ml.mixedlm("I(3 * Days) ~ Days + (1 | Subject)", frame).fit()


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.filterwarnings("ignore::multilevel.errors.ConvergenceWarning")
@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_whether_a_residual_is_rounding_is_not_a_question_of_the_weights_unit(
    sleep, unit
):
    weights, formula = np.full(len(sleep), unit), "Reaction ~ Days + (1 | Subject)"
    result = ml.mixedlm(formula, sleep, weights=weights).fit()
    assert_allclose(result.sigma / unit**0.5, 30.99, rtol=1e-3)
    exact = sleep.assign(Reaction=100.0 + sleep["Days"])
    with pytest.raises(FitError, match="explain 'Reaction' exactly"):
        ml.mixedlm(formula, exact, weights=weights).fit()
