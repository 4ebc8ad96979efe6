"""What the picture of simulated power shows."""

from __future__ import annotations

import pandas as pd
import pytest

pyplot = pytest.importorskip("matplotlib.pyplot")
from matplotlib.figure import Figure  # noqa: E402

from multilevel.plots.power_curves import power_curves  # noqa: E402

FRAME = pd.DataFrame(
    {"groups": [10, 20, 10, 20], "size": [2, 2, 6, 6], "power": [0.4, 0.7, 0.8, 0.99]}
)
FRAME = FRAME.assign(lower=FRAME["power"] - 0.1, upper=FRAME["power"] + 0.01)


def axes():
    return Figure().subplots()


def test_a_line_for_each_size():
    drawn = power_curves(FRAME, axes(), title="Test of x")
    texts = [text.get_text() for text in drawn.get_legend().get_texts()]
    assert texts == ["rows in each group: 2", "rows in each group: 6"]
    assert drawn.get_xlabel() == "number of groups"
    assert [len(container) for container in drawn.containers] == [3, 3]


def test_against_the_size_if_only_that_varies():
    drawn = power_curves(FRAME[FRAME["groups"] == 10], axes())
    assert drawn.get_xlabel() == "rows in each group"
    assert drawn.get_legend() is None


def test_a_single_study_is_a_point():
    drawn = power_curves(FRAME.head(1).drop(columns="size"), axes())
    assert len(drawn.containers) == 1
