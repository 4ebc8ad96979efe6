"""Rows with something missing: which are dropped, what is said, what is left."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frame_of_all_kinds import design_of, frame, quiet_design_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from multilevel.errors import DataError, DroppedRowsWarning

FORMULA = "y ~ x*f + standardize(z) + (x | g) + (1 | h)"


def _holes(data, rows_by_column):
    data = data.copy()
    for name, rows in rows_by_column.items():
        data[name] = data[name].astype(object) if name in "gk" else data[name]
        data.loc[data.index[rows], name] = None
    return data


HOLES = st.dictionaries(
    st.sampled_from(["y", "x", "z", "g", "h", "f"]),
    st.lists(st.integers(0, 199), max_size=6, unique=True),
    max_size=3,
)


def _assert_same(design, other):
    assert design.exog_names == other.exog_names
    assert_allclose(design.exog, other.exog, atol=1e-12)
    assert_array_equal(design.y, other.y)
    assert_array_equal(design.index, other.index)
    for factor, same in zip(design.factors, other.factors, strict=True):
        assert_array_equal(factor.codes, same.codes)
        assert list(factor.levels) == list(same.levels)
    for term, same in zip(design.terms, other.terms, strict=True):
        assert_allclose(term.columns, same.columns, atol=1e-12)


@given(HOLES)
def test_dropping_equals_dropping_before(holes):
    data = _holes(frame(200), holes)
    used = ["y", "x", "z", "f", "g", "h"]
    design = quiet_design_of(FORMULA, data)
    before = data[data[used].notna().all(axis=1)]
    _assert_same(design, quiet_design_of(FORMULA, before))
    assert design.dropped.n == len(data) - len(before)
    counts = {name: len(rows) for name, rows in holes.items() if rows}
    assert design.dropped.causes == counts


def test_rows_are_those_of_the_data():
    data = _holes(frame(), {"x": [3, 5]})
    design = quiet_design_of("y ~ x + (1 | g)", data)
    assert_array_equal(design.rows, np.delete(np.arange(60), [3, 5]))
    assert_array_equal(design.y, data["y"].to_numpy()[design.rows])


def test_one_warning_says_how_many_and_why():
    data = _holes(frame(), {"x": [3, 5], "h": [5, 7, 9]})
    with pytest.warns(DroppedRowsWarning) as caught:
        design_of("y ~ x + (1 | g) + (1 | h)", data)
    assert [str(w.message) for w in caught] == [
        "4 of 60 rows dropped; missing: x (2), h (3)"
    ]


def test_nothing_is_said_when_nothing_is_missing():
    design = design_of(FORMULA, frame(200))
    assert design.dropped.n == 0
    assert design.dropped.causes == {}
    assert str(design.dropped) == "no row of 200 dropped"
    assert design.rows is None


def test_columns_that_are_not_used_do_not_matter():
    data = _holes(frame(), {"z": range(60)})
    assert design_of("y ~ x + (1 | g)", data).nobs == 60


@pytest.mark.parametrize("nothing", [np.nan, None, pd.NA])
@pytest.mark.parametrize("column", ["y", "x", "h"])
def test_every_kind_of_nothing_is_missing(nothing, column):
    data = frame()
    data[column] = data[column].astype(object)
    data.loc[[1, 4], column] = nothing
    design = quiet_design_of("y ~ x + np.exp(x) + (1 | h)", data)
    assert design.dropped.causes == {column: 2}
    assert design.nobs == 58


def test_a_missing_time_is_missing():
    data = frame()
    data["t"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(data["k"], "D")
    data.loc[[1, 4], "t"] = pd.NaT
    design = quiet_design_of("y ~ x + (1 | t)", data)
    assert design.dropped.causes == {"t": 2}
    assert list(design.factors[0].levels) == sorted(data["t"].dropna().unique())


def test_what_an_expression_makes_missing_is_dropped_too():
    data = frame()
    data.loc[:4, "z"] = -1.0
    data.loc[4:6, "x"] = np.nan
    design = quiet_design_of("y ~ log(z) + center(x) + (1 | g)", data)
    assert design.dropped.causes == {"x": 3, "log(z)": 4}
    assert design.nobs == 53
    assert_allclose(design.exog[:, 2].mean(), 0, atol=1e-12)


def test_a_comparison_with_nothing_is_missing_and_not_false():
    data = frame()
    data.loc[[0, 1], "x"] = np.nan
    design = quiet_design_of("y ~ I(x > 3) + (1 | g)", data)
    assert design.dropped.causes == {"x": 2}


@pytest.mark.parametrize(
    "written", ["x.fillna(0)", "np.nan_to_num(x)", "np.where(x.isna(), 0, x)"]
)
def test_an_expression_may_deal_with_missing_values_itself(written):
    data = frame()
    data.loc[[0, 1], "x"] = np.nan
    design = design_of(f"y ~ {written} + (1 | g)", data)
    assert design.nobs == 60
    assert_array_equal(design.exog[:2, 1], [0, 0])


def test_missing_values_can_be_refused():
    data = _holes(frame(), {"x": [3, 5], "h": [5, 7, 9]})
    with pytest.raises(DataError) as caught:
        design_of("y ~ x + (1 | g) + (1 | h)", data, missing="raise")
    assert "x (2 of 60 rows), h (3 of 60 rows)" in str(caught.value)
    assert "missing='drop'" in str(caught.value)
    data = frame()
    data.loc[0, "z"] = -1.0
    with pytest.raises(DataError, match=r"log\(z\) \(1 of 60"):
        design_of("y ~ log(z) + (1 | g)", data, missing="raise")
    assert design_of(FORMULA, frame(200), missing="raise").nobs == 200


@pytest.mark.parametrize("column", ["y", "x", "g", "h", "f"])
def test_a_column_that_is_missing_throughout_is_named(column):
    data = frame()
    data[column] = None
    with pytest.raises(DataError, match=f"'{column}' is missing in all 60 rows"):
        design_of("y ~ x + f + (1 | g) + (1 | h)", data)


def test_columns_that_are_never_there_together_leave_no_row():
    data = _holes(frame(), {"x": range(30), "z": range(30, 60)})
    with pytest.raises(
        DataError, match=r"no row is left: 60 of 60.*x \(30\), z \(30\)"
    ):
        design_of("y ~ x + z + (1 | g)", data)
