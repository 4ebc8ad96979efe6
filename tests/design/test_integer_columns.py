"""Whole numbers in expressions: exact, or floats, and never wrapped around."""

from __future__ import annotations

import operator

import numpy as np
import pandas as pd
import pytest
from frame_of_all_kinds import frame, quiet_design_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from multilevel.design.exact_arithmetic import OPERATORS
from multilevel.design.new_data import encode_new_data

KINDS = [
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
    *("int8[pyarrow]", "uint16[pyarrow]", "int64[pyarrow]"),
    *("float32", "Float32", "Float64", "double[pyarrow]", "object"),
]
ARITHMETIC = [
    "I(x**2)",
    "I(x * x * x)",
    "I(x - 90)",
    "I(-x * z)",
    "np.square(x)",
    "np.power(x, 3)",
    "x.pow(3)",
    "x.mul(x)",
    "I(x * x.max())",
    "I(x / x.sum())",
    "I(x * x.prod() ** (1 / 60))",
    "I(x ** -1)",
    "x.cumsum()",
    "I(1000 * x)",
    "twice(x)",
    "log(x)",
]


def twice(values):
    return values * 100


def _design(formula, data):
    return quiet_design_of(formula, data, environment={"twice": twice})


def _data(kind):
    data = frame(60).assign(x=np.resize(np.arange(1, 100, 7), 60))
    if "pyarrow" in kind:
        pytest.importorskip("pyarrow")
    return data.assign(x=data["x"].astype(kind), whole=data["x"].astype(float))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("expression", ARITHMETIC)
def test_numbers_of_every_type_give_the_same_columns(kind, expression):
    data = _data(kind)
    design = _design(f"y ~ {expression} + (1 | g)", data)
    floats = _design(f"y ~ {expression} + (1 | g)", data.assign(x=data["whole"]))
    assert_allclose(design.exog, floats.exog, rtol=1e-12)
    new = encode_new_data(design, data)
    assert_allclose(new.exog, floats.exog, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_responses_and_random_parts_do_not_wrap_around(kind):
    data = _data(kind)
    formula = "I(x * x) ~ z + offset(x * 100) + (I(x**2) | g)"
    design = _design(formula, data)
    x = data["whole"]
    assert_allclose(design.y, x**2)
    assert_allclose(design.offset, 100 * x)
    assert_allclose(design.terms[0].columns[:, 1], x**2)
    rows = encode_new_data(design, data.iloc[:5])
    assert_allclose(rows.offset, 100 * x[:5])
    assert_allclose(rows.columns[0][:, 1], x[:5] ** 2)


@pytest.mark.parametrize("kind", ["int64", "uint64", "Int64", "int64[pyarrow]"])
def test_large_numbers_become_floats_before_they_overflow(kind):
    if "pyarrow" in kind:
        pytest.importorskip("pyarrow")
    big = 5_000_000_000 + np.arange(60)
    data = frame(60).assign(x=pd.Series(big).astype(kind))
    for expression in ("I(x**2)", "I(x * x)", "np.square(x)", "x.mul(x)"):
        design = _design(f"y ~ {expression} + (1 | g)", data)
        assert_allclose(design.exog[:, 1], big.astype(float) ** 2, rtol=1e-15)
    design = _design("y ~ I(x**10 / 1e90) + I(x - 5000000000) + (1 | g)", data)
    assert_allclose(design.exog[:, 1], (big / 1e9) ** 10, rtol=1e-13)
    assert_allclose(design.exog[:, 2], np.arange(60))


@pytest.mark.parametrize(
    ("kind", "gaps"),
    [
        *[(kind, False) for kind in ("int8", "uint32", "Int8", "int8[pyarrow]")],
        *[(kind, True) for kind in ("Int8", "UInt16", "Int64", "int8[pyarrow]")],
    ],
)
def test_whole_numbers_stay_whole_where_it_matters(kind, gaps):
    if "pyarrow" in kind:
        pytest.importorskip("pyarrow")
    data = frame(60)
    data["k"] = data["k"].astype(kind)
    if gaps:
        data["k"] = data["k"].where(data.index != 7)
    kept = data["k"].notna().to_numpy()
    k = frame(60)["k"].to_numpy()[kept]
    for expression, wanted in [
        ("I(k // 2)", k // 2),
        ("I(k % 2)", k % 2),
        ("I(k & 1)", k & 1),
        ("np.left_shift(1, k)", 1 << k),
        ("np.take(np.array([5.0, 1.0, 2.0]), k)", np.array([5.0, 1.0, 2.0])[k]),
    ]:
        design = _design(f"y ~ {expression} + (1 | g)", data)
        assert_allclose(design.exog[:, 1], wanted)
    for expression in ("C(k)", "factor(k)", "C(k * 1)", "C(k**2 - k)", "k.astype(str)"):
        design = _design(f"y ~ {expression} + (1 | g)", data)
        assert not any(".0" in name for name in design.exog_names)
    design = _design("y ~ I(k == 2) + (1 | C(k))", data)
    assert list(design.factors[0].levels) == [0, 1, 2]
    assert_allclose(design.exog[:, 1], k == 2)


def test_gaps_in_whole_numbers_may_be_filled():
    data = frame(60).assign(k=lambda d: d.k.where(d.index != 7).astype("Int8"))
    design = _design("y ~ C(k.fillna(1)) + k.shift(1) + (1 | g)", data)
    assert design.exog_names[1:3] == ("C(k.fillna(1))[T.1]", "C(k.fillna(1))[T.2]")
    assert sorted(set(range(60)) - set(design.index)) == [0, 8]


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("np.exp(b)", lambda d: np.exp(1.0 * d.b)),
        ("log1p(b)", lambda d: np.log1p(1.0 * d.b)),
        ("np.sqrt(f.cat.codes)", lambda d: np.sqrt(1.0 * d.f.cat.codes)),
        ("np.exp(x > 3)", lambda d: np.exp(1.0 * (d.x > 3))),
        ("np.log1p(f.cat.codes * 100)", lambda d: np.log1p(100.0 * d.f.cat.codes)),
        ("np.logical_and(b, x > 3) * 1", lambda d: 1.0 * (d.b & (d.x > 3))),
    ],
)
def test_functions_of_booleans_and_codes_have_all_digits(expression, wanted):
    data = frame(60)
    design = _design(f"y ~ I({expression}) + (1 | g)", data)
    assert_allclose(design.exog[:, 1], wanted(data), rtol=1e-14)


WIDTHS = st.sampled_from(["int8", "int16", "int32", "int64", "uint8", "uint64"])
NUMBERS = st.lists(st.integers(0, 120), min_size=3, max_size=3)


EXACT = {"_minus": operator.sub, "_plus": operator.add, "_times": operator.mul}
EXACT |= {"_power": operator.pow}


@given(NUMBERS, NUMBERS, WIDTHS, WIDTHS, st.sampled_from(sorted(EXACT)))
def test_operators_agree_with_exact_numbers(a, b, first, second, name):
    found = OPERATORS[name](np.array(a, first), np.array(b, second))
    wanted = [float(EXACT[name](x, y)) for x, y in zip(a, b, strict=True)]
    assert_allclose(np.asarray(found, float), wanted, rtol=1e-13)
