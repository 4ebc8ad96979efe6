"""The summary as text, HTML and LaTeX."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from statsmodels.iolib.summary import Summary

import multilevel as ml
from multilevel.errors import RankDeficiencyWarning, SingularFitWarning


@pytest.fixture(scope="module")
def hsb():
    return ml.datasets.load("hsb")


@pytest.fixture(scope="module")
def null_model(hsb):
    return ml.mixedlm("math ~ 1 + (1 | school)", hsb).fit()


@pytest.fixture(scope="module")
def crowded(hsb):
    """Long names, an aliased column, scales that differ, dropped rows, weights."""
    frame = hsb.copy()
    frame.loc[3, "ses"] = np.nan
    frame.loc[5:8, "math"] = np.nan
    formula = (
        "math ~ ses + I(2 * ses) + size + C(sector) * female * minority"
        " + np.log(size) + (ses || school)"
    )
    with pytest.warns((RankDeficiencyWarning, ml.errors.DroppedRowsWarning)):
        model = ml.mixedlm(formula, frame, weights=np.full(len(frame), 2.0))
    return model.fit()


class BalanceChecker(HTMLParser):
    """Fails on tags that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_null_model_of_the_schools_in_full(null_model):
    assert null_model.summary().as_text() == "\n".join(
        [
            "Linear mixed model fit by REML; t tests by Satterthwaite's method",
            "=" * 78,
            "Formula          math ~ 1 + (1 | school)",
            "Observations     7185",
            "Groups           school 160 (rows in each: min 14, mean 44.9, max 67)",
            "Log-likelihood   -23558.397 (restricted)",
            "AIC, BIC         47122.79, 47143.43 (3 parameters, variances included)",
            "-" * 78,
            "Scaled residuals:",
            "    Min      1Q  Median     3Q    Max",
            " -3.063  -0.754   0.027  0.761  2.743",
            "",
            "Random effects:",
            " Group     Effect     Variance  Std.Dev.",
            " school    Intercept     8.614     2.935",
            " Residual               39.148     6.257",
            "",
            "Fixed effects:",
            "            Estimate  Std.Err.     df      t   P>|t|   [0.025   0.975]",
            " Intercept   12.6370    0.2444  156.6  51.71  <0.001  12.1542  13.1197",
            "-" * 78,
            null_model.optimization.message.capitalize() + ".",
            "LR test vs. linear model: chibar2(01) = 986.12  Prob >= chibar2 = 0.0000",
        ]
    )


def test_is_a_statsmodels_summary(null_model):
    summary = null_model.summary()
    assert isinstance(summary, Summary)
    assert str(summary) == summary.as_text()
    assert len(summary.tables) == 3


def test_lines_fit_a_terminal(crowded):
    lines = crowded.summary().as_text().splitlines()
    rules = [line for line in lines if set(line) in ({"-"}, {"="})]
    assert {len(rule) for rule in rules} == {max(map(len, lines))}
    assert max(map(len, lines)) <= 100


def test_says_what_was_dropped_and_why(crowded):
    text = crowded.summary().as_text()
    assert "7180 (5 of 7185 rows dropped; missing: math (4), ses (1))" in text
    assert re.search(r"I\(2 \* ses\) \(dropped: aliased\)\n? +NaN", text)
    assert "Prior weights    min 2, mean 2, max 2" in text


def test_small_coefficients_keep_their_digits(crowded):
    row = next(
        line
        for line in crowded.summary().as_text().splitlines()
        if line.startswith(" size")
    )
    assert row.split()[1] == f"{crowded.params['size']:.7f}"


def test_mixture_is_named_before_the_last_line(crowded):
    lines = crowded.summary().as_text().splitlines()
    assert re.fullmatch(r"chibar2 is 0\.\d+ chi2\(0\) \+ .*\.", lines[-2])
    assert lines[-1].startswith("LR test vs. linear model: chibar2 = ")


def test_singular_fit_is_said_in_plain_words():
    data = ml.datasets.load("dyestuff2")
    with pytest.warns(SingularFitWarning):
        result = ml.mixedlm("Yield ~ 1 + (1 | Batch)", data).fit()
    text = " ".join(result.summary().as_text().split())
    assert "The fit is singular: sd(Intercept | Batch) = 0." in text
    assert "explain_singular() says which" in " ".join(text.split())


def test_z_tests_have_no_degrees_of_freedom(null_model):
    text = null_model.with_ddf("normal").summary().as_text()
    assert "z tests" in text.splitlines()[0]
    assert "P>|z|" in text
    assert " df " not in text


def test_confidence_level_is_in_the_header(null_model):
    text = null_model.summary(alpha=0.1).as_text()
    assert "[0.05" in text
    assert "0.95]" in text


def test_no_fixed_effects_no_table_of_them(hsb):
    result = ml.mixedlm("math ~ 0 + (1 | school)", hsb).fit()
    assert "Fixed effects" not in result.summary().as_text()


def test_html_is_well_formed_and_escaped(crowded):
    checker = BalanceChecker()
    html = crowded.summary().as_html()
    checker.feed(html)
    assert checker.open == []
    assert "P>|t|" in checker.text
    assert "&lt;0.001" in html
    assert crowded.formula in checker.text


def test_latex_escapes_names_and_balances_environments(crowded):
    frame = pd.DataFrame(
        {
            "y_1": np.random.default_rng(0).normal(size=40),
            "x_50%": np.tile([0.0, 1.0], 20),
            "g&h": np.repeat(np.arange(10), 4),
        }
    )
    frame["y_1"] += frame["g&h"]
    result = ml.mixedlm("y_1 ~ Q('x_50%') + (1 | Q('g&h'))", frame).fit()
    latex = result.summary().as_latex()
    assert r"y\_1" in latex
    assert r"x\_50\%" in latex
    assert r"g\&h" in latex
    assert not re.search(r"(?<!\\)[%_#]", latex)
    opened = re.findall(r"\\begin\{(\w+)\}", latex)
    assert opened == re.findall(r"\\end\{(\w+)\}", latex)
    for table in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end", latex, re.S):
        rows = [row for row in table[1].splitlines() if row.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {
            len(table[0])
        }


def test_csv_has_every_row(null_model):
    lines = null_model.summary().as_csv().splitlines()
    assert "Formula,math ~ 1 + (1 | school)" in lines
    assert any(line.startswith("Intercept,12.6370,") for line in lines)


def test_several_grouping_factors_have_a_line_each():
    data = ml.datasets.load("penicillin")
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    text = ml.mixedlm(formula, data).fit().summary().as_text()
    assert "Groups           plate 24 (rows in each: 6)" in text
    assert "                 sample 6 (rows in each: 24)" in text
