"""The tests keep their size: a seeded part of the table in the guide."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from size_of_tests import CASES, rejections

pytestmark = pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")

CHEAP = [case for case in CASES if case.family is None]


@pytest.mark.parametrize("case", CHEAP, ids=lambda case: case.name)
def test_ten_per_cent_are_not_exceeded(case):
    # Four standard errors of 60 draws above; a test is conservative with few groups.
    assert rejections(case, 60)[0] < 0.10 + 4 * (0.1 * 0.9 / 60) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sizes_are_those_of_the_guide(case):
    found = rejections(case, 400)
    for share, level in zip(found, (0.10, 0.05, 0.01), strict=True):
        error = (level * (1 - level) / 400) ** 0.5
        assert level / 3 - 3 * error < share < level + 3.5 * error
