"""What a function in a formula returns may be any container, and means its rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

import multilevel as ml


@pytest.fixture
def data():
    rng = np.random.default_rng(8)
    group = np.repeat(np.arange(8), 8)
    x = rng.normal(size=64)
    y = 0.5 * x + rng.normal(size=8)[group] + rng.normal(size=64)
    time = rng.permutation(64)
    return pd.DataFrame({"x": x, "y": y, "g": group, "time": time})


def previous(x, time):
    """The value before in time: a Series in another order than the rows."""
    return x.loc[time.sort_values().index].shift(1, fill_value=0.0)


CONVERSIONS = {
    "polars": lambda x: pl.Series(np.exp(x)),
    "sparse": lambda x: scipy.sparse.csr_array(np.exp(x).to_numpy()[:, None]),
    "matrix": lambda x: np.asmatrix(np.exp(x)).T,
    "another order": lambda x: np.exp(x.sort_values()),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("kind", CONVERSIONS)
@pytest.mark.parametrize(
    "formula", ["y ~ {} + (1 | g)", "y ~ offset({}) + (1 | g)", "y ~ ({} || g)"]
)
def test_values_in_any_container_are_those_of_the_rows(data, kind, formula):
    changed = CONVERSIONS[kind]  # noqa: F841 (the formula calls it)
    model = ml.mixedlm(formula.format("changed(x)"), data)
    expected = ml.mixedlm(formula.format("np.exp(x)"), data)
    result = model.fit(reml=False)
    assert result.llf == pytest.approx(expected.fit(reml=False).llf, abs=1e-8)
    rows = data.iloc[[40, 3, 17]]
    np.testing.assert_allclose(
        result.predict(rows), result.fittedvalues.loc[rows.index], atol=1e-10
    )


@pytest.mark.parametrize("labels", [range(64), [f"r{i}" for i in range(64)]])
def test_a_sorted_series_belongs_to_the_rows_that_its_index_names(data, labels):
    frame = data.set_axis(pd.Index(labels))
    frame["before"] = previous(frame["x"], frame["time"])
    result = ml.mixedlm("y ~ previous(x, time) + (1 | g)", frame).fit(reml=False)
    expected = ml.mixedlm("y ~ before + (1 | g)", frame).fit(reml=False)
    assert result.llf == pytest.approx(expected.llf, abs=1e-8)
