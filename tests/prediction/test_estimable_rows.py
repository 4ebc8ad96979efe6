"""Means that the rows of the fit do not determine are not predicted."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import multilevel as ml
from multilevel.design.estimability import EstimableSpace
from multilevel.design.rank import independent_columns
from multilevel.errors import DataError, DroppedRowsWarning, RankDeficiencyWarning

NEW = pd.DataFrame(
    {"f": [*"aabcc"], "h": [*"uwwvw"], "g": 0, "x": [0.1, 0.2, 0.3, 0.4, 0.5]}
)


def sample(seed: int = 5) -> pd.DataFrame:
    """Rows of f x h without the cell (c, w)."""
    rng = np.random.default_rng(seed)
    n = 200
    f, h = rng.choice([*"abc"], n), rng.choice([*"uvw"], n)
    g = rng.integers(0, 10, n)
    eta = 0.5 * rng.normal(size=10)[g] + (f == "b") + 0.5 * (h == "v")
    x = rng.normal(size=n)
    y = eta + rng.normal(size=n)
    data = pd.DataFrame({"y": y, "b": (y > 0.5) * 1, "f": f, "h": h, "g": g, "x": x})
    return data[~((data["f"] == "c") & (data["h"] == "w"))].reset_index(drop=True)


def fitted(formula: str, data: pd.DataFrame, family: str | None = None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if family is None:
            return ml.mixedlm(formula, data).fit()
        return ml.mixedglm(formula, data, family=family).fit()


CODINGS = [
    "f * h",
    "h * f",
    "0 + f:h",
    "C(f, Treatment('c')) * C(h, Treatment('w'))",
    "C(f, Sum) * C(h, Helmert)",
    "C(f, Diff) / C(h, Poly)",
]


@pytest.mark.parametrize("coding", CODINGS)
def test_an_empty_cell_is_nan_whatever_the_coding(coding):
    data = sample()
    result = fitted(f"y ~ {coding} + (1 | g)", data)
    expected = fitted("y ~ f * h + (1 | g)", data)
    with pytest.warns(RankDeficiencyWarning, match="'c'.*'w'|'w'.*'c'"):
        predicted = result.predict(NEW)
    assert_array_equal(np.isnan(predicted), [False] * 4 + [True])
    known = NEW.iloc[:4]
    assert_allclose(predicted[:4], expected.predict(known), atol=1e-5)
    with pytest.warns(RankDeficiencyWarning, match="1 of 5 rows is not estimable"):
        frame = result.get_prediction(NEW, random="none").summary_frame()
    assert_array_equal(frame.isna().all(axis=1), [False] * 4 + [True])
    assert frame.iloc[:4].notna().all(axis=None)
    with pytest.raises(DataError, match="not estimable"):
        result.predict(NEW, check="raise")
    with pytest.raises(DataError, match="not estimable"):
        result.get_prediction(NEW, check="raise")


@pytest.mark.parametrize("kind", ["response", "link", "marginal"])
def test_an_empty_cell_of_a_generalized_model_is_nan(kind):
    result = fitted("b ~ f * h + (1 | g)", sample(), "binomial")
    with pytest.warns(RankDeficiencyWarning, match="f = 'c', h = 'w'"):
        predicted = result.predict(NEW, kind=kind)
    assert_array_equal(np.isnan(predicted), [False] * 4 + [True])
    with pytest.warns(RankDeficiencyWarning):
        frame = result.get_prediction(NEW).summary_frame()
    assert_array_equal(frame["mean"].isna(), [False] * 4 + [True])
    with pytest.raises(DataError, match="not estimable"):
        result.predict(NEW, kind=kind, check="raise")


def test_rows_of_the_fit_are_estimable():
    data = sample()
    result = fitted("y ~ x * f * h + I(2 * x - 3) + (1 | g)", data)
    assert_allclose(result.predict(data), result.fittedvalues)


def test_a_dependence_that_new_rows_keep_to_is_no_obstacle():
    data = sample().assign(age=lambda d: 30 + d["x"], year=lambda d: 1990 + d["g"])
    data["cohort"] = data["year"] - data["age"]
    result = fitted("y ~ age + year + cohort + (1 | f)", data)
    new = pd.DataFrame({"age": [30.0, 31.0, 30.0], "year": 2000.0})
    new["cohort"] = [1970.0, 1969.0, 1971.0]
    with pytest.warns(RankDeficiencyWarning, match="age = 30.0, year = 2000.0, cohort"):
        predicted = result.predict(new, random="none")
    assert_array_equal(np.isnan(predicted), [False, False, True])


def test_missing_rows_are_missing_without_a_word():
    result = fitted("y ~ f * h + (1 | g)", sample())
    assert result.predict(NEW.assign(f=[None] * 5)).isna().all()


@pytest.mark.parametrize("check", ["ignore", None, "error"])
def test_another_word_for_check_is_refused(check):
    result = fitted("y ~ x + (1 | g)", sample())
    for predict in (result.predict, result.get_prediction):
        for data in (None, NEW):
            with pytest.raises(DataError, match="check="):
                predict(data, check=check)


def test_the_model_knows_rows_that_are_not_estimable():
    result = fitted("y ~ f * h + (1 | g)", sample())
    rows = np.array([[1.0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 1, 0, 1, 0, 0, 0, 1]])
    mean = result.model.predict(result.params, rows)
    assert_array_equal(np.isnan(mean), [False, True])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    log_units=st.lists(st.integers(-12, 12), min_size=6, max_size=6),
    origin=st.sampled_from([0.0, 10.0, 2000.0, -1e6]),
)
def test_estimability_does_not_depend_on_units_origins_or_order(
    seed, log_units, origin
):
    rng = np.random.default_rng(seed)
    basis = rng.integers(-3, 4, (3, 6)) * 1.0
    fit = rng.normal(size=(30, 3)) @ basis
    inside, outside = rng.normal(size=(5, 3)) @ basis, rng.normal(size=(5, 6))
    units = 10.0 ** np.array(log_units)

    order = np.r_[0, rng.permutation(6) + 1]

    def columns(rows: np.ndarray) -> np.ndarray:
        moved = np.column_stack([np.ones(len(rows)), (rows + origin) * units])
        return moved[:, order]

    X = columns(fit)
    space = EstimableSpace.of(X, independent_columns(X))
    assert space.contains(X).all()
    assert space.contains(columns(inside)).all()
    assert not space.contains(columns(outside)).any()


@pytest.mark.parametrize("fit", ["mixedlm", "mixedglm"])
def test_rows_outside_of_the_knots_of_a_spline_are_nan(fit):
    data = sample()
    low, high = data["x"].min(), data["x"].max()
    formula, family = ("y", None) if fit == "mixedlm" else ("b", "binomial")
    result = fitted(f"{formula} ~ bs(x, df=4) + (1 | g)", data, family)
    new = pd.DataFrame({"x": [low, 0.0, high + 1, low - 1, np.nan, high], "g": 1})
    with pytest.warns(DroppedRowsWarning, match="2 of 6 rows.*bs.x, df=4.*between"):
        predicted = result.predict(new)
    assert_array_equal(np.isnan(predicted), [False, False, True, True, True, False])
    assert_allclose(predicted[[0, 1, 5]], result.predict(new.iloc[[0, 1, 5]]))
    with pytest.warns(DroppedRowsWarning, match=f"{low:g} and {high:g}"):
        result.get_prediction(new)
    with pytest.raises(DataError, match="knots of .bs"):
        result.predict(new, check="raise")


def test_bounds_that_leave_out_data_of_the_fit_are_refused():
    with pytest.raises(ml.errors.FormulaError, match="lie outside of -1 to 1"):
        ml.mixedlm("y ~ bs(x, df=4, lower_bound=-1, upper_bound=1) + (1|g)", sample())


@pytest.mark.parametrize(
    "spline", ["bs(x, df=4)", "bs(x, knots=[0, 1])", "cr(x, df=4)", "cc(x, df=4)"]
)
def test_splines_of_a_saved_fit_predict_the_same(spline, tmp_path):
    result = fitted(f"y ~ {spline} + (1 | g)", sample())
    result.save(tmp_path / "fit")
    assert_allclose(ml.load(tmp_path / "fit").predict(NEW), result.predict(NEW))


def test_two_splines_in_one_expression_are_both_named():
    data = sample().assign(z=lambda d: 10 + np.cos(np.arange(len(d))))
    product = "te(bs(x, df=3), bs(z, df=3))"
    result = fitted(f"y ~ {product} + (1 | g)", data)
    with pytest.warns(
        DroppedRowsWarning, match="between .* and .*, between 9.* and 11"
    ):
        predicted = result.predict(pd.DataFrame({"x": 0.0, "z": [10.0, 99], "g": 1}))
    assert_array_equal(np.isnan(predicted), [False, True])
