"""Columns of fixed and random effects are those of patsy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import patsy
import pytest
from frame_of_all_kinds import design_of, frame, quiet_design_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from multilevel.design.new_data import encode_new_data
from multilevel.design.transforms import Poly
from multilevel.errors import DataError, FormulaError

RIGHT_SIDES = [
    "1",
    "x",
    "x + z",
    "x:z + z",
    "f",
    "0 + f",
    "f + b",
    "x*f",
    "f*b",
    "f:b",
    "f:x + h",
    "0 + f:x",
    "C(k) + x:f",
    "C(k, Sum)*h",
    "C(f, Poly)",
    "C(f, Helmert)",
    "C(f, Treatment('q'))",
    "C(f, levels=['r', 'q', 'p'])",
    "z/f",
    "(x + f + h)**2",
    "x:z + z + f:h:x",
    "bs(x, 4)",
    "te(cr(x, 3), cr(z, 3))",
    "center(x)*f",
    "standardize(x, ddof=1) + scale(z)",
    "np.log(z) + I(x**2)",
    "Q('x') + h.str.upper()",
    "pd.cut(x, 3)",
    "x > 3",
    "np.column_stack([x, z])",
]


@pytest.mark.parametrize("right", RIGHT_SIDES)
def test_fixed_columns_are_those_of_patsy(right):
    data = frame()
    expected = patsy.dmatrix(right, data, patsy.EvalEnvironment([{"np": np, "pd": pd}]))
    design = quiet_design_of(f"y ~ {right} + (1 | g)", data)
    assert list(design.exog_names) == expected.design_info.column_names
    assert_allclose(design.exog, expected, atol=1e-12)
    assert design.exog.flags.f_contiguous


@pytest.mark.parametrize(
    "right", ["x", "f", "0 + f", "x*f", "C(k, Sum)", "center(x)", "x + z", "0 + x:f"]
)
def test_columns_of_a_random_term_are_those_of_patsy(right):
    data = frame(400)
    expected = patsy.dmatrix(right, data)
    design = design_of(f"y ~ z + x + f + ({right} | g)", data)
    (term,) = design.terms
    assert list(term.effects) == expected.design_info.column_names
    assert_allclose(term.columns, expected, atol=1e-12)
    for number, source in enumerate(term.shared):
        if source >= 0:
            assert_array_equal(design.exog[:, source], term.columns[:, number])
            assert_array_equal(design.exog[:, source], term.columns[:, number])
        else:
            assert term.effects[number] not in design.exog_names


VARIABLES = st.sampled_from(["x", "z", "f", "b", "h", "C(k)"])
TERMS = st.lists(VARIABLES, min_size=1, max_size=3, unique=True).map(":".join)


@given(st.lists(TERMS, min_size=1, max_size=4, unique=True), st.sampled_from("01"))
def test_any_sum_of_interactions_is_coded_as_patsy_does(terms, intercept):
    right = " + ".join([intercept, *terms])
    data = frame(200)
    expected = patsy.dmatrix(right, data)
    design = quiet_design_of(f"y ~ {right} + (1 | g)", data, residual_estimated=False)
    assert list(design.exog_names) == expected.design_info.column_names
    assert_array_equal(design.exog, expected)


def test_which_columns_belong_to_which_term():
    design = design_of("y ~ x*f + h + (1 | g)")
    assert [term for term, _, _ in design.encoding.fixed.terms] == [
        (),
        ("f",),
        ("h",),
        ("x",),
        ("x", "f"),
    ]
    for term, start, stop in design.encoding.fixed.terms:
        for name in design.exog_names[start:stop]:
            assert all(piece in name for piece in term)


def test_columns_side_by_side_are_not_copied():
    design = design_of("y ~ x + (x | g)")
    assert np.shares_memory(design.terms[0].columns, design.exog)


def test_no_fixed_effects_at_all():
    design = design_of("y ~ 0 + (1 | g)")
    assert design.exog.shape == (60, 0)
    assert design.kept.shape == (0,)
    assert design.X.shape == (60, 0)


@pytest.mark.parametrize(
    ("in_r", "in_numpy"),
    [
        ("log(z)", np.log),
        ("log2(z)", np.log2),
        ("log10(z)", np.log10),
        ("log1p(z)", np.log1p),
        ("exp(z)", np.exp),
        ("sqrt(z)", np.sqrt),
    ],
)
def test_functions_of_r(in_r, in_numpy):
    data = frame()
    design = design_of(f"y ~ {in_r} + (1 | g)", data)
    assert design.exog_names[1] == in_r
    assert_allclose(design.exog[:, 1], in_numpy(data["z"]))


def test_factor_is_the_c_of_patsy():
    design = design_of("y ~ factor(k) + (0 + factor(k) | g)", frame(200))
    assert design.exog_names[1:] == ("factor(k)[T.1]", "factor(k)[T.2]")
    assert design.terms[0].effects == ("factor(k)[0]", "factor(k)[1]", "factor(k)[2]")


# R 4.2.2: p <- poly(c(1, 2, 4, 7, 11, 3), 2); p; predict(p, c(0, 5))
POLY_OF_R = [
    [-0.44035242296398963, 0.5235981394686309],
    [-0.32025630761017421, 0.1295500551262591],
    [-0.08006407690254359, -0.3994460033059656],
    [0.28022426915890242, -0.5451898153230073],
    [0.76060873057416378, 0.4696189498326895],
    [-0.20016019225635892, -0.1781313257986064],
]
POLY_OF_R_AT_0_AND_5 = [
    [-0.56044853831780495, 1.0040129272285085],
    [0.04003203845127174, -0.5343939773958191],
]


@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (1e6, 1), (0, 1e-8), (-5, 1e8)])
def test_polynomials_are_those_of_r(shift, scale):
    x = np.array([1.0, 2, 4, 7, 11, 3]) * scale + shift
    data = {"x": x, "g": list("aabbab"), "y": np.arange(6.0) ** 2}
    design = design_of("y ~ poly(x, 2) + (1 | g)", data)
    assert design.exog_names[1:] == ("poly(x, 2)[0]", "poly(x, 2)[1]")
    assert_allclose(design.exog[:, 1:], POLY_OF_R, atol=1e-9)
    new = {"x": np.array([0.0, 5.0]) * scale + shift, "g": ["a", "b"]}
    rows = encode_new_data(design, new)
    assert_allclose(rows.exog[:, 1:], POLY_OF_R_AT_0_AND_5, atol=1e-9)


def test_raw_polynomials_are_powers():
    design = design_of("y ~ poly(x, 3, raw=True) + (1 | g)")
    x = frame()["x"]
    assert_allclose(design.exog[:, 1:], np.column_stack([x, x**2, x**3]))


@given(st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_polynomials_are_orthonormal(degree, seed):
    x = np.random.default_rng(seed).normal(size=40)
    basis = Poly()
    basis.memorize_chunk(x, degree)
    columns = np.column_stack([np.full(40, 40**-0.5), basis.transform(x, degree)])
    assert_allclose(columns.T @ columns, np.eye(degree + 1), atol=1e-9)


def test_ordered_categories_are_treatment_coded():
    data = frame()
    order = pd.CategoricalDtype(["q", "r", "p"], ordered=True)
    data["f"] = data["f"].astype(str).astype(order)
    design = design_of("y ~ f + (1 | g)", data)
    assert design.exog_names == ("Intercept", "f[T.r]", "f[T.p]")


def test_unused_categories_are_left_out():
    data = frame()
    data["f"] = data["f"].cat.add_categories(["never"])
    assert design_of("y ~ f + (1|g)", data).exog_names[1:] == ("f[T.q]", "f[T.r]")


def test_levels_of_numbers_are_printed_as_python_prints_them():
    data = frame()
    data["k"] = data["k"].astype("int32")
    assert design_of("y ~ C(k) + (1|g)", data).exog_names[1:] == (
        "C(k)[T.1]",
        "C(k)[T.2]",
    )


@pytest.mark.parametrize("word", ["class", "lambda", "yield", "in", "not"])
@pytest.mark.parametrize("written", ["{}", "np.log({})", "Q('{}')"])
def test_columns_may_be_named_like_keywords(word, written):
    data = frame().rename(columns={"z": word})
    expression = written.format(word)
    design = design_of(f"y ~ {expression} + (1 | g)", data)
    expected = np.log(data[word]) if "log" in written else data[word]
    assert_allclose(design.exog[:, 1], expected)
    assert design.exog_names[1] == expression


@pytest.mark.parametrize("name", ["school id", "Informed.liking", "ß", "x.y.z"])
def test_columns_need_not_be_identifiers(name):
    data = frame().rename(columns={"z": name, "g": "the group"})
    design = design_of(f"y ~ {name} + (1 | the group)", data)
    assert_array_equal(design.exog[:, 1], data[name])
    assert design.exog_names[1] == name
    assert design.factors[0].name == "the group"


def test_dotted_names_inside_a_call():
    data = frame().rename(columns={"z": "in.kg"})
    quoted = design_of("y ~ np.log(Q('in.kg')) + (1 | g)", data)
    assert_allclose(quoted.exog[:, 1], np.log(data["in.kg"]))
    data = frame().rename(columns={"z": "weight.kg"})
    plain = design_of("y ~ np.log(weight.kg) + (1 | g)", data)
    assert_allclose(plain.exog[:, 1], np.log(data["weight.kg"]))


def test_a_column_named_like_a_function_is_a_column_unless_called():
    data = frame().rename(columns={"z": "log", "x": "C"})
    design = design_of("y ~ log(log) + C + C(k) + (1 | g)", data)
    assert_allclose(design.exog[:, -2], np.log(data["log"]))
    assert_allclose(design.exog[:, -1], data["C"])


def test_functions_and_modules_of_the_caller_can_be_used():
    def twice(values):
        return 2 * values

    here = {"twice": twice, "math": math}
    design = design_of("y ~ twice(x) + I(z * math.pi) + (1|g)", environment=here)
    assert_allclose(design.exog[:, 1], 2 * frame()["x"])
    assert_allclose(design.exog[:, 2], math.pi * frame()["z"])


def test_a_function_defined_by_the_caller_wins_over_one_that_is_imported():
    def log(values):
        return values + 100

    def column(environment):
        return design_of("y ~ log(z) + (1|g)", environment=environment).exog[:, 1]

    z = frame()["z"]
    assert_allclose(column({"log": log, "__name__": __name__}), z + 100)
    assert_allclose(column({"log": math.log, "__name__": __name__}), np.log(z))


@pytest.mark.parametrize("value", [3.0, [1, 2], np.arange(60), "text", None])
def test_other_variables_of_the_caller_are_refused(value):
    with pytest.raises(FormulaError, match="columns only") as caught:
        design_of("y ~ I(x > cut) + (1|g)", environment={"cut": value})
    assert "data['cut'] = cut" in caught.value.hint
    assert caught.value.text[caught.value.start : caught.value.end] == "cut"


def test_transforms_learn_from_the_rows_of_the_model_only():
    data = frame()
    data.loc[:9, "y"] = np.nan
    design = quiet_design_of("y ~ center(x) + (1|g)", data)
    assert_allclose(design.exog[:, 1].mean(), 0, atol=1e-12)


@pytest.mark.parametrize("kind", ["Int64", "Float64", "object", "float32", "uint8"])
def test_numbers_of_any_type_are_numbers(kind):
    data = frame()
    plain = design_of("y ~ k + np.log(k + 1) + (1|g)", data)
    data["k"] = data["k"].astype(kind)
    design = design_of("y ~ k + np.log(k + 1) + (1|g)", data)
    assert design.exog_names == plain.exog_names
    assert_allclose(design.exog, plain.exog, rtol=1e-6)


def test_two_words_are_not_the_column_that_they_would_make():
    data = frame().rename(columns={"z": "xz"})
    with pytest.raises(FormulaError, match="neither a column nor"):
        design_of("y ~ x z + (1 | g)", data)
    data["z"] = 1.0
    with pytest.raises(FormulaError, match="neither a column nor"):
        design_of("y ~ x z + (1 | g)", data)
    data = frame().rename(columns={"z": "1st"})
    assert_array_equal(design_of("y ~ 1st + (1|g)", data).exog[:, 1], data["1st"])


def test_products_that_overflow_are_refused():
    data = frame().assign(x=1e200 * frame()["x"], z=1e200 * frame()["z"])
    with pytest.raises(DataError, match="'x:z' is infinite in 60 of 60"):
        design_of("y ~ x:z + (1 | g)", data)


@pytest.mark.parametrize(
    "right",
    [
        "(f + 0)/x", "(0 + f):x", "(f + k + 0)/x", "(f - 1):x", "(0 + f)*x",
        "x/(f + 0)",
        "f/(k + x)", "(f + k)**2", "(f + k + 0)**2", "(0 + f)**3", "((f + 0)/x):k",
        "(f + 0 + k):x", "f*(x - 1)", "(f - 1)*(k - 1)", "(0 + f)/k/x", "f + (1 - 1)",
        "f - 1 - (1 - 1)", "0 + (0 + f):x", "x + (0 + f)", "(0 + f) + x", "(f*x - f)/z",
    ],
)  # fmt: skip
def test_parts_without_an_intercept_are_combined_as_in_patsy(right):
    data = frame(400)
    expected = patsy.dmatrix(right, data)
    design = quiet_design_of(f"y ~ {right} + (1 | g)", data)
    assert list(design.exog_names) == expected.design_info.column_names
    assert_allclose(design.exog, expected, atol=1e-12)


@pytest.mark.parametrize("right", ["(1 + f):x", "(f + 1)**2", "0:x", "x*1", "1/x"])
def test_the_intercept_is_not_multiplied(right):
    with pytest.raises(FormulaError, match="cannot be combined"):
        design_of(f"y ~ {right} + (1 | g)", frame(40))


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x - typo + (1 | g)",
        "y ~ x + (1 | g) - typo",
        "y ~ x - np.log(typo) + (1 | g)",
        "y ~ (x*z - typo)*f + (1 | g)",
        "y ~ x + (x - typo | g)",
        "y ~ x + diag(x - typo | g)",
        "y ~ x + (1 | g*f - typo)",
    ],
)
def test_a_misspelt_name_after_a_minus_is_an_error(formula):
    with pytest.raises(FormulaError, match="no column 'typo'") as caught:
        design_of(formula, frame(40))
    assert formula[caught.value.start : caught.value.end] == "typo"


def test_a_term_that_is_not_there_may_be_subtracted():
    design = design_of("y ~ x - z - x:z + (1 | g)", frame(40))
    assert design.exog_names == ("Intercept", "x")


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("np.log(z)", lambda d: np.log(d["z"])),
        ("np", lambda d: d["np"]),
        ("np.sqrt(np)", lambda d: np.sqrt(d["np"])),
        ("np.abs(x)", lambda d: np.abs(d["x"])),
        ("np.abs()", lambda d: d["np"]),
        ("np.clip(z, 1.2, 1.7)", lambda d: d["z"].clip(1.2, 1.7)),
        ("I(np.pi * np)", lambda d: np.pi * d["np"]),
        ("np.fillna(0)", lambda d: d["np"]),
        ("pd.Series(pd)", lambda d: d["pd"]),
    ],
)
def test_a_column_may_be_called_as_a_module(written, values):
    data = frame(40)
    for name in ("np", "pd", "z"):
        data[name] = np.random.default_rng(len(name)).uniform(1, 2, len(data))
    design = design_of(f"y ~ {written} + (1 | g)", data)
    assert_allclose(design.exog[:, 1], values(data))
