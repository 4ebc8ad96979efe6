"""New rows are coded as those of the fit, whatever else is among the new rows."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from frame_of_all_kinds import design_of, frame, quiet_design_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from multilevel.design.model_design import design_from_arrays
from multilevel.design.new_data import encode_new_data
from multilevel.design.random_effects import RandomTerm
from multilevel.errors import DataError

FORMULA = (
    "y ~ bs(z, 4) + poly(x, 2)*f + C(k, Sum) + center(x):b + standardize(z) "
    "+ offset(log(z)) + (f + x | g) + (1 | h:g)"
)


def _pickled(design):
    return pickle.loads(pickle.dumps(design))


@pytest.mark.parametrize("sent", [lambda design: design, _pickled])
@given(rows=st.lists(st.integers(0, 399), min_size=1, max_size=20))
def test_rows_of_the_fit_are_coded_as_in_the_fit(sent, rows):
    data = frame(400)
    design = sent(quiet_design_of(FORMULA, data))
    new = encode_new_data(design, data.iloc[rows].drop(columns="y"))
    assert_allclose(new.exog, design.exog[rows], atol=1e-12)
    assert_allclose(new.offset, design.offset[rows])
    for codes, labels, factor in zip(
        new.codes, new.labels, design.factors, strict=True
    ):
        assert_array_equal(codes, factor.codes[rows])
        assert list(labels) == list(factor.levels[factor.codes[rows]])
    for columns, term in zip(new.columns, design.terms, strict=True):
        assert_allclose(columns, term.columns[rows], atol=1e-12)
    assert not new.missing.any()
    assert list(new.index) == rows


def test_missing_values_make_rows_of_nan():
    design = design_of("y ~ x + f + log(z) + (x | g)", frame(200))
    new = frame(6).drop(columns="y")
    new["g"] = new["g"].astype(object)
    new.loc[0, "x"] = np.nan
    new.loc[1, "g"] = None
    new.loc[2, "f"] = None
    new.loc[3, "z"] = -1.0
    rows = encode_new_data(design, new)
    assert_array_equal(rows.missing, [True] * 4 + [False] * 2)
    assert np.isnan(rows.exog[:4]).all()
    assert np.isnan(rows.columns[0][:4]).all()
    assert not np.isnan(rows.exog[4:]).any()
    assert rows.codes[0][:4].tolist() == [-1] * 4


def test_new_data_may_be_missing_throughout():
    design = design_of("y ~ bs(x, 4) + (1 | g)")
    rows = encode_new_data(design, {"x": [None, None], "g": [1, 2]})
    assert rows.missing.all()
    assert np.isnan(rows.exog).all()


def test_levels_that_the_fit_has_not_seen_are_minus_one():
    design = design_of("y ~ x + (1 | g) + (1 | h:k)", frame(200))
    new = pd.DataFrame(
        {"x": 0.0, "g": [0, 99], "h": ["a", "zz"], "k": [7, 0]}, index=["r", "s"]
    )
    rows = encode_new_data(design, new)
    assert rows.codes[0].tolist() == [0, -1]
    assert rows.codes[1].tolist() == [-1, -1]
    assert list(rows.labels[0]) == [0, 99]
    assert list(rows.labels[1]) == ["a:7", "zz:0"]
    assert list(rows.index) == ["r", "s"]


def test_a_new_combination_of_seen_levels_is_new():
    data = frame(200)
    seen = data[~((data["h"] == "a") & (data["g"] == 1))]
    design = design_of("y ~ x + (1 | h:g)", seen)
    rows = encode_new_data(design, {"x": [0.0] * 2, "h": ["a", "a"], "g": [1, 2]})
    assert rows.codes[0][0] == -1
    assert design.factors[0].levels[rows.codes[0][1]] == "a:2"


def test_only_what_is_asked_for_must_be_there():
    design = design_of("y ~ x + (z | g) + (1 | h)", frame(200))
    nobody = encode_new_data(design, {"x": [1.0, 2.0]}, factors=[])
    assert nobody.exog.tolist() == [[1, 1], [1, 2]]
    assert [codes.tolist() for codes in nobody.codes] == [[-1, -1], [-1, -1]]
    assert [columns.tolist() for columns in nobody.columns] == [[[0, 0]] * 2, [[0]] * 2]
    only_h = encode_new_data(design, {"x": [1.0], "h": ["b"]}, factors=["h"])
    assert only_h.codes[1].tolist() == [1]
    with pytest.raises(DataError, match="lack 'z', 'g', which"):
        encode_new_data(design, {"x": [1.0], "h": ["b"]})
    with pytest.raises(DataError, match="'zz' is no grouping factor.*g, h"):
        encode_new_data(design, {"x": [1.0]}, factors=["zz"])


def test_a_constant_model_takes_its_rows_from_the_data():
    design = design_of("y ~ 1 + (1 | g)")
    rows = encode_new_data(design, {"anything": [1, 2, 3]}, factors=[])
    assert rows.exog.tolist() == [[1]] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"f": "zz"}, "'f' has 'zz'.*levels of the fit are 'p', 'q', 'r'"),
        ({"k": 17}, r"'C\(k\)' has 17"),
        ({"x": "text"}, "'x' must hold numbers"),
        ({"x": np.inf}, "'x' is infinite in 60 of 60"),
        ({"g": frame()["g"].astype(str)}, "same type"),
        ({"k": frame()["k"].astype(str)}, "same type"),
    ],
)
def test_new_data_that_do_not_fit_are_refused(change, message):
    design = design_of("y ~ x + f + C(k) + (1 | g)", frame(200))
    with pytest.raises(DataError, match=message):
        encode_new_data(design, frame().assign(**change))


@pytest.mark.parametrize("kind", ["float64", "int8", "Int64", "category", "object"])
def test_types_that_hold_the_same_values_are_the_same(kind):
    data = frame(200)
    design = design_of("y ~ x + C(k) + (1 | g)", data)
    new = data.assign(g=data["g"].astype(kind), k=data["k"].astype(kind))
    rows = encode_new_data(design, new)
    assert_array_equal(rows.codes[0], design.factors[0].codes)
    assert_array_equal(rows.exog, design.exog)


def test_fewer_categories_in_the_new_data_change_nothing():
    data = frame(200)
    design = design_of("y ~ f + h + b + (1 | g)", data)
    row = data.iloc[[7]].assign(f=pd.Categorical([data["f"].iloc[7]]))
    assert_array_equal(encode_new_data(design, row).exog, design.exog[[7]])


def test_the_offset_of_new_data():
    data = frame(200)
    by_name = design_of("y ~ x + (1 | g)", data, offset="z")
    new = {"x": [1.0], "g": [1], "z": [3.0]}
    assert encode_new_data(by_name, new).offset.tolist() == [3.0]
    assert encode_new_data(by_name, new, offset=[5.0]).offset.tolist() == [5.0]
    with pytest.raises(DataError, match="'z' is not a column"):
        encode_new_data(by_name, {"x": [1.0], "g": [1]})
    by_array = design_of("y ~ x + (1 | g)", data, offset=np.ones(200))
    with pytest.raises(DataError, match="give one for the new rows"):
        encode_new_data(by_array, new)
    assert encode_new_data(by_array, new, offset=[5.0]).offset.tolist() == [5.0]


def test_a_function_that_cannot_be_saved_says_so_when_it_is_needed():
    design = design_of(
        "y ~ mine(x) + (1 | g)", environment={"mine": lambda values: 2 * values}
    )
    rows = encode_new_data(design, frame())
    assert_allclose(rows.exog, design.exog)
    with pytest.raises(ValueError, match=r"mine\(\) could not be saved"):
        encode_new_data(_pickled(design), frame())


def test_arrays_have_no_columns_to_read_by_name():
    data = frame()
    design = design_from_arrays(data["y"], data[["x"]], [RandomTerm(data["g"])])
    with pytest.raises(DataError, match="from a formula"):
        encode_new_data(design, data)
