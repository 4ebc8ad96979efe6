"""New data in another kind than the fit: what it means, or that it is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frame_of_all_kinds import frame, quiet_design_of
from numpy.testing import assert_allclose, assert_array_equal

from multilevel.design.new_data import encode_new_data
from multilevel.errors import DataError


def _design(formula, data):
    return quiet_design_of(formula, data)


def test_ordered_categories_are_compared_in_the_order_of_the_fit():
    data = frame(100)
    sizes = pd.CategoricalDtype(["small", "medium", "large"], ordered=True)
    data["size"] = pd.Categorical(
        np.resize(["large", "small", "medium"], 100), dtype=sizes
    )
    design = _design("y ~ I(size > 'small') + size.cat.codes + (1 | g)", data)
    for kind in ("object", "category", sizes):
        new = data.iloc[10:14].assign(size=data["size"][10:14].astype(kind))
        assert_allclose(encode_new_data(design, new).exog, design.exog[10:14])


def test_categories_in_new_data_mean_their_values():
    data = frame(100)
    design = _design("y ~ I(h > 'b') + (1 | g)", data)
    other = pd.CategoricalDtype(list("edcba"), ordered=True)
    new = data.iloc[:5].assign(h=data["h"][:5].astype(other))
    assert_allclose(encode_new_data(design, new).exog, design.exog[:5])


@pytest.mark.parametrize("expression", ["I(k == {})", "C(k)", "I(1 - (k == {}))"])
def test_numbers_that_have_become_text_are_refused(expression):
    numbers = frame(100)
    text = numbers.assign(k=numbers["k"].astype(str))
    formula = f"y ~ {expression} + (1 | g)"
    design = _design(formula.format(2), numbers)
    for kind in ("object", "category"):
        with pytest.raises(DataError, match="to the same type"):
            encode_new_data(design, text.assign(k=text["k"].astype(kind)))
    with pytest.raises(DataError, match="to the same type"):
        encode_new_data(_design(formula.format("'2'"), text), numbers)


@pytest.mark.parametrize(
    ("fit", "new"), [("int64", "float64"), ("Int8", "object"), ("float64", "int8")]
)
def test_numbers_are_written_as_in_the_fit(fit, new):
    data = frame(100)
    data["k"] = data["k"].astype(fit)
    design = _design("y ~ k.astype(str).str.len() * x + (1 | k.astype(str))", data)
    rows = data.iloc[:6].assign(k=data["k"][:6].astype(new))
    coded = encode_new_data(design, rows)
    assert_allclose(coded.exog, design.exog[:6])
    assert_array_equal(coded.codes[0], design.factors[0].codes[:6])
    rows["k"] = rows["k"].astype(object).where([True] * 5 + [False])
    gappy = encode_new_data(design, rows)
    assert_array_equal(gappy.codes[0], [*design.factors[0].codes[:5], -1])
