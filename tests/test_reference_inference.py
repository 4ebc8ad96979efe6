"""Tests, predictions, criterion values against R (tests/reference/inference.json)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.optimize.linear.estimates import evaluate
from reference_cases import (
    ReferenceCase,
    by_name,
    expected_warnings,
    family_of,
    load_references,
)

pytestmark = pytest.mark.reference


def linear(kind: str) -> list[ReferenceCase]:
    """The items of one type that belong to linear models."""
    items = load_references("inference")
    return [item for item in items if item["type"] == kind and is_linear(item)]


def is_linear(item: ReferenceCase) -> bool:
    return "family" not in item.record


def named(case: ReferenceCase) -> str:
    return case.id


def generalized(kind: str) -> list[ReferenceCase]:
    """The items of one type that belong to generalized models."""
    items = load_references("inference")
    return [item for item in items if item["type"] == kind and not is_linear(item)]


def points() -> list[Any]:
    """One parameter set per theta at which R evaluated the criterion."""
    return [
        pytest.param(case, point, id=f"{case.id}-{case['result'].index(point)}")
        for case in linear("criterion_at")
        for point in case["result"]
    ]


@pytest.mark.parametrize(("case", "point"), points())
def test_criterion_at_given_theta(case: ReferenceCase, point: dict[str, Any]) -> None:
    model = ml.mixedlm(case.formula, case.frame())
    theta = np.array(point["theta"], dtype=float)
    found = evaluate(model.problem, theta, reml=case["reml"])
    assert_allclose(found.deviance, point["criterion"], rtol=1e-9)
    # R's order of the columns may be another one.
    assert_allclose(np.sort(found.beta), np.sort(point["beta"]), rtol=1e-8)


@pytest.mark.parametrize("column", ["df", "Std. Error", "t value", "Pr(>|t|)"])
@pytest.mark.parametrize("case", linear("coef_table"), ids=named)
def test_satterthwaite_table(case: ReferenceCase, column: str) -> None:
    table = case["result"]["Satterthwaite"]
    result = case.fitted().with_ddf("satterthwaite")
    ours, rtol = {
        # lmerTest differentiates numerically; p in the tail amplifies the df's error.
        "df": (result.ddf, 1e-3),
        "Std. Error": (result.bse, 1e-5),
        "t value": (result.tvalues, 2e-5),
        "Pr(>|t|)": (result.pvalues, 2e-2),
    }[column]
    found = by_name(ours, result.params.index)
    wanted = by_name(table[column], table["term"])
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert_allclose(found[key], value, rtol=rtol, atol=1e-5)


@pytest.mark.parametrize("case", generalized("criterion_at"), ids=named)
def test_generalized_criterion_at_given_parameters(case: ReferenceCase) -> None:
    model = ml.mixedglm(case.formula, case.frame(), family=family_of(case))
    # With quadrature lme4 leaves out the log-likelihood of the saturated model.
    left_out = 0.0 if case["nAGQ"] == 1 else 2.0 * SATURATED_CBPP
    for point in case["result"]:
        m = len(point["theta_beta"]) - len(model.design.kept)
        theta, beta = np.split(np.array(point["theta_beta"], dtype=float), [m])
        beta = beta[r_positions(case.formula, model.exog_names)]
        llf = model.loglike(np.concatenate([beta, theta]), nagq=case["nAGQ"])
        assert_allclose(-2.0 * llf, point["criterion"] - left_out, atol=1e-6)


SATURATED_CBPP = -41.9783537689356


def r_positions(formula: str, names: list[str]) -> list[int]:
    """Where R has each of our columns: in the order of the formula."""
    places = [formula.find(name.split("[")[0]) for name in names]
    return np.argsort(np.argsort(places, kind="stable")).tolist()


@pytest.mark.parametrize("case", generalized("confint_wald"), ids=named)
def test_wald_intervals(case: ReferenceCase) -> None:
    limits = case.fitted().conf_int()
    for column in ("lower", "upper"):
        wanted = by_name(case["result"][column], case["result"]["parameter"])
        found = by_name(limits[column], limits.index)
        for key, value in wanted.items():
            # lme4's covariance matrix there is by finite differences.
            assert_allclose(found[key], value, rtol=2e-4)


@pytest.mark.parametrize("case", generalized("lrt"), ids=named)
def test_likelihood_ratio_of_nested_generalized_models(case: ReferenceCase) -> None:
    frame = case.frame()
    formulas = [formula.replace("^", "**") for formula in case["formula"]]
    small, large = (
        ml.mixedglm(formula, frame, family=family_of(case)).fit()
        for formula in formulas
    )
    test, wanted = large.compare_lr_test(small), case["result"]
    assert_allclose([small.llf, large.llf], wanted["logLik"], atol=1e-5)
    assert_allclose(test.statistic, wanted["chisq"], atol=1e-4)
    assert test.df == wanted["df"]
    assert_allclose(test.pvalue_chi2, wanted["p"], rtol=1e-4)
    assert test.null == "0.5 chi2(1) + 0.5 chi2(2)"


@pytest.mark.parametrize("case", generalized("predict"), ids=named)
def test_generalized_predictions(case: ReferenceCase) -> None:
    result, wanted = case.fitted(), case["result"]
    rows = pd.DataFrame(wanted["newdata"])
    link = result.predict(rows, new_levels="population", kind="link")
    assert_allclose(link, wanted["link_conditional"], atol=1e-4)
    response = result.predict(rows, new_levels="population")
    assert_allclose(response, wanted["response_conditional"], rtol=1e-4)
    population = result.predict(rows, random="none")
    assert_allclose(population, wanted["response_population"], rtol=1e-4)


@pytest.mark.parametrize("case", generalized("residuals"), ids=named)
@pytest.mark.parametrize("kind", ["pearson", "deviance", "response", "working"])
def test_generalized_residuals(case: ReferenceCase, kind: str) -> None:
    found = np.asarray(case.fitted().get_residuals(kind))[: case["first"]]
    assert_allclose(found, case["result"][kind], atol=1e-5)


EVERY_POOLED = [*linear("lrt_pooled"), *generalized("lrt_pooled")]


@pytest.mark.parametrize("case", EVERY_POOLED, ids=named)
def test_likelihood_ratio_against_the_pooled_model(case: ReferenceCase) -> None:
    test, wanted = case.fitted().compare_pooled(), case["result"]
    rtol = 1e-7 if is_linear(case) else 1e-5
    assert_allclose(test.statistic, wanted["chisq"], rtol=rtol, atol=1e-6)
    assert test.df == wanted["df"]
    assert_allclose(test.pvalue_chi2, wanted["p_naive"], rtol=1e-4)
    assert_allclose(test.pvalue, wanted["p_mixture_50_50"], rtol=1e-4)


# R's name of a set of predictions -> what `random=` names, by case for partial ones.
EVERY_TERM = {"all_terms", "conditional_allow_new_levels"}
PARTIAL = {
    ("predict_penicillin_partial", "only_sample"): ["sample"],
    ("predict_oats_nested", "block_only"): ["Block"],
}


def predictions() -> list[Any]:
    """Sets of predictions that choose whole factors, as `random=` does."""
    return [
        pytest.param(case, name, id=f"{case.id}-{name}")
        for case in linear("predict")
        for name in case["result"]
        if name in EVERY_TERM | {"population"} or (case.id, name) in PARTIAL
    ]


@pytest.mark.parametrize(("case", "name"), predictions())
def test_predictions(case: ReferenceCase, name: str) -> None:
    result, new_data = case.fitted(), pd.DataFrame(case["result"]["newdata"])
    random = "all" if name in EVERY_TERM else PARTIAL.get((case.id, name), "none")
    found = result.predict(new_data, random=random, new_levels="population")
    tolerance = 1e-4 * np.std(result.model.endog)
    assert_allclose(found, case["result"][name], rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "case",
    [case for case in linear("predict") if "insample_first5" in case["result"]],
    ids=named,
)
def test_predictions_for_the_first_rows(case: ReferenceCase) -> None:
    found = np.asarray(case.fitted().predict())[:5]
    assert_allclose(found, case["result"]["insample_first5"], rtol=1e-5)


@pytest.mark.parametrize("case", linear("lrt_pooled"), ids=named)
def test_singular_fits_say_so(case: ReferenceCase) -> None:
    model = ml.mixedlm(case.formula, case.frame())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(reml=case["reml"])
    assert [warning.category for warning in caught] == expected_warnings(case)
