"""Predictions for old and new rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import DataError


@pytest.fixture(scope="module")
def pastes():
    return ml.datasets.load("pastes")


@pytest.fixture(scope="module")
def nested(pastes):
    return ml.mixedlm("strength ~ 1 + (1 | batch / cask)", pastes).fit()


@pytest.fixture(scope="module")
def sleep():
    data = ml.datasets.load("sleepstudy")
    formula = "Reaction ~ poly(Days, 2) + offset(2 * Days) + (Days | Subject)"
    return data, ml.mixedlm(formula, data).fit()


def test_the_old_data_give_the_fitted_values(sleep, nested, pastes):
    data, result = sleep
    assert_allclose(result.predict(data), result.fittedvalues, rtol=1e-12)
    assert_allclose(result.predict(), result.fittedvalues, rtol=1e-12)
    assert_allclose(nested.predict(pastes), nested.fittedvalues, rtol=1e-12)


def test_without_random_effects_it_is_x_beta_plus_the_offset(sleep):
    data, result = sleep
    expected = result.model.exog @ result.params.to_numpy() + 2 * data["Days"]
    assert_allclose(result.predict(random="none"), expected)
    assert_allclose(result.predict(data, random="none"), expected)
    only_days = data[["Days"]]
    assert_allclose(result.predict(only_days, random="none"), expected)


def test_some_factors_only(nested, pastes):
    modes = nested.random_effects["batch"]["Intercept"]
    expected = nested.params.iloc[0] + modes.loc[pastes["batch"]].to_numpy()
    for data in (None, pastes):
        found = nested.predict(data, random=["batch"])
        assert_allclose(found, expected)
    with pytest.raises(DataError, match="'school'"):
        nested.predict(random=["school"])


def test_a_new_level_is_refused_by_name(nested, pastes):
    new = pastes.head(3).assign(batch=["A", "Z", "Y"])
    with pytest.raises(DataError, match="'batch' has 2 level.*'Z', 'Y'"):
        nested.predict(new)


def test_a_new_level_of_the_inner_factor_keeps_the_outer_effect(nested, pastes):
    new = pd.DataFrame({"batch": ["A"], "cask": ["z"]})
    found = nested.predict(new, new_levels="population")
    assert_allclose(found, nested.predict(new, random=["batch"]))


def test_new_levels_may_be_population_or_missing(nested, pastes):
    new = pastes.head(2).assign(batch=["A", "Z"])
    population = nested.predict(new, new_levels="population")
    assert_allclose(population.iloc[1], nested.params.iloc[0])
    missing = nested.predict(new, new_levels="missing")
    assert missing.isna().tolist() == [False, True]
    with pytest.raises(DataError, match="new_levels='zero'"):
        nested.predict(new, new_levels="zero")


def test_rows_with_something_missing_predict_nan(sleep):
    data, result = sleep
    new = data.head(3).assign(Days=[1.0, np.nan, 2.0])
    found = result.predict(new)
    assert found.isna().tolist() == [False, True, False]
    assert_allclose(found.iloc[2], result.predict(data.iloc[[2]]).iloc[0])


def test_row_labels_are_those_of_the_new_data(sleep):
    data, result = sleep
    new = data.iloc[[10, 3]].set_axis(["first", "second"])
    assert result.predict(new).index.tolist() == ["first", "second"]


def test_only_known_kinds(sleep):
    data, result = sleep
    assert_allclose(result.predict(data, kind="link"), result.predict(data))
    with pytest.raises(DataError, match="'marginal'"):
        result.predict(data, kind="marginal")


def test_predictions_do_not_need_the_response(sleep):
    data, result = sleep
    without = data.drop(columns="Reaction")
    assert_allclose(result.predict(without), result.fittedvalues, rtol=1e-12)


def test_an_array_offset_is_needed_again_for_new_rows():
    data = ml.datasets.load("sleepstudy")
    formula = "Reaction ~ Days + (1 | Subject)"
    result = ml.mixedlm(formula, data, offset=5.0 * data["Days"]).fit()
    with pytest.raises(DataError, match="offset"):
        result.predict(data)
    again = result.predict(data, offset=5.0 * data["Days"])
    assert_allclose(again, result.fittedvalues, rtol=1e-12)
