"""The left side: numbers, classes, successes and failures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frame_of_all_kinds import design_of, frame, quiet_design_of
from numpy.testing import assert_allclose, assert_array_equal

from multilevel.errors import DataError


def _counts():
    data = frame()
    rng = np.random.default_rng(3)
    data["size"] = rng.integers(1, 20, 60)
    data["hits"] = rng.binomial(data["size"], 0.4)
    return data


@pytest.mark.parametrize(
    "left",
    ["hits + I(size - hits)", "cbind(hits, size - hits)", "hits + (size - hits)"],
)
def test_successes_and_failures_are_a_proportion_of_trials(left):
    data = _counts()
    design = design_of(f"{left} ~ x + (1 | g)", data, family_is_binomial=True)
    assert_allclose(design.y, data["hits"] / data["size"])
    assert_array_equal(design.weights, data["size"])
    assert design.response == left


def test_a_proportion_with_trials_is_the_same():
    data = _counts()
    design = design_of(
        "hits / size ~ x + (1 | g)", data, weights="size", family_is_binomial=True
    )
    assert_allclose(design.y, data["hits"] / data["size"])
    assert_array_equal(design.weights, data["size"])


def test_case_weights_multiply_the_trials():
    data = _counts()
    design = design_of(
        "cbind(hits, size - hits) ~ x + (1 | g)",
        data,
        weights=np.full(60, 2.0),
        family_is_binomial=True,
    )
    assert_array_equal(design.weights, 2 * data["size"])


def test_rows_without_a_trial_are_dropped():
    data = _counts()
    data.loc[[0, 1], ["size", "hits"]] = 0
    design = quiet_design_of(
        "cbind(hits, size - hits) ~ x + (1 | g)", data, family_is_binomial=True
    )
    assert design.nobs == 58
    assert design.dropped.causes == {"trials = 0": 2}


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["no", "yes"], ("no", "yes")),
        ([False, True], (False, True)),
        (pd.Categorical(["no", "yes"], categories=["yes", "no"]), ("yes", "no")),
        (pd.array([False, True], dtype="boolean"), (False, True)),
    ],
)
def test_of_two_classes_the_second_is_a_success(values, levels):
    data = frame()
    data["class"] = pd.Series(values).take(np.resize([0, 1, 1], 60)).to_numpy()
    if isinstance(values, pd.Categorical):
        data["class"] = pd.Categorical(data["class"], categories=values.categories)
    design = design_of("class ~ x + (1 | g)", data, family_is_binomial=True)
    assert design.response_levels == levels
    assert_array_equal(design.y, (data["class"] == levels[1]).astype(float))


def test_zero_and_one_are_taken_as_they_are():
    data = frame().assign(y=np.resize([0, 1, 1], 60))
    weights = np.linspace(0.3, 2.7, 60)
    design = design_of("y ~ x + (1|g)", data, weights=weights, family_is_binomial=True)
    assert_array_equal(design.y, data["y"])
    assert_array_equal(design.weights, weights)
    assert design.response_levels is None


def test_booleans_are_numbers_for_a_linear_model():
    design = design_of("b ~ x + (1 | g)")
    assert_array_equal(design.y, frame()["b"].astype(float))


@pytest.mark.parametrize(
    ("left", "change", "weights", "message"),
    [
        ("y", {}, None, r"outside \[0, 1\]"),
        ("y", {"y": 0.3}, None, "say of how many trials"),
        ("y", {"y": 0.3}, np.full(60, 11), "no count"),
        ("y", {"y": 1}, None, "is 1 in all 60 rows"),
        ("h", {}, None, r"has 5 values \('a'.*I\(h == 'e'\)"),
        ("x", {"x": "yes"}, None, "is 'yes' in all 60 rows"),
        ("a + c", {"a": 1.5, "c": 2}, None, "must be a count, but is 1.5"),
        ("a + I(c - a)", {"a": 3, "c": 2}, None, "must be a count, but is -1"),
    ],
)
def test_what_is_no_binomial_response_is_refused(left, change, weights, message):
    data = frame().assign(**change)
    with pytest.raises(DataError, match=message):
        design_of(f"{left} ~ z + (1|g)", data, weights=weights, family_is_binomial=True)


@pytest.mark.parametrize(
    ("left", "change", "message"),
    [
        ("h", {}, "holds no numbers but 'a', 'b'"),
        ("h", {"h": np.resize(["no", "yes"], 60)}, "family='binomial'"),
        ("y", {"y": [str(v) for v in range(60)]}, "pd.to_numeric"),
        ("y", {"y": 3.0}, "is 3 in all 60 rows"),
        ("y", {"y": [np.inf, -np.inf] + [1.0] * 58}, "'y' is infinite in 2 of 60"),
        ("y", {"y": 1j}, "complex"),
        ("y + x", {}, "two columns"),
        ("np.column_stack([y, x])", {}, "has 2 columns"),
    ],
)
def test_what_is_no_numeric_response_is_refused(left, change, message):
    with pytest.raises(DataError, match=message):
        design_of(f"{left} ~ z + (1 | g)", frame().assign(**change))


def test_arithmetic_on_the_left():
    data = frame()
    design = design_of("y / z ~ x + (1 | g)", data)
    assert_allclose(design.y, data["y"] / data["z"])
    design = design_of("y*2 - z**2 ~ x + (1 | g)", data)
    assert_allclose(design.y, data["y"] * 2 - data["z"] ** 2)


def test_the_response_is_a_copy():
    data = frame()
    design = design_of("y ~ x + (1 | g)", data)
    before = design.y.copy()
    data.loc[:, "y"] = 0.0
    assert_array_equal(design.y, before)
