"""A value behind the mask of a masked array is missing, wherever the array comes in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.design.plain_columns import unmasked
from multilevel.errors import DroppedRowsWarning, FormulaError

pytestmark = [
    pytest.mark.filterwarnings("ignore::multilevel.errors.DroppedRowsWarning"),
    pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning"),
]


@pytest.fixture
def data():
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(8), 8)
    x = rng.normal(size=64)
    y = 0.5 * x + rng.normal(size=8)[group] + rng.normal(size=64)
    return pd.DataFrame({"x": x, "y": y, "g": group, "h": np.arange(64) % 3})


def without_large(x):
    return np.ma.masked_greater(np.asarray(x), 1.0)


def without_first(g):
    return np.ma.masked_equal(np.asarray(g), 0)


@pytest.mark.parametrize(
    ("masked", "plain", "kept"),
    [
        ("y ~ without_large(x) + (1 | g)", "y ~ x + (1 | g)", "x <= 1"),
        ("y ~ (without_large(x) || g)", "y ~ (x || g)", "x <= 1"),
        ("without_large(y) ~ x + (1 | h)", "y ~ x + (1 | h)", "y <= 1"),
        ("y ~ C(without_first(h)) + (1 | g)", "y ~ C(h) + (1 | g)", "h > 0"),
        ("y ~ offset(without_large(x)) + (1 | g)", "y ~ offset(x) + (1 | g)", "x <= 1"),
        ("y ~ x + (1 | without_first(g))", "y ~ x + (1 | g)", "g > 0"),
    ],
)
def test_masked_values_of_an_expression_are_missing(data, masked, plain, kept):
    rows = data.query(kept)
    result = ml.mixedlm(masked, data).fit(reml=False)
    assert result.nobs == len(rows) < len(data)
    expected = ml.mixedlm(plain, rows).fit(reml=False)
    assert result.llf == pytest.approx(expected.llf, abs=1e-8)
    predicted = result.predict(data)
    known = rows.index if "without_large(y)" not in masked else data.index
    assert predicted.notna().equals(pd.Series(data.index.isin(known), data.index))


def test_masked_weights_and_arrays_are_missing(data):
    masked = without_large(data["x"])
    rows = data[data["x"] <= 1]
    with pytest.warns(DroppedRowsWarning):
        weighted = ml.mixedlm("y ~ 1 + (1 | g)", data, weights=masked + 9)
    assert weighted.nobs == len(rows)
    expected = ml.mixedlm("y ~ x + (1 | g)", rows).fit().llf
    exog = np.ma.column_stack([np.ones(64), masked])
    response = np.ma.array(data["y"], mask=masked.mask)
    groups = np.ma.array(data["g"], mask=masked.mask)
    plain = np.column_stack([np.ones(64), data["x"]])
    for y, columns, of in [
        (response, plain, data["g"]),
        (data["y"], exog, data["g"]),
        (data["y"], plain, groups),
    ]:
        term = ml.RandomTerm(of, np.ones(64), name="g")
        result = ml.MixedLM(y, columns, random=[term]).fit()
        assert result.nobs == len(rows)
        assert result.llf == pytest.approx(expected, abs=1e-8)


def test_what_is_not_masked_keeps_its_type():
    whole = unmasked(np.ma.array([2**60 + 1, 3]))
    assert whole.dtype == np.int64
    assert whole[0] == 2**60 + 1
    dates = unmasked(
        np.ma.array(["2020-01-01", "2020-01-02"], dtype="M8[D]", mask=[0, 1])
    )
    assert np.isnat(dates).tolist() == [False, True]
    assert unmasked(np.ma.array(["a", "b"], mask=[1, 0])).tolist() == [None, "b"]
    assert unmasked(np.ma.array([True, False], mask=[1, 0])).tolist() == [None, False]


@pytest.mark.parametrize(
    "groups", ["bs(x, 4)", "poly(x, 2)", "np.column_stack([g, g])"]
)
def test_several_columns_are_no_grouping_factor(data, groups):
    with pytest.raises(FormulaError, match="columns; a grouping factor is one label"):
        ml.mixedlm(f"y ~ x + (1 | {groups})", data)
