"""Whatever is given: a fit, or an error of this package that says why not."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

import multilevel as ml
from multilevel import errors
from strategies import formula_texts, formulas, odd_columns, odd_frames

OUR_WARNINGS = [
    errors.ConvergenceWarning,
    errors.DroppedRowsWarning,
    errors.RankDeficiencyWarning,
    errors.SingularFitWarning,
]
SLOW_TO_DRAW = settings(suppress_health_check=[HealthCheck.too_slow])


def fit_or_refuse(formula, frame, **options):
    """The fit after reading what users read of it, or the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for category in OUR_WARNINGS:
            warnings.simplefilter("ignore", category)
        try:
            result = ml.mixedlm(formula, frame, **options).fit()
            read_everything(result)
        except errors.MultilevelError as error:
            return error
    return result


def note_outcome(outcome):
    """For --hypothesis-show-statistics: enough of both must come up."""
    refused = isinstance(outcome, errors.MultilevelError)
    event(f"refused: {type(outcome).__name__}" if refused else "fitted")


def read_everything(result):
    """Ask for what a summary, a table or a plot would ask for."""
    assert str(result) == result.summary().as_text()
    assert result.summary().as_html()
    result.conf_int()
    result.variance_components.to_frame(se=True)
    assert len(result.predict()) == result.nobs
    for table in (*result.random_effects.values(), *result.coefficients.values()):
        assert isinstance(table, pd.DataFrame)


def ordinary_frame():
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(8), 5)
    x = rng.normal(size=40)
    return pd.DataFrame(
        {
            "y": x + rng.normal(size=8)[g] + rng.normal(size=40),
            "x": x,
            "f": rng.choice(list("ab"), 40),
            "g": g,
            "h": rng.integers(0, 3, 40),
        }
    )


FRAME = ordinary_frame()


@SLOW_TO_DRAW
@given(formula=formulas())
def test_formulas_from_the_grammar(formula):
    note_outcome(fit_or_refuse(formula, FRAME))


@SLOW_TO_DRAW
@given(text=formula_texts())
@example(text="")
@example(text="y ~ x + (1 | g")
@example(text="y ~ x + (1 | g)\x00")
@example(text="y ~ 1 + (1 | g) + us((x ~ x) | g)")
@example(text="y ~ 1 , x + (1 | g)")
@example(text="\n\n'''\n'")
def test_text_that_may_be_a_formula(text):
    note_outcome(fit_or_refuse(text, FRAME))


@SLOW_TO_DRAW
@given(
    frame=odd_frames(),
    formula=st.sampled_from(
        [
            "y ~ x + (1 | g)",
            "y ~ x * f + (x | g)",
            "y ~ f + (1 | g) + (1 | h)",
            "y ~ 1 + (0 + f || g/h)",
            "y ~ 0 + (1 | g:h)",
        ]
    ),
    missing=st.sampled_from(["drop", "drop", "raise"]),
)
def test_frames_of_any_kind(frame, formula, missing):
    note_outcome(fit_or_refuse(formula, frame, missing=missing))


@SLOW_TO_DRAW
@given(weights=odd_columns(40), offset=st.none() | odd_columns(40))
def test_weights_and_offsets_of_any_kind(weights, offset):
    formula = "y ~ x + (1 | g)"
    note_outcome(fit_or_refuse(formula, FRAME, weights=weights, offset=offset))


@SLOW_TO_DRAW
@given(column=odd_columns(10), name=st.sampled_from("xfg"))
def test_new_rows_of_any_kind(column, name):
    result = FITTED
    new = FRAME.head(10).assign(**{name: column})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for category in OUR_WARNINGS:
            warnings.simplefilter("ignore", category)
        try:
            found = result.predict(new, new_levels="population")
        except errors.MultilevelError:
            event("refused")
        else:
            event("predicted")
            assert len(found) == len(new)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    FITTED = ml.mixedlm("y ~ x + f + (x | g)", FRAME).fit()


@pytest.mark.parametrize("data", [None, 3, "y", [], {}, [[1, 2]], pd.Series([1.0])])
def test_data_that_are_no_data(data):
    assert isinstance(fit_or_refuse("y ~ x + (1 | g)", data), errors.MultilevelError)


@pytest.mark.parametrize("formula", [None, 3, b"y ~ 1", ["y"], ("y", "x")])
def test_formulas_that_are_no_text(formula):
    assert isinstance(fit_or_refuse(formula, FRAME), errors.MultilevelError)
