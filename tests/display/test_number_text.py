"""Numbers in a column keep their digits whatever the others are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import multilevel as ml
from multilevel.display.number_text import column_text

numbers = st.builds(
    lambda digits, exponent: digits * 10.0**exponent,
    st.floats(1.0, 9.999),
    st.integers(-20, 30),
)


@given(st.lists(numbers, min_size=1, max_size=5))
def test_every_number_of_a_column_shows_three_digits(values):
    for value, text in zip(values, column_text(values), strict=True):
        assert abs(float(text) - value) <= 0.0051 * value


def test_variances_keep_their_digits_beside_a_slope_in_small_units():
    sleep = ml.datasets.load("sleepstudy")
    tiny = sleep.assign(Days=1e-8 * sleep["Days"])
    fit = ml.mixedlm("Reaction ~ Days + (Days | Subject)", tiny).fit()
    lines = str(fit.variance_components).splitlines()
    assert lines[2].split()[-2:] == ["612.1", "24.74"]
    assert lines[4].split()[-2:] == ["654.9", "25.59"]
