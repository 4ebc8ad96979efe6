"""Errors are values of one family, and show the place."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest
from statsmodels.tools import sm_exceptions

from multilevel import errors


@pytest.mark.parametrize(
    "name", ["FormulaError", "DataError", "FitError", "ComparisonError"]
)
def test_every_error_is_a_value_error(name):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.MultilevelError)
    assert issubclass(kind, ValueError)


def test_convergence_warnings_are_those_of_statsmodels():
    assert issubclass(errors.ConvergenceWarning, sm_exceptions.ConvergenceWarning)


@pytest.mark.parametrize(
    "name", ["SingularFitWarning", "RankDeficiencyWarning", "DroppedRowsWarning"]
)
def test_other_warnings_are_user_warnings(name):
    assert issubclass(getattr(errors, name), UserWarning)


def test_a_formula_error_draws_carets():
    error = errors.FormulaError("what", text="y ~ x", start=4, end=5, hint="then")
    assert str(error) == "what\n    y ~ x\n        ^\n  Hint: then"


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "what"),
        ({"text": "y ~ x"}, "what\n    y ~ x"),
        ({"text": "y ~ x", "start": 4}, "what\n    y ~ x\n        ^"),
        ({"hint": "then"}, "what\n  Hint: then"),
    ],
)
def test_a_formula_error_shows_what_it_has(options, shown):
    assert str(errors.FormulaError("what", **options)) == shown


@pytest.mark.parametrize(
    "duplicate", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy]
)
def test_a_formula_error_survives_being_sent(duplicate):
    error = errors.FormulaError("what", text="y ~ x", start=4, end=5, hint="then")
    assert str(duplicate(error)) == str(error)


def test_warnings_point_at_the_line_outside_the_package():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        errors.warn_caller("rows", errors.DroppedRowsWarning)
    assert caught[0].filename == __file__
