"""Rows that agree in every column, and those that agree in their key by chance."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal

from multilevel.likelihood.rows.merged_rows import SAMPLE, equal_rows


def test_equal_rows_are_found_and_the_others_kept_apart():
    code = np.repeat([0, 1], 6)
    x = np.tile([1.0, 2.0, 1.0, 2.0, 1.0, 1.0], 2)
    groups = equal_rows([code, x], 12)
    assert groups is not None
    assert len(groups.first) == 4
    assert (np.diff(groups.first) > 0).all()
    for row, group in enumerate(groups.group):
        first = groups.first[group]
        assert (code[row], x[row]) == (code[first], x[first])
    assert equal_rows([code, np.arange(12.0)], 12) is None


def test_rows_with_one_key_by_coincidence_are_kept_apart():
    """sqrt(8) a + sqrt(15) b is the same for (sqrt(15), 0) and (0, sqrt(8))."""
    a = np.repeat([np.sqrt(15.0), 0.0], 4)
    b = np.repeat([0.0, np.sqrt(8.0)], 4)
    groups = equal_rows([a, b], 8)
    assert groups is not None
    assert_array_equal(groups.first, [0, 4])
    assert_array_equal(groups.group, [0, 0, 0, 0, 1, 1, 1, 1])


def test_many_rows_are_merged_if_a_piece_of_them_repeats():
    n = 5 * SAMPLE
    code = np.repeat(np.arange(n // 100), 100)
    often = equal_rows([code, np.tile([0.0, 1.0], n // 2)], n)
    assert often is not None
    assert len(often.first) == 2 * n // 100
    assert equal_rows([code, np.arange(n) % 61.0], n) is None
