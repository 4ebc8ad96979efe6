"""A design on some of its rows is the design of these rows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import multilevel as ml
from multilevel.design.some_rows import on_rows
from multilevel.errors import DataError
from small_data import grouped_responses

FRAME = grouped_responses()


def design_of(frame):
    return ml.mixedlm(
        "normal ~ x + offset(size) + (x | g) + (1 | h)", frame, weights="size"
    ).design


def test_the_rows_that_stay_are_as_if_there_had_been_no_others():
    whole = design_of(FRAME)
    rows = np.flatnonzero(FRAME["g"] != "g03")
    found = on_rows(whole, rows, residual_estimated=True)
    wanted = design_of(FRAME.iloc[rows])
    for name in ("y", "exog", "weights", "offset", "index"):
        assert_array_equal(getattr(found, name), getattr(wanted, name))
    for own, other in zip(found.factors, wanted.factors, strict=True):
        assert_array_equal(own.codes, other.codes)
        assert list(own.levels) == list(other.levels)
    for own, other in zip(found.terms, wanted.terms, strict=True):
        assert_array_equal(own.columns, other.columns)
    assert_array_equal(found.rows, rows)


def test_fixed_effects_that_cannot_be_estimated_are_named():
    frame = FRAME.assign(only=(FRAME["g"] == "g03") * 1.0)
    design = ml.mixedlm("normal ~ x + only + (1 | g)", frame).design
    rows = np.flatnonzero(FRAME["g"] != "g03")
    with pytest.raises(DataError, match="'only' cannot be estimated from the"):
        on_rows(design, rows, residual_estimated=True)


def test_one_level_that_is_left_is_refused():
    design = ml.mixedlm("normal ~ x + (1 | g)", FRAME).design
    rows = np.flatnonzero(FRAME["g"] == "g03")
    with pytest.raises(DataError, match="only one level"):
        on_rows(design, rows, residual_estimated=True)
