"""Null distributions between nested models know no units, origins, labels or orders."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel as ml
from strategies import shifts_and_scales

pytestmark = pytest.mark.filterwarnings(
    "ignore::multilevel.errors.SingularFitWarning",
    "ignore::multilevel.errors.ConvergenceWarning",
)


def nested_test(data, full, restricted="(1 | group)", reml=True):
    small = ml.mixedlm(f"y ~ x + z + {restricted}", data).fit(reml=reml)
    return ml.mixedlm(f"y ~ x + z + {full}", data).fit(reml=reml).compare_lr_test(small)


@settings(max_examples=10)
@given(
    sizes=st.lists(st.integers(5, 9), min_size=12, max_size=16),
    change=shifts_and_scales(),
    seed=st.integers(0, 99),
    reml=st.booleans(),
)
def test_null_of_two_slopes_given_intercepts(sizes, change, seed, reml):
    shift, scale = change
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    x, z, noise = rng.normal(size=(3, len(codes)))
    effects = rng.normal(size=len(sizes))[codes]
    labels = [f"g{code:02}" for code in codes]
    frame = pd.DataFrame({"y": effects + noise, "x": x, "z": z, "group": labels})
    expected = nested_test(frame, "(x + z | group)", reml=reml)
    moved = frame.assign(
        x=(frame["x"] + shift) * -scale,
        z=(frame["z"] - 3.0) * 1e3,
        y=5.0 - 2.0 * frame["y"],
        group=frame["group"].str[::-1],
    ).iloc[rng.permutation(len(frame))]
    found = nested_test(moved, "(z + x | group)", reml=reml)
    weights = [test.null_distribution.weights for test in (found, expected)]
    assert_allclose(*weights, atol=1e-3)
    assert 0.0 <= found.pvalue <= 1.0
