"""Everything a newcomer may get wrong is answered with the piece and the next step."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frame_of_all_kinds import design_of, frame

from multilevel.design.model_design import build_design
from multilevel.errors import DataError, FormulaError
from multilevel.formula.parse import parse_formula

# formula, the text above the carets, parts of message and hint
NAMES = [
    ("y ~ x1 + (1|g)", "x1", "no column 'x1'", "did you mean 'x'?"),
    ("Y ~ x + (1|g)", "Y", "no column 'Y'", "did you mean 'y'?"),
    ("y ~ x + (1|scool)", "scool", "no column 'scool'", "did you mean 'school'?"),
    ("y ~ np.log(skool) + (1|g)", "skool", "no column", "'school'"),
    ("y ~ x + (wrong | g)", "wrong", "no column 'wrong'", "columns are y, x"),
    ("y ~ Q('sex') + (1|g)", "Q('sex')", "no column 'sex'", "columns are y, x"),
    ("y ~ x z + (1|g)", "x z", "neither a column nor", "x + z"),
    ("y ~ x(z) + (1|g)", "x", "'x' is a column, not a function", "operator"),
    ("y ~ ns(x, 3) + (1|g)", "ns", "no function ns()", "cr(x, df=3)"),
    ("y ~ mine(x) + (1|g)", "mine", "no function mine()", "define it"),
    ("y ~ as.factor(k) + (1|g)", "as.factor(k)", "R, not Python", "factor(x)"),
    ("y ~ I(3) + (1|g)", "I(3)", "a single value (3)", "with a column"),
    ("y ~ np.mean(x) + (1|g)", "np.mean(x)", "a single value (", "with a column"),
    (
        "y ~ np.arange(3) + (1|g)",
        "np.arange(3)",
        "of shape (3,), but there are 60 rows",
        "",
    ),
    (
        "y ~ np.log(h) + (1|g)",
        "np.log(h)",
        "cannot be computed: TypeError",
        "'h' holds text",
    ),
    ("y ~ poly(k, 5) + (1|g)", "poly(k, 5)", "there are 3", ""),
    ("y ~ poly(f, 2) + (1|g)", "poly(f, 2)", "cannot be computed", ""),
    ("y ~ I([v for v in x]) + (1|g)", "I([v for v in x])", "loop", "compute"),
    ("y ~ map(lambda v: v, x) + (1|g)", "map(lambda v: v, x)", "lambda", "compute"),
    ("y ~ C(f, Treatment('s')) + (1|g)", "C(f, Treatment('s'))", "'s' not", "'p'"),
    ("y ~ C(f, np.eye(5)) + (1|g)", "C(f, np.eye(5))", "5 rows", "'p', 'q', 'r'"),
    ("y ~ I(x || z) + (1|g)", "I(x || z)", "neither a column nor", "Q('"),
    ("y ~ Q(x) + (1|g)", "Q(x)", "in quotes", "Q('"),
]


@pytest.mark.parametrize(("formula", "marked", "message", "hint"), NAMES)
def test_names_and_expressions(formula, marked, message, hint):
    with pytest.raises(FormulaError) as caught:
        design_of(formula, frame().assign(school=1))
    error = caught.value
    assert message in error.message
    assert error.text[error.start : error.end] == marked
    assert hint in (error.hint or "")


def _frame_with(**columns):
    return frame().assign(**columns)


TWICE = pd.concat([frame(), frame()[["x"]]], axis=1)
NUMBERED = pd.DataFrame(frame()[["y", "x", "g"]].to_numpy())
DAY = pd.Timestamp("2020-01-01")
BAD = [
    (_frame_with(g="a"), "y ~ x + (1|g)", r"'g' has only one level, 'a', in all 60"),
    (_frame_with(g=range(60)), "y ~ x + (1|g)", r"60 levels in 60 rows.*\(1 \| g\)"),
    (_frame_with(g=np.arange(60) // 2), "y ~ (x|g)", "60 random effects for 60 rows"),
    (_frame_with(f="a"), "y ~ f + (1|g)", "'f' has only one level, 'a'"),
    (_frame_with(b=True), "y ~ b + (1|g)", "'b' has only one level, True"),
    (_frame_with(f="a"), "y ~ (f|g)", "'f' has only one level"),
    (_frame_with(x=np.inf), "y ~ x + (1|g)", "'x' is infinite in 60 of 60 rows"),
    (frame(), "y ~ log(k) + (1|g)", r"'log\(k\)' is infinite in 15 of 60 rows"),
    (frame(), "y ~ (log(k) | g)", r"'log\(k\)' is infinite in 15 of 60 rows"),
    (_frame_with(x=1j), "y ~ x + (1|g)", "'x' holds complex numbers"),
    (_frame_with(x=DAY), "y ~ x + (1|g)", r"'x' holds dates.*C\(x\)"),
    (_frame_with(x=DAY - DAY), "y ~ x + (1|g)", "'x' holds durations"),
    (frame()[:0], "y ~ x + (1|g)", "no rows"),
    (TWICE, "y ~ x + (1|g)", "2 columns of the data are named 'x'"),
    (None, "y ~ x + (1|g)", r"nothing \(None\)"),
    ([1, 2], "y ~ x + (1|g)", "a list"),
    ("data.csv", "y ~ x + (1|g)", "a text, 'data.csv'"),
    (object(), "y ~ x + (1|g)", "a object"),
    ({"y": [1, 2], "x": [1], "g": [1, 1]}, "y ~ x + (1|g)", "'y' 2, 'x' 1, 'g' 2"),
    ({"y": 1, "x": [1], "g": [1]}, "y ~ x + (1|g)", "'y' is 1, not one value per row"),
    ({"y": np.ones((2, 2)), "x": [1], "g": [1]}, "y ~ x + (1|g)", "2 dimensions"),
]


@pytest.mark.parametrize(("data", "formula", "message"), BAD)
def test_data_that_no_model_can_be_fitted_to(data, formula, message):
    with pytest.raises(DataError, match=message):
        build_design(parse_formula(formula), data)


def test_duplicated_columns_that_are_not_used_do_not_matter():
    assert design_of("y ~ z + (1 | g)", TWICE).nobs == 60


def test_names_that_are_not_text():
    with pytest.raises(FormulaError, match=r"Q\(0\)"):
        design_of("y ~ x + (1 | g)", NUMBERED)
    design = design_of("Q(0) ~ Q(1) + (1 | Q(2))", NUMBERED)
    assert design.exog_names == ("Intercept", "Q(1)")


def test_an_unknown_choice_about_missing_values():
    with pytest.raises(DataError, match="'drop' or 'raise'"):
        design_of("y ~ x + (1 | g)", missing="omit")


def test_as_many_effects_as_rows_are_fine_without_a_residual():
    data = _frame_with(g=range(60))
    assert design_of("y ~ x + (1|g)", data, residual_estimated=False).nobs == 60


def test_a_frame_without_columns():
    with pytest.raises(FormulaError, match="no column 'y'"):
        design_of("y ~ x + (1 | g)", pd.DataFrame())


def test_series_of_different_indexes_in_a_dict():
    data = {"y": pd.Series([1.0, 2]), "x": pd.Series([1.0, 2], index=[5, 6])}
    with pytest.raises(DataError, match="another index"):
        design_of("y ~ x + (1 | x)", data)
