"""Hypotheses about fixed effects, in every form that statsmodels' t_test takes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from multilevel.design.fixed_effects import linear_constraints
from multilevel.errors import FormulaError

NAMES = ["Intercept", "x", "x:sex[T.boy]"]


@pytest.mark.parametrize(
    ("hypotheses", "rows", "values"),
    [
        ("x = 0", [[0, 1, 0]], [0]),
        ("x", [[0, 1, 0]], [0]),
        ("x = 2, x:sex[T.boy] = x", [[0, 1, 0], [0, -1, 1]], [2, 0]),
        (["x = 1", "2 * Intercept = 3"], [[0, 1, 0], [2, 0, 0]], [1, 3]),
        (("x = 1", "Intercept = 3"), [[0, 1, 0], [1, 0, 0]], [1, 3]),
        (np.array(["x = 1"]), [[0, 1, 0]], [1]),
        ({"x": 4, "Intercept": 1}, [[0, 1, 0], [1, 0, 0]], [4, 1]),
        ([0, 1, -1], [[0, 1, -1]], [0]),
        (np.eye(3), np.eye(3), [0, 0, 0]),
        (([[0, 1, 0]], 5), [[0, 1, 0]], [5]),
        ((np.eye(3)[:2], [[5, 6]]), np.eye(3)[:2], [5, 6]),
        (pd.DataFrame([[0, 1, 0]], columns=NAMES), [[0, 1, 0]], [0]),
    ],
)
def test_every_form_of_a_hypothesis(hypotheses, rows, values):
    R, q = linear_constraints(hypotheses, NAMES)
    assert_array_equal(R, rows)
    assert_array_equal(q, values)


@pytest.mark.parametrize(
    ("hypotheses", "message"),
    [
        ("xx = 0", "no fixed effect 'xx'"),
        ("x1 = 0", "no fixed effect 'x1'"),
        ("sex = 0", "no fixed effect 'sex'"),
        ("x * x = 0", "multiply one variable by another"),
        ("x = 0 = ", "expected"),
        ("1 = 1", "no variables"),
        ("", "cannot read|expected"),
        ("x / 0 = 1", "not finite"),
        ([1, 2], "cannot read the hypothesis"),
        ({"z": 1}, "unrecognized variable"),
        ((np.eye(3), [1, 2]), "cannot read the hypothesis"),
        (([1, 0, 0], [np.nan]), "not finite"),
        (None, "cannot read the hypothesis"),
        (["x", 1], "cannot read the hypothesis"),
        ([], "cannot read the hypothesis"),
        (object(), "cannot read the hypothesis"),
    ],
)
def test_what_cannot_be_read_is_refused(hypotheses, message):
    with pytest.raises(FormulaError, match=message):
        linear_constraints(hypotheses, NAMES)


def test_a_misspelt_name_is_placed_and_the_close_one_offered():
    with pytest.raises(FormulaError) as caught:
        linear_constraints("x = 0, Intercpt = 1", NAMES)
    assert "\n           ^^^^^^^^\n  Hint: did you mean 'Intercept'?" in str(
        caught.value
    )


def test_no_fixed_effects_to_test():
    with pytest.raises(FormulaError, match="no fixed effects"):
        linear_constraints("x = 0", [])
