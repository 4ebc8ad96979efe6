"""Design effects against full matrices, Kish's formula and simulated means."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense_variance import dense_effects, dense_v
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import DataError
from small_data import balanced_groups, grouped_responses

FORMULAS = [
    "normal ~ x + (1 | g)",
    "normal ~ x + size + (x | g) + (1 | h)",
    "normal ~ x + (x || g) + (1 | h/g)",
]
pytestmark = pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("weights", [None, "size"])
def test_of_the_mean(formula: str, weights: str | None) -> None:
    result = ml.mixedlm(formula, grouped_responses(3), weights=weights).fit()
    V = dense_v(result)
    table = result.design_effect()
    assert_allclose(table.loc["all", "design_effect"], V.sum() / np.trace(V))
    for name, own in dense_effects(result).items():
        row = table.loc[name]
        assert_allclose(row["icc"], np.trace(own) / np.trace(V), atol=1e-12)
        if np.trace(own) > 1e-6:
            assert_allclose(row["size"], own.sum() / np.trace(own))
    again = 1 + (table["size"] - 1) * table["icc"]
    assert_allclose(table["design_effect"], again)
    assert_allclose(table["effective_nobs"], result.nobs / table["design_effect"])
    assert_allclose(table["icc"], result.icc()["adjusted"])


def test_groups_of_unequal_sizes() -> None:
    data = grouped_responses(3)
    result = ml.mixedlm("normal ~ x + (1 | g)", data).fit()
    sizes = data.groupby("g").size()
    size = (sizes**2).sum() / sizes.sum()
    row = result.design_effect().loc["g"]
    assert_allclose(row["size"], size)
    assert_allclose(row["design_effect"], 1 + (size - 1) * row["icc"])


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("weights", [None, "size"])
def test_of_pooled_coefficients(formula: str, weights: str | None) -> None:
    result = ml.mixedlm(formula, grouped_responses(3), weights=weights).fit()
    design = result._fitted.design
    w = np.ones(design.nobs) if design.weights is None else design.weights
    V, X = dense_v(result), design.X
    inverse = np.linalg.inv(X.T @ (w[:, None] * X))
    A = inverse @ (X.T * w)
    c = (w * np.diag(V)).mean()
    expected = np.diag(A @ V @ A.T) / (c * np.diag(inverse))
    table = result.design_effect("params")
    assert list(table.index) == list(result.params.index)
    assert_allclose(table["design_effect"], expected, rtol=1e-7)


def test_the_two_are_the_same_for_an_intercept() -> None:
    result = ml.mixedlm("normal ~ 1 + (x | g)", grouped_responses(3)).fit()
    (mean,) = result.design_effect("params")["design_effect"]
    assert_allclose(mean, result.design_effect().loc["all", "design_effect"])


@pytest.mark.filterwarnings("ignore::multilevel.errors.RankDeficiencyWarning")
def test_aliased_coefficients_have_none() -> None:
    formula = "normal ~ x + I(2 * x) + (1 | g)"
    result = ml.mixedlm(formula, grouped_responses(3)).fit()
    table = result.design_effect("params")
    assert list(table["design_effect"].isna()) == [False, False, True]


def test_a_covariate_within_groups_is_hardly_inflated() -> None:
    data = balanced_groups(20, 6, between=1.0)
    data["within"] = np.tile(np.arange(6.0), 20)
    data["between"] = np.repeat(np.arange(20.0), 6)
    result = ml.mixedlm("y ~ within + between + (1 | g)", data).fit()
    effect = result.design_effect("params")["design_effect"]
    icc = result.icc().loc["g", "adjusted"]
    assert_allclose(effect["within"], 1 - icc)
    assert_allclose(effect["between"], 1 + 5 * icc)


def test_a_factor_without_variance_inflates_nothing() -> None:
    result = ml.mixedlm("y ~ 1 + (1 | g)", balanced_groups(8, 5, between=0.0)).fit()
    table = result.design_effect()
    assert_allclose(table["design_effect"], 1.0)
    assert table.loc["g", "size"] == 5.0
    assert np.isnan(table.loc["all", "size"])


def test_trials_are_observations() -> None:
    data = grouped_responses(1)
    shares = ml.mixedglm(
        "yes / size ~ 1 + (1 | g)", data, family="binomial", weights="size"
    ).fit()
    rows = data.loc[data.index.repeat(data["size"])]
    within = rows.groupby(level=0).cumcount()
    rows = rows.assign(hit=(within < rows["yes"]).astype(float)).reset_index()
    single = ml.mixedglm("hit ~ 1 + (1 | g)", rows, family="binomial").fit()
    found, expected = shares.design_effect(), single.design_effect()
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)


def test_words_that_there_are_not_are_refused() -> None:
    data = grouped_responses(1)
    linear = ml.mixedlm("normal ~ x + (1 | g)", data).fit()
    with pytest.raises(DataError, match="of='beta' is not known; use 'mean' or 'para"):
        linear.design_effect("beta")
    poisson = ml.mixedglm("count ~ x + (1 | g)", data, family="poisson").fit()
    with pytest.raises(DataError, match="of='params' is not known for a generalized"):
        poisson.design_effect("params")
