"""Rows that are dropped do not change what an expression sees of the others."""

from __future__ import annotations

import numpy as np
import pytest
from frame_of_all_kinds import design_of, frame, quiet_design_of
from numpy.testing import assert_allclose, assert_array_equal

from multilevel.design.expressions import Scope
from multilevel.design.fixed_effects import formula_functions
from multilevel.design.name_resolution import resolve
from multilevel.design.new_data import encode_new_data
from multilevel.errors import DataError, FormulaError


def z_score(values):
    return (values - np.mean(values)) / np.std(values)


def _design(formula, data):
    return quiet_design_of(formula, data, environment={"z_score": z_score})


SHIFTED = {
    "x.shift(1)": lambda d: d.x.shift(1),
    "x.diff()": lambda d: d.x.diff(),
    "x.rolling(3).mean()": lambda d: d.x.rolling(3).mean(),
    "x.pct_change()": lambda d: d.x.pct_change(),
    "x.groupby(g).shift(1)": lambda d: d.x.groupby(d.g).shift(1),
    "x.shift(1).fillna(0)": lambda d: d.x.shift(1).fillna(0),
    "x.where(abs(x - x.mean()) < 2 * x.std())": lambda d: d.x.where(
        abs(d.x - d.x.mean()) < 2 * d.x.std()
    ),
    "I(x - x.mean())": lambda d: d.x - d.x.mean(),
    "z_score(x)": lambda d: z_score(d.x),
}


@pytest.mark.parametrize("expression", SHIFTED)
@pytest.mark.parametrize("without", [[], [3, 4, 40]])
def test_the_column_is_the_one_computed_before(expression, without):
    data = frame(300)
    data["before"] = SHIFTED[expression](data)
    data.loc[without, "y"] = np.nan
    design = _design(f"y ~ {expression} + (1 | g)", data)
    same = _design("y ~ before + (1 | g)", data)
    assert design.nobs == same.nobs
    assert_array_equal(design.index, same.index)
    assert_allclose(design.exog, same.exog)


def test_a_lag_needs_the_row_before_and_not_the_row_itself():
    data = frame(100)
    data.loc[10, "x"] = np.nan
    design = _design("y ~ x.shift(1) + (1 | g)", data)
    assert sorted(set(range(100)) - set(design.index)) == [0, 11]
    design = _design("y ~ x + x.shift(1) + (1 | g)", data)
    assert sorted(set(range(100)) - set(design.index)) == [0, 10, 11]


def test_a_comparison_with_a_lag_that_is_not_there_is_missing():
    design = _design("y ~ I(x.shift(1) > 3) + (1 | g)", frame(100))
    assert design.index[0] == 1
    gappy = frame(100).assign(x=lambda d: d.x.where(d.x > 2))
    design = _design("y ~ np.where(x > 3, 1, 0) + (1 | g)", gappy)
    assert_array_equal(design.index, np.flatnonzero(gappy["x"] > 2))
    design = _design("y ~ np.where(log(z - 2) > 0, 1, 0) + (1 | g)", frame(100))
    assert_array_equal(design.index, np.flatnonzero(frame(100)["z"] > 2))


def test_transforms_learn_from_the_rows_of_the_model():
    data = frame(100)
    data.loc[:9, "y"] = np.nan
    design = _design("y ~ center(x) + center(z.shift(1)) + (1 | g)", data)
    assert_allclose(design.exog[:, 1:].mean(axis=0), 0, atol=1e-12)
    design = _design("y ~ center(log(x - 2)) + center(z) + (1 | g)", data)
    assert_allclose(design.exog[:, 1:].mean(axis=0), 0, atol=1e-12)
    assert_array_equal(design.index, np.flatnonzero((data.x > 2) & data.y.notna()))


def test_a_transform_that_drops_rows_does_not_learn_from_what_it_left():
    data = frame(100)
    design = _design("y ~ log(center(x)) + center(z) + (1 | g)", data)
    assert_array_equal(design.index, np.flatnonzero(data.x > data.x.mean()))
    assert_allclose(design.exog[:, 2].mean(), 0, atol=1e-12)
    assert_allclose(encode_new_data(design, data.iloc[design.index]).exog, design.exog)


def _upper_half(values):
    return np.where(values.values > np.median(values.values), 1, 0)


@pytest.mark.parametrize(
    "expression",
    [
        "np.sqrt(x.astype(int))",
        "I(x - np.median(x))",
        "I(x - x.values.mean())",
        "upper_half(x)",
        "I(np.linalg.norm(x) + x)",
        "x.rank()",
    ],
)
def test_gaps_do_not_disturb_what_others_get(expression):
    data = frame(100)
    data.loc[[5, 7], "x"] = np.nan
    formula = f"y ~ {expression} + (1 | g)"
    options = {"environment": {"upper_half": _upper_half}}
    design = quiet_design_of(formula, data, **options)
    complete = quiet_design_of(formula, data.dropna(), **options)
    assert design.nobs == 98
    assert_allclose(design.exog, complete.exog)
    assert_allclose(encode_new_data(design, data).exog[design.rows], design.exog)


@pytest.mark.parametrize(
    "expression",
    [
        "x.rolling(3, center=True).mean()",
        "np.cumsum(x.values)",
    ],
)
def test_the_order_of_rows_is_never_closed_over_gaps(expression):
    data = frame(100)
    data.loc[[50, 70], "x"] = np.nan
    design = _design(f"y ~ {expression} + (1 | g)", data)
    assert not set(design.index) & {50, 51, 70, 71}


def test_a_lag_of_what_cannot_be_computed_with_gaps_is_an_error():
    data = frame(100)
    data.loc[[50, 70], "x"] = np.nan
    with pytest.raises(FormulaError, match="astype.*cannot be computed"):
        _design("y ~ x.astype(int).shift(1) + (1 | g)", data)


def test_a_mean_is_that_of_all_rows_that_have_the_number():
    data = frame(100)
    data.loc[:9, "z"] = np.nan
    data.loc[95:, "x"] = np.nan
    design = _design("y ~ I(z + x - x.mean()) + (1 | g)", data)
    wanted = (data.z + data.x - data.x.mean()).dropna()
    assert_allclose(design.exog[:, 1], wanted)


def test_missing_rows_of_expressions_on_the_whole_column_can_be_refused():
    with pytest.raises(DataError, match=r"x\.shift\(1\) \(1 of 60"):
        design_of("y ~ x.shift(1) + (1 | g)", missing="raise")


def test_weights_of_zero_and_trials_of_zero_leave_a_lag_alone():
    data = frame(100)
    data["lag"] = data.x.shift(1).fillna(0)
    data["w"] = np.resize([1.0, 0.0, 2.0], 100)
    data["hits"], data["size"] = data.k, np.resize([0, 5, 9], 100)
    data.loc[data["size"] == 0, "hits"] = 0
    for formula, options in [
        ("y ~ {} + (1 | g)", {"weights": "w"}),
        ("hits + I(size - hits) ~ {} + (1 | g)", {"family_is_binomial": True}),
    ]:
        design = quiet_design_of(
            formula.format("x.shift(1).fillna(0)"), data, **options
        )
        same = quiet_design_of(formula.format("lag"), data, **options)
        assert design.dropped == same.dropped
        assert_allclose(design.exog, same.exog)


@pytest.mark.parametrize(
    "expression",
    [
        "I(x.isin(z))",
        "x.map(z)",
        "I(x - x[z > 2])",
        "x[z > 2]",
        "center(x[z > 2])",
        "C(x[z > 2])",
        "I(x[z > 2].rank().mean() * x)",
        "np.mean(np.column_stack([x, z]), 1)",
        "np.column_stack([x, z]).sum(1)",
        "I(np.matmul(x, z) * x)",
        "np.where(x > 3, [*range(100)], 0)",
        "np.add(x, np.arange(100))",
        "x.fillna(method='ffill')",
        "np.interp(x, x, z)",
    ],
)
def test_other_rows_may_hide_in_an_argument(expression):
    scope = Scope(expression, ["x", "z"], formula_functions(), {})
    assert not resolve(expression, scope).is_row_wise


def test_values_along_a_row_are_of_that_row():
    data = frame(100)
    design = _design("y ~ np.mean(np.column_stack([x, z]), 1) + (1 | g)", data)
    assert_allclose(encode_new_data(design, data[5:9]).exog, design.exog[5:9])
