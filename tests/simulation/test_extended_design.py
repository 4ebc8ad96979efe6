"""Designs of other sizes are copies of the data's groups and rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from multilevel.simulation.extended_design import (
    Extension,
    copies,
    extended_design,
)
from multilevel.simulation.simulated_design import design_without_response


@pytest.fixture(scope="module")
def design():
    """Classes labelled apart in schools, items crossed with them, a level a row."""
    data = pd.DataFrame({"school": np.repeat([1, 2, 3], 4)})
    data["classroom"] = np.repeat(list("abcdef"), 2)
    data["item"] = np.tile([1, 2], 6)
    data["row"] = np.arange(12)
    data["x"] = np.arange(12.0)
    formula = "y ~ x + (1|school) + (x|classroom) + (1|item) + (1|row)"
    return design_without_response(formula, data)


@given(
    there=st.integers(1, 9), wanted=st.integers(1, 40), seed=st.integers(0, 2**32 - 1)
)
def test_copies_are_as_even_as_can_be(there, wanted, seed):
    found = copies(there, wanted, np.random.default_rng(seed))
    times = np.bincount(found, minlength=there)
    assert len(found) == wanted
    assert times.max() - times.min() <= 1


def test_of_what_is_left_none_is_favoured():
    rng = np.random.default_rng(1)
    times = sum(np.bincount(copies(5, 7, rng), minlength=5) for _ in range(2000))
    assert np.abs(times - 2800.0).max() < 4.0 * np.sqrt(2000 * 0.4 * 0.6)


def extended(design, seed=1, **options):
    extension = Extension(sized="school", **options)
    return extended_design(design, extension, np.random.default_rng(seed))


def test_nested_levels_are_copied_and_crossed_ones_are_not(design):
    found, rows = extended(design, groups={"school": 6})
    sizes = {factor.name: factor.n_levels for factor in found.factors}
    assert sizes == {"school": 6, "classroom": 12, "item": 2, "row": 24}
    assert_array_equal(rows, np.tile(np.arange(12), 2))
    school, classroom = found.factor("school"), found.factor("classroom")
    assert classroom.is_constant_within(school.codes)
    assert_array_equal(classroom.sizes, 2)
    assert_array_equal(found.exog, design.exog[rows])
    assert_array_equal(found.factor("item").codes, design.factor("item").codes[rows])


def test_rows_of_a_group_stay_in_it(design):
    found, rows = extended(design, groups={}, size=10)
    assert_array_equal(found.factor("school").sizes, 10)
    assert_array_equal(
        found.factor("school").codes, design.factor("school").codes[rows]
    )
    assert found.factor("row").n_levels == 30
    fewer, rows = extended(design, groups={}, size=3)
    assert_array_equal(fewer.factor("school").sizes, 3)
    assert len(set(rows)) == 9


@settings(max_examples=15)
@given(count=st.integers(2, 9), size=st.integers(1, 9), seed=st.integers(0, 99))
def test_any_size_is_reached(design, count, size, seed):
    found, rows = extended(design, seed, groups={"school": count}, size=size)
    assert_array_equal(found.factor("school").sizes, np.full(count, size))
    assert found.nobs == len(rows) == count * size
    assert_array_equal(found.terms[1].columns, design.terms[1].columns[rows])


def test_two_factors_one_after_the_other(design):
    found, _ = extended(design, groups={"school": 5, "item": 4})
    assert found.factor("school").n_levels == 5
    assert found.factor("item").n_levels == 4
