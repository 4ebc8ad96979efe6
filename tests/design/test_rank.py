"""Aliased columns are found whatever the scales, and the earlier ones are kept."""

from __future__ import annotations

import numpy as np
import pytest
from frame_of_all_kinds import design_of, frame
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from multilevel.design.rank import independent_columns
from multilevel.errors import DataError, RankDeficiencyWarning

N = 400
RNG = np.random.default_rng(7)
ONE = np.ones(N)
X = RNG.normal(size=N)
Z = RNG.normal(size=N)
GROUP = np.eye(4)[RNG.integers(0, 4, N)]

CASES = {
    "nothing": ([], []),
    "one": ([ONE], [0]),
    "full": ([ONE, X, Z], [0, 1, 2]),
    "a multiple": ([ONE, X, 2 * X, Z], [0, 1, 3]),
    "a sum": ([ONE, X, Z, X + Z - 3], [0, 1, 2]),
    "the earlier one is kept": ([X + Z, X, Z], [0, 1]),
    "zeros": ([0 * ONE, X, Z], [1, 2]),
    "twice the constant": ([ONE, 5 * ONE, X], [0, 2]),
    "all dummies": ([ONE, *GROUP.T], [0, 1, 2, 3]),
    "two aliased in a row": ([ONE, ONE, ONE, X, X, Z], [0, 3, 5]),
    "far from zero": ([ONE, X + 1e9], [0, 1]),
    "far from zero twice": ([ONE, X + 1e9, Z + 1e9], [0, 1, 2]),
    "far from zero and aliased": ([ONE, X + 1e6, 3 * (X + 1e6)], [0, 1]),
    "a later one near zero": ([ONE, X + 1e7, X], [0, 1]),
    "a later one near zero, whole": ([ONE, np.round(X) + 1e8, np.round(X)], [0, 1]),
    "a later sum near zero": ([ONE, X + 1e7, Z - 1e8, X + Z], [0, 1, 2]),
    "beside one far from zero": ([ONE, X + 1e9, Z, X * Z], [0, 1, 2, 3]),
    "close, beside one far away": ([ONE, X + 1e6, X + 1e-4 * Z], [0, 1, 2]),
    "scales": ([1e-8 * ONE, 1e8 * X, 1e-8 * Z, 1e8 * (X + Z)], [0, 1, 2]),
    "tiny": ([1e-150 * ONE, 1e-150 * X, 1e-150 * (X + 1)], [0, 1]),
    "huge": ([1e200 * ONE, 1e200 * X, 1e200 * (X + 1)], [0, 1]),
    "powers": ([ONE, X, X**2, X**3, X**4, X**5], [0, 1, 2, 3, 4, 5]),
    "close, not aliased": ([ONE, X, X + 1e-8 * Z], [0, 1, 2]),
    "aliased up to rounding": ([ONE, X, X + 1e-13 * Z], [0, 1]),
}


@pytest.mark.parametrize("case", CASES)
def test_which_columns_are_kept(case):
    columns, kept = CASES[case]
    matrix = np.column_stack(columns) if columns else np.empty((N, 0))
    assert independent_columns(matrix).tolist() == kept


@pytest.mark.parametrize("case", CASES)
def test_many_rows_are_taken_in_pieces(case):
    columns, kept = CASES[case]
    matrix = np.column_stack(columns) if columns else np.empty((N, 0))
    assert independent_columns(np.tile(matrix, (60, 1))).tolist() == kept


@pytest.mark.parametrize("case", [case for case in CASES if CASES[case][1]])
def test_aliased_columns_are_combinations_of_the_kept_ones(case):
    matrix = np.column_stack(CASES[case][0])
    kept = independent_columns(matrix)
    unit = matrix / (np.abs(matrix).max(axis=0) + 1e-300)
    coefficients = np.linalg.lstsq(unit[:, kept], unit, rcond=None)[0]
    assert_allclose(unit[:, kept] @ coefficients, unit, atol=1e-6)


def test_fewer_rows_than_columns():
    matrix = np.random.default_rng(0).normal(size=(3, 5))
    assert independent_columns(matrix).tolist() == [0, 1, 2]
    assert independent_columns(np.empty((0, 2))).tolist() == []


@given(
    st.integers(1, 6),
    st.lists(st.integers(0, 5), max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_combinations_of_earlier_columns_are_never_kept(n_free, sources, seed):
    rng = np.random.default_rng(seed)
    columns = [rng.normal(size=50) * 10 ** rng.uniform(-6, 6) for _ in range(n_free)]
    free = list(range(n_free))
    for source in sources:
        new = columns[source % len(columns)] * rng.uniform(0.5, 2)
        columns.append(new + columns[0] * rng.uniform(0.5, 2))
    assert independent_columns(np.column_stack(columns)).tolist() == free


def test_aliased_columns_are_named():
    with pytest.warns(
        RankDeficiencyWarning, match="left out: I\\(2 \\* x\\)"
    ) as caught:
        design = design_of("y ~ x + I(2 * x) + z + (1 | g)")
    assert len(caught) == 1
    assert design.kept_names == ("Intercept", "x", "z")
    assert_array_equal(design.kept, [0, 1, 3])
    assert_array_equal(design.X, design.exog[:, [0, 1, 3]])


def test_nothing_is_copied_if_nothing_is_aliased():
    design = design_of("y ~ x + z + (1 | g)")
    assert design.X is design.exog


def test_rows_must_be_left_for_the_residual():
    with pytest.raises(DataError, match="20 rows for 20 fixed effects"):
        design_of("y ~ C(i) + (1 | b)", frame(20).assign(i=range(20)))


@given(st.floats(0, 8), st.floats(-8, 8), st.booleans())
def test_dependence_knows_no_origin_and_no_order(digits, unit, whole):
    x = np.round(10 * X) if whole else X
    far, near = x + 10**digits, 10**unit * x
    for columns in ([ONE, far, near], [ONE, near, far]):
        assert independent_columns(np.column_stack(columns)).tolist() == [0, 1]
        beside = [*columns[:2], Z, columns[2]]
        assert independent_columns(np.column_stack(beside)).tolist() == [0, 1, 2]
