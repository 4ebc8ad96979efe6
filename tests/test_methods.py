"""Registries of methods: what may be chosen, and how the rest is refused."""

from __future__ import annotations

import pytest

from multilevel.diagnostics.residuals import RESIDUALS
from multilevel.errors import DataError
from multilevel.inference.denominator_df import DDF_METHODS
from multilevel.inference.intervals import INTERVALS
from multilevel.inference.null_distribution import NULLS
from multilevel.methods import Method, chosen, methods, names_for
from multilevel.option_values import as_word
from multilevel.prediction.predict import PREDICTIONS

MEANS = methods(
    Method(name="mean", text="the mean", function=sum),
    Method(name="mode", text="the mode", function=max, kinds=("linear",)),
    Method(name="median", text="the median", function=min),
)


def test_a_method_is_found_by_its_name():
    assert chosen(MEANS, "mode", option="by", kind="linear").function is max


def test_a_method_of_another_kind_of_model_is_refused_as_such():
    assert names_for(MEANS, "generalized") == ("mean", "median")
    told = r"by='mode' is not known for a generalized model; use 'mean' or 'median'"
    with pytest.raises(DataError, match=told):
        chosen(MEANS, "mode", option="by", kind="generalized")


def test_what_holds_for_all_kinds_is_refused_without_naming_one():
    told = r"by='x' is not known; use one of 'mean', 'mode', 'median'$"
    with pytest.raises(DataError, match=told):
        chosen(MEANS, "x", option="by", kind="linear")


@pytest.mark.parametrize("value", [None, 1, ["mean"], {"mean"}])
def test_what_is_no_text_is_no_name(value):
    with pytest.raises(DataError, match="by="):
        chosen(MEANS, value, option="by", kind="linear")


def test_the_closest_word_is_offered():
    told = r"missing='Drop' is not known; use 'drop' or 'raise'; did you mean 'drop'\?"
    with pytest.raises(DataError, match=told):
        as_word("Drop", ("drop", "raise"), "missing")


@pytest.mark.parametrize(
    "registry", [DDF_METHODS, INTERVALS, NULLS, PREDICTIONS, RESIDUALS]
)
def test_every_method_is_registered_under_its_own_name(registry):
    for name, method in registry.items():
        assert method.name == name
        assert method.text
        assert method.kinds
