"""Tables of results: what is shown, in which form, and that they cannot be changed."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from multilevel.display.fact_table import FactTable
from multilevel.display.frame_table import FrameTable
from multilevel.inference.chi_bar_square import ChiBarSquare
from multilevel.inference.likelihood_ratio import likelihood_ratio_test


@pytest.fixture
def tests():
    return pd.DataFrame(
        {"F": [45.853, np.nan], "df_denom": [17.0, 16123.4], "pvalue": [3e-6, np.nan]},
        index=["Days", "a & <b>"],
    )


def test_columns_are_written_by_what_they_hold(tests):
    lines = str(FrameTable(tests, "Tests:")).splitlines()
    assert lines[0] == "Tests:"
    assert lines[1].split() == ["F", "df_denom", "p"]
    assert lines[2].split() == ["Days", "45.85", "17.0", "<0.001"]
    assert lines[3].split()[-3:] == ["NaN", "16123", "NaN"]


def test_estimates_have_the_decimals_of_their_errors():
    frame = pd.DataFrame({"estimate": [251.4051, 10.4673], "se": [6.8246, 1.5458]})
    rows = [line.split() for line in str(FrameTable(frame)).splitlines()]
    assert rows[1:] == [["251.405", "6.825"], ["10.467", "1.546"]]
    coarse = str(FrameTable(frame, digits=2)).splitlines()
    assert coarse[1].split() == ["251.4", "6.8"]


def test_rows_that_are_only_counted_have_no_labels():
    frame = pd.DataFrame({"arm": ["a", "b"], "mean": [1.0, 2.0]})
    table = FrameTable(frame)
    assert table.layout.header == ("arm", "mean")
    assert table.layout.left == 1
    assert str(FrameTable(frame.set_index("arm"))) == str(table)


def test_several_row_labels_are_columns(tests):
    both = pd.concat({"first": tests, "second": tests}, names=["model", "term"])
    layout = FrameTable(both).layout
    assert layout.header[:2] == ("model", "term")
    assert layout.left == 2
    assert [row[0] for row in layout.rows] == ["first", "first", "second", "second"]


def test_headings_and_formats_can_be_others(tests):
    table = FrameTable(
        tests,
        headings={"pvalue": "P>F"},
        formats={"F": lambda frame, name, digits: ["high", "none"]},
    )
    assert table.layout.header == ("", "F", "df_denom", "P>F")
    assert [row[1] for row in table.layout.rows] == ["high", "none"]


def test_markup_is_escaped_and_notes_are_shown(tests):
    table = FrameTable(tests, "Tests:", ("df < 2 & more",))
    html = table._repr_html_()
    assert html == table.as_html()
    assert "a &amp; &lt;b&gt;" in html
    assert html.endswith("<p>df &lt; 2 &amp; more</p>")
    latex = table.as_latex()
    assert r"a \& \textless{}b\textgreater{}" in latex
    assert latex.endswith(r"df \textless{} 2 \& more")
    assert str(table).splitlines()[-1] == "df < 2 & more"


def test_a_table_cannot_be_changed(tests):
    table = FrameTable(tests)
    before = str(table)
    tests.loc["Days", "F"] = 0.0
    handed_out = table.frame
    handed_out.loc["Days", "F"] = 0.0
    assert str(table) == before
    with pytest.raises(AttributeError):
        table.title = "another"
    assert str(pickle.loads(pickle.dumps(table))) == before


def test_missing_texts_are_blank_and_categories_are_texts():
    frame = pd.DataFrame({"f": pd.Categorical(["u", None]), "note": ["x", None]})
    assert FrameTable(frame).layout.rows == (("u", "x"), ("", ""))


def test_long_facts_are_wrapped_where_asked():
    table = FactTable((("formula", "y ~ " + " + ".join("abcdefgh")), ("empty", "")))
    assert table.lines()[1] == "empty    "
    lines = table.lines(max_width=30)
    assert len(lines) == 3
    assert max(map(len, lines)) <= 30
    assert lines[1].startswith(" " * 9)


def test_what_is_shown_as_a_table_has_its_forms():
    test = likelihood_ratio_test(
        -3.0, -1.0, df=1, null=ChiBarSquare((0.5, 0.5)),
        restricted="y ~ 1", full="y ~ 1 + (1 | g)", criterion="ML",
    )  # fmt: skip
    table = test.as_table()
    assert str(test) == table.as_text()
    assert test._repr_html_() == table.as_html()
    assert r"y \textasciitilde{} 1" in test.as_latex()
    assert not hasattr(test, "__dict__")
