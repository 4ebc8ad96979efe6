"""From information and cone to the null distribution of a test."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from multilevel.inference.chi_bar_square import cone_mixture
from multilevel.inference.null_distribution import null_distribution


def never():
    pytest.fail("nothing had to be computed")


@pytest.mark.parametrize(
    ("sizes", "free", "null"),
    [
        ([], 2, "chi2(2)"),
        ([1], 0, "0.5 chi2(0) + 0.5 chi2(1)"),
        ((1,), 1, "0.5 chi2(1) + 0.5 chi2(2)"),
    ],
)
def test_information_is_asked_for_only_where_it_matters(sizes, free, null):
    assert str(null_distribution(never, sizes, free=free)) == null


def test_what_comes_before_the_cones_is_estimated():
    root = np.random.default_rng(0).normal(size=(6, 6))
    whole = root @ root.T
    first, last = slice(0, 3), slice(3, 6)
    given = whole[last, last] - whole[last, first] @ np.linalg.solve(
        whole[first, first], whole[first, last]
    )
    found = null_distribution(lambda: whole, [2])
    assert_allclose(found.weights, cone_mixture(given, [2]).weights, rtol=1e-8)
    pair = null_distribution(lambda: whole[1:, 1:], [1, 1, 1])
    assert len(pair.weights) == 4
