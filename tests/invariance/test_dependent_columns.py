"""Columns that depend on each other are found wherever the others lie."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import RankDeficiencyWarning


def _frame(seed, *, whole):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(10), 9)
    x = rng.normal(size=90)
    x = np.round(8 * x) if whole else x
    slopes = rng.normal(size=(10, 2))
    y = x + slopes[g, 0] + slopes[g, 1] * x + rng.normal(size=90)
    return pd.DataFrame({"y": y, "x": x, "g": g, "z": rng.normal(size=90)})


def _fit(formula, data):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = ml.mixedlm(formula, data).fit(reml=False)
    found = [w for w in caught if w.category is RankDeficiencyWarning]
    return result, len(found)


# Beyond 10^7.5 what the far column was rounded by is itself an effect to the fit, worth
# up to 2e-4 of log-likelihood.
@given(st.integers(0, 50), st.floats(0, 7.5), st.booleans())
def test_a_shifted_copy_among_the_random_columns_adds_nothing(seed, digits, whole):
    data = _frame(seed, whole=whole)
    data["far"] = data["x"] + 10**digits
    plain, _ = _fit("y ~ x + (x | g)", data)
    for random in ("far + x", "x + far", "x + z + far"):
        wanted = plain
        if "z" in random:
            wanted, _ = _fit("y ~ x + (x + z | g)", data)
        result, warned = _fit(f"y ~ x + ({random} | g)", data)
        assert warned == 1
        assert_allclose(result.llf, wanted.llf, atol=1e-6)


@pytest.mark.parametrize("origin", [0.0, 1e3, 1e5, 1e7, 1e8])
@pytest.mark.parametrize("random", ["(x | g)", "(far | g)", "(1 | g)", "(z | g)"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_shifted_copy_among_the_fixed_columns_adds_nothing(origin, random, whole):
    data = _frame(3, whole=whole)
    data["far"] = data["x"] + origin
    plain, _ = _fit(f"y ~ x + {random.replace('far', 'x')}", data)
    for fixed in ("far + x", "x + far"):
        result, warned = _fit(f"y ~ {fixed} + {random}", data)
        first, second = fixed.split(" + ")
        assert warned == 1
        assert_allclose(result.llf, plain.llf, atol=1e-6)
        assert_allclose(result.bse[first], plain.bse["x"], rtol=1e-6)
        assert_allclose(result.ddf[first], plain.ddf["x"], rtol=1e-4)
        assert np.isnan(result.params[second])
        assert_allclose(result.predict(data), result.fittedvalues, rtol=1e-6)


@given(st.integers(0, 50), st.floats(0, 8), st.booleans())
def test_a_shifted_copy_among_the_random_columns_leaves_the_null_alone(
    seed, digits, first
):
    data = _frame(seed, whole=False)
    data["far"] = data["x"] + 10**digits
    plain, _ = _fit("y ~ x + (x | g)", data)
    columns = "far + x" if first else "x + far"
    test = _fit(f"y ~ x + ({columns} | g)", data)[0].compare_pooled()
    assert test.null == plain.compare_pooled().null
    assert_allclose(test.pvalue, plain.compare_pooled().pvalue, rtol=1e-4)
