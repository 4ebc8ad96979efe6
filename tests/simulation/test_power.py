"""Simulated power: against exact power, and what it does not depend on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy import stats

import multilevel as ml
from multilevel.errors import DataError, FitError

PLAN = pd.DataFrame({"school": [1, 1, 2, 2], "x": [-1.0, 1.0, -1.0, 1.0]})
SIMPLE = "y ~ x + (1 | school)"
GIVEN = {
    "beta": {"Intercept": 0.0, "x": 0.35},
    "sd": {"school": 1.0},
    "sigma": 1.0,
    "seed": 1,
    "progress": False,
}


def inside(frame, power, z=3.5):
    """Whether a share of so many simulations is near what it estimates."""
    row, n = frame.iloc[0], 400
    return abs(row["power"] - power) < z * np.sqrt(power * (1.0 - power) / n)


def noncentral_f(noncentrality, df_num, df_denom):
    limit = stats.f.ppf(0.95, df_num, df_denom)
    return stats.ncf.sf(limit, df_num, df_denom, noncentrality)


def test_power_within_groups_is_that_of_f():
    """In a balanced design x is tested against the residual, with n - J - 1 df."""
    found = ml.power(SIMPLE, PLAN, test="x", groups=12, size=4, n=400, **GIVEN)
    assert inside(found.frame, noncentral_f(48 * 0.35**2, 1, 48 - 12 - 1))


def test_power_between_groups_is_that_of_f():
    """A treatment of schools is tested against their variance, with J - 2 df."""
    plan = PLAN.assign(x=[-1.0, -1.0, 1.0, 1.0])
    given = {**GIVEN, "beta": {"Intercept": 0.0, "x": 0.8}}
    found = ml.power(SIMPLE, plan, test="x", groups=10, size=4, n=400, **given)
    noncentrality = 10 * 0.8**2 / (1.0 + 1.0 / 4)
    assert inside(found.frame, noncentral_f(noncentrality, 1, 8))


def test_power_of_a_factor_of_three_levels_is_that_of_f():
    plan = pd.DataFrame({"school": np.repeat([1, 2], 3), "f": list("abcabc")})
    beta = {"Intercept": 0.0, "f[T.b]": 0.5, "f[T.c]": 1.0}
    found = ml.power(
        "y ~ f + (1 | school)", plan, test="f", groups=10, n=400,
        **{**GIVEN, "beta": beta},
    )  # fmt: skip
    assert inside(found.frame, noncentral_f(10 * 0.5, 2, 18))


def test_a_true_hypothesis_is_rejected_as_often_as_it_may():
    found = ml.power(SIMPLE, PLAN, test="x = 0.35", groups=10, n=400, **GIVEN)
    assert inside(found.frame, 0.05)


def test_power_for_a_variance_is_near_that_of_the_f_test():
    """Of a balanced one-way layout F is the best test; the LR test is close to it."""
    plan = pd.DataFrame({"school": [1, 1, 2, 2]})
    given = {**GIVEN, "beta": {"Intercept": 0.0}, "sd": {"school": 0.5}}
    found = ml.power(
        "y ~ 1 + (1 | school)", plan, test="sd(Intercept | school)",
        groups=15, size=6, n=400, **given,
    )  # fmt: skip
    limit = stats.f.ppf(0.95, 14, 75) / (1.0 + 6 * 0.25)
    assert abs(found.frame["power"].iloc[0] - stats.f.sf(limit, 14, 75)) < 0.07


def test_the_test_of_a_variance_of_zero_keeps_its_level():
    plan = pd.DataFrame({"school": np.repeat([1, 2], 4), "x": [-2.0, -1, 1, 2] * 2})
    given = {**GIVEN, "sd": {"school": {"Intercept": 1.0, "x": 0.0}}}
    formula = "y ~ x + (x || school)"
    found = ml.power(formula, plan, test="sd(x | school)", groups=20, n=200, **given)
    assert found.frame["power"].iloc[0] < 0.12


def test_a_size_does_not_depend_on_the_others():
    options = {"test": "x", "n": 12, **GIVEN}
    whole = ml.power(SIMPLE, PLAN, groups=[4, 7], size=[2, 3], **options).frame
    one = ml.power(SIMPLE, PLAN, groups={"school": [7]}, size=3, **options).frame
    last = whole[(whole["groups"] == 7) & (whole["size"] == 3)]
    assert_frame_equal(last.reset_index(drop=True), one)


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing():
    options = {"test": "x", "groups": [4, 6], "n": 20, **GIVEN}
    one = ml.power(SIMPLE, PLAN, n_jobs=1, **options)
    assert_frame_equal(one.frame, ml.power(SIMPLE, PLAN, n_jobs=2, **options).frame)


def test_a_generalized_model():
    given = {key: value for key, value in GIVEN.items() if key != "sigma"}
    found = ml.power(
        "y ~ x + (1 | school)", PLAN, test="x", family="poisson",
        groups=[5, 40], size=4, n=40, **{**given, "beta": {"Intercept": 0, "x": 0.3}},
    )  # fmt: skip
    low, high = found.frame["power"]
    assert high > 0.9
    assert low < high


def test_the_design_of_the_data_by_default():
    data = ml.datasets.load("sleepstudy")
    found = ml.power(
        "y ~ Days + (Days | Subject)", data, test="Days",
        beta={"Intercept": 250, "Days": 10}, sigma=25, n=10, seed=1, progress=False,
        sd={"Subject": {"Intercept": 25, "Days": 6}}, cor={"Subject": 0.1},
    )  # fmt: skip
    assert found.frame.columns.tolist() == [
        "groups", "power", "lower", "upper", "n_failed",
    ]  # fmt: skip
    assert found.frame["groups"].tolist() == [18]
    assert "Power of the test of Days at level 0.05" in str(found)


def test_failures_count_and_are_told():
    """Zeros only, in some studies of few rare events: there is nothing to fit."""
    given = {**GIVEN, "beta": {"Intercept": -2.5, "x": 0.0}, "sd": {"school": 0.1}}
    del given["sigma"]
    found = ml.power(
        SIMPLE, PLAN, test="x", family="poisson", groups=5, size=2, n=60, **given
    )
    row = found.frame.iloc[0]
    assert 0 < row["n_failed"] < 60
    assert "count as no rejection" in str(found)


def test_if_nothing_can_be_analysed_the_reason_is_raised():
    given = {**GIVEN, "beta": {"Intercept": -40.0, "x": 0.0}}
    del given["sigma"]
    said = "all 3 simulated studies of 5 levels of 'school' failed; the first"
    with pytest.raises(FitError, match=said):
        ml.power(SIMPLE, PLAN, test="x", family="poisson", groups=5, n=3, **given)


def test_a_size_that_tells_no_variance_is_refused():
    said = "in a study of 3 levels of 'school' and 1 row in each .*each row is a group"
    with pytest.raises(DataError, match=said):
        ml.power(SIMPLE, PLAN, test="x", groups=3, size=1, n=3, **GIVEN)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"test": "z"}, "there are 'Intercept', 'x', 'sd\\(Intercept | school\\)'"),
        ({"test": "sd(x | school)"}, "no effect of the model"),
        ({"groups": {"class": 3}}, "'class', which is no grouping factor"),
        ({"groups": [1]}, "no whole number from 2 on"),
        ({"groups": []}, "is empty"),
        ({"size": 0}, "size=0"),
        ({"n": 0}, "n=0"),
        ({"alpha": 5}, "between 0 and 1"),
        ({"n_jobs": 0}, "n_jobs=0"),
        ({"progress": "no"}, "neither True nor False"),
    ],
)
def test_bad_options_are_refused(options, said):
    with pytest.raises(DataError, match=said):
        ml.power(SIMPLE, PLAN, **{"test": "x", "n": 2, **GIVEN, **options})


def test_of_several_factors_one_must_be_named():
    plan = PLAN.assign(item=[1, 2, 1, 2])
    given = {**GIVEN, "sd": {"school": 1.0, "item": 1.0}}
    formula = "y ~ x + (1 | school) + (1 | item)"
    with pytest.raises(DataError, match="say of which"):
        ml.power(formula, plan, test="x", groups=[10], **given)
    found = ml.power(
        formula, plan, test="x", groups={"school": 6, "item": [4, 5]}, size=8, n=3,
        **given,
    )  # fmt: skip
    assert found.frame[["groups_school", "groups_item"]].to_numpy().tolist() == [
        [6, 4], [6, 5],
    ]  # fmt: skip
