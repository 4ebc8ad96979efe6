"""One number per row: by name, by position or by index."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frame_of_all_kinds import design_of, frame, quiet_design_of
from numpy.testing import assert_allclose, assert_array_equal

from multilevel.errors import DataError

FORMULA = "y ~ x + (1 | g)"
WEIGHTS = np.linspace(0.5, 2, 60)


def _lettered():
    data = frame()
    data.index = [f"row{i:02}" for i in range(60)]
    return data


@pytest.mark.parametrize("role", ["weights", "offset"])
def test_a_column_an_array_and_a_series_are_the_same(role):
    data = _lettered().assign(w=WEIGHTS)
    shuffled = pd.Series(WEIGHTS, index=data.index).sample(frac=1, random_state=1)
    for value in ("w", WEIGHTS, list(WEIGHTS), data["w"], shuffled):
        design = design_of(FORMULA, data, **{role: value})
        assert_array_equal(getattr(design, role), WEIGHTS)


def test_without_any_there_are_none():
    design = design_of(FORMULA)
    assert design.weights is None
    assert design.offset is None


def test_offsets_add_up():
    design = design_of("y ~ x + offset(log(z)) + offset(2 * k) + (1|g)", offset="x")
    data = frame()
    assert_allclose(design.offset, np.log(data["z"]) + 2 * data["k"] + data["x"])


def test_rows_are_dropped_from_weights_too():
    data = frame()
    data.loc[[2, 4], "x"] = np.nan
    weights = WEIGHTS.copy()
    weights[7] = np.nan
    design = quiet_design_of(FORMULA, data, weights=weights, offset=WEIGHTS)
    kept = np.delete(np.arange(60), [2, 4, 7])
    assert_array_equal(design.weights, WEIGHTS[kept])
    assert_array_equal(design.offset, WEIGHTS[kept])
    assert design.dropped.causes == {"x": 2, "weights": 1}


def test_rows_of_weight_zero_are_dropped_and_counted_apart():
    data = frame().assign(w=np.r_[0, 0, np.nan, np.ones(57)])
    design = quiet_design_of(FORMULA, data, weights="w")
    assert design.nobs == 57
    assert design.dropped.causes == {"w": 1, "w = 0": 2}
    assert str(design.dropped) == "3 of 60 rows dropped; missing: w (1); w = 0 (2)"


def test_weights_of_zero_are_not_missing_values():
    weights = np.r_[0.0, np.ones(59)]
    design = quiet_design_of(FORMULA, weights=weights, missing="raise")
    assert design.nobs == 59


@pytest.mark.parametrize("role", ["weights", "offset"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("zz", "'zz' is not a column"),
        ("xx", "did you mean 'x'"),
        ([1.0, 2.0], r"has shape \(2,\), but there are 60 rows"),
        (np.ones((60, 2)), r"has shape \(60, 2\)"),
        (pd.Series(1.0, index=range(100, 160)), "lacks 60 of the data's 60"),
        (pd.Series(1.0, index=[0] * 61), "duplicates"),
        (np.r_[np.inf, np.ones(59)], "infinite in 1 of 60"),
        (["a"] * 60, "must hold numbers"),
        ("h", "must hold numbers"),
    ],
)
def test_what_is_not_one_number_per_row_is_refused(role, value, message):
    with pytest.raises(DataError, match=message):
        design_of(FORMULA, **{role: value})


def test_negative_weights_are_refused():
    with pytest.raises(DataError, match=r"'w' is negative in 2 of 60 rows \(.*-3\)"):
        design_of(FORMULA, frame().assign(w=[-3.0, -1] + [1.0] * 58), weights="w")


def test_weights_of_zero_throughout_leave_no_row():
    with pytest.raises(DataError, match=r"no row is left.*weights = 0 \(60\)"):
        design_of(FORMULA, weights=np.zeros(60))


@pytest.mark.parametrize("written", ["offset(h)", "offset(np.column_stack([x, z]))"])
def test_an_offset_is_one_number_per_row(written):
    with pytest.raises(DataError, match="one number per row"):
        design_of(f"y ~ x + {written} + (1 | g)")


def test_an_infinite_offset_is_refused():
    with pytest.raises(DataError, match=r"'offset\(log\(k\)\)' is infinite in 15"):
        design_of("y ~ x + offset(log(k)) + (1 | g)")
