"""Tests against the pooled model do not know the units and the order of anything."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel as ml
from strategies import grouped_frames, shifts_and_scales

pytestmark = pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")


def panel(seed=1, n_groups=25):
    """Eight occasions of each group, without random effects in y."""
    rng = np.random.default_rng(seed)
    n = 8 * n_groups
    y = rng.normal(size=n)
    return pd.DataFrame(
        {
            "g": np.repeat(np.arange(n_groups), 8),
            "t": np.tile(np.arange(8.0), n_groups),
            "y": y,
            "binary": (rng.normal(size=n) > 0) * 1.0,
        }
    )


def pooled_test(formula, data, family=None):
    if family is None:
        return ml.mixedlm(formula, data).fit().compare_pooled()
    return ml.mixedglm(formula, data, family=family).fit().compare_pooled()


@pytest.mark.parametrize(
    ("formula", "family"),
    [("y ~ t + (t | g)", None), ("binary ~ t + (t | g)", "binomial")],
)
@pytest.mark.parametrize(
    ("shift", "scale"), [(1000.0, 1.0), (2005.0, 1.0), (1e5, 1.0), (0.0, -1e6)]
)
def test_origin_and_unit_of_the_slope_leave_p_alone(formula, family, shift, scale):
    data = panel()
    expected = pooled_test(formula, data, family)
    moved = data.assign(t=(data["t"] + shift) * scale)
    found = pooled_test(formula, moved, family)
    assert 0.0 < found.pvalue < 1.0
    assert_allclose(found.pvalue, expected.pvalue, rtol=1e-6)
    assert found.null == expected.null


@given(frame=grouped_frames(), change=shifts_and_scales(), seed=st.integers(0, 99))
def test_units_labels_and_order_leave_the_null_alone(frame, change, seed):
    shift, scale = change
    expected = pooled_test("y ~ x + (x | group)", frame)
    rng = np.random.default_rng(seed)
    moved = frame.assign(
        x=(frame["x"] + shift) * -scale,
        y=7.0 - 3.0 * frame["y"],
        group=frame["group"].str[::-1],
    ).iloc[rng.permutation(len(frame))]
    found = pooled_test("y ~ x + (x | group)", moved)
    assert found.null == expected.null
    assert_allclose(found.pvalue, expected.pvalue, rtol=1e-4, atol=1e-12)


def test_order_of_many_terms_leaves_p_alone():
    rng = np.random.default_rng(3)
    n = 300
    data = pd.DataFrame(rng.integers(0, 12, (n, 4)), columns=list("abcd"))
    data["y"] = rng.normal(size=n) + rng.normal(size=12)[data["a"]] * 0.3
    expected = pooled_test("y ~ 1 + (1|a) + (1|b) + (1|c) + (1|d)", data)
    found = pooled_test("y ~ 1 + (1|c) + (1|d) + (1|a) + (1|b)", data)
    assert_allclose(found.pvalue, expected.pvalue, rtol=1e-4)


def test_sixteen_variances_are_tested_no_slower_than_they_are_fitted():
    rng = np.random.default_rng(1)
    n = 30 * 24
    data = pd.DataFrame(rng.choice([-1.0, 1.0], (n, 3)), columns=list("abc"))
    data["s"], data["i"] = np.repeat(np.arange(30), 24), np.tile(np.arange(24), 30)
    data["y"] = rng.normal(size=n) + rng.normal(size=30)[data["s"]]
    start = time.perf_counter()
    result = ml.mixedlm("y ~ a*b*c + (a*b*c || s) + (a*b*c || i)", data).fit()
    fitted = time.perf_counter()
    test = result.compare_pooled()
    assert test.null.startswith("mixture of chi2(0) to chi2(16)")
    assert time.perf_counter() - fitted < 2.0 * (fitted - start) + 0.5


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("origin", [0.0, 1e3, 1e7, 1e9])
def test_a_fit_without_any_variance_has_p_one_wherever_y_is(origin, reml):
    for seed in range(25):
        data = panel(seed, n_groups=8)
        data["y"] -= data.groupby("g")["y"].transform("mean")  # less than no variance
        moved = data.assign(y=data["y"] + origin)
        test = ml.mixedlm("y ~ t + (1 | g)", moved).fit(reml=reml).compare_pooled()
        assert (test.statistic, test.pvalue) == (0.0, 1.0)
