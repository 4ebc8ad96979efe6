"""The picture shows every row, and names those that matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from multilevel.errors import DataError
from multilevel.plots.influence_index import influence_index


@pytest.fixture
def axes():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    return figure.subplots()


def table(n=30):
    values = np.linspace(0.0, 0.1, n)
    values[4], values[7] = 3.0, np.nan
    ratio = 1.0 - values
    index = pd.Index([f"s{j}" for j in range(n)], name="school")
    return pd.DataFrame({"cooks_distance": values, "covratio": ratio}, index=index)


@pytest.mark.parametrize("measure", ["cooks_distance", "covratio"])
@pytest.mark.parametrize("n", [30, 500])
def test_the_largest_are_named(axes, measure, n):
    found = influence_index(table(n), measure, axes, named=2)
    assert found is axes
    names = [text.get_text() for text in axes.texts]
    assert names == ["s4", f"s{n - 1}"]
    assert len(axes.lines[0].get_xdata()) == n
    assert axes.get_xlabel() == "school"


def test_a_column_that_is_not_there(axes):
    with pytest.raises(DataError, match="'cook' is no column.*'cooks_distance'"):
        influence_index(table(), "cook", axes)
