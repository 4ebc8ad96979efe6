"""Expressions that look at the whole column: what the fit sees, what new rows get."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from frame_of_all_kinds import design_of, frame, quiet_design_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from multilevel.design.expressions import Scope
from multilevel.design.fixed_effects import formula_functions
from multilevel.design.name_resolution import resolve
from multilevel.design.new_data import encode_new_data
from multilevel.errors import DataError, FormulaError

LEARNED = [
    "I(x - np.mean(x))",
    "I(x / x.max())",
    "I((x - x.mean()) / x.std())",
    "I(x - x[g == 0].mean())",
    "I(x / np.std(x[f == 'p']))",
    "I(x - np.log(z[(k > 0) & b] + 1).mean())",
    "I(x - np.median(x))",
    "I(x / np.sum(x.values))",
    "I(x / len(x))",
    "I(x > x.quantile(0.3))",
    "I(z * np.std(np.log(x + 9)))",
    "x.clip(x.quantile(0.05), np.quantile(x, 0.95))",
    "np.where(x > x.median(), 1, 0)",
    "I(np.average(x, weights=z) * x)",
    "I(x - x.quantile([0.2, 0.8]).iloc[0])",
    "I(scale(x) / np.max(scale(x)))",
    "pd.cut(x, 4)",
    "pd.cut(x, 4, labels=False)",
    "pd.cut(x, np.quantile(x, [0, 0.5, 1]), include_lowest=True)",
    "C(pd.cut(x, 3), Sum)",
    "pd.qcut(x, 4)",
    "pd.qcut(x, 3, labels=['low', 'mid', 'high'])",
    "pd.cut(x, 4).cat.codes",
]
OF_ROWS = [
    "np.log(x + 9)",
    "twice(x)",
    "C(k)",
    "I(k // 2)",
    "I(k & 1)",
    "k.astype(str)",
    "h.str.upper()",
    "f.cat.codes",
    "h.map({'a': 1, 'b': 3, 'c': 2, 'd': 9, 'e': 4})",
    "np.take(np.array([1.0, 2.0, 5.0]), k)",
    "pd.cut(x, [-9, 2, 4, 99])",
    "center(x) * f",
    "bs(x, 4)",
]
OF_OTHER_ROWS = [
    "x.rank()",
    "x.cumsum()",
    "z_score(x)",
    "x.shift(1)",
    "x.shift(-1)",
    "x.shift(1).fillna(0)",
    "x.diff()",
    "x.rolling(3).mean()",
    "x.pct_change()",
    "x.groupby(g).shift(1)",
    "x.groupby(g).transform('mean')",
    "center(x.shift(1))",
    "pd.factorize(x)[0]",
    "I(x - x.iloc[-1])",
    "I(x - x.iloc[0])",
    "np.sort(x)",
    "np.arange(len(x))",
    "np.gradient(x)",
    "pd.get_dummies(h)['b']",
]


def z_score(values):
    return (values - np.mean(values)) / np.std(values)


def twice(values):
    return 2 * values


FUNCTIONS = {"z_score": z_score, "twice": twice}


def _design(formula, data):
    return quiet_design_of(formula, data, environment=FUNCTIONS)


def _coded(design, data):
    """Columns, codes and offset of new rows, one under the other."""
    rows = encode_new_data(design, data)
    offset = [] if rows.offset is None else [rows.offset]
    return np.column_stack([rows.exog, *rows.columns, *rows.codes, *offset])


def _fitted(design):
    offset = [] if design.offset is None else [design.offset]
    columns = [term.columns for term in design.terms]
    codes = [factor.codes for factor in design.factors]
    return np.column_stack([design.exog, *columns, *codes, *offset])


@pytest.mark.parametrize("expression", [*LEARNED, *OF_ROWS])
@given(rows=st.lists(st.integers(0, 99), max_size=12))
def test_any_rows_of_the_fit_are_coded_as_in_the_fit(expression, rows):
    data = frame(100)
    design = pickle.loads(pickle.dumps(_design(f"y ~ {expression} + (1 | g)", data)))
    assert_allclose(_coded(design, data.iloc[rows]), _fitted(design)[rows], atol=1e-12)


@pytest.mark.parametrize("expression", OF_OTHER_ROWS)
@given(rows=st.lists(st.integers(0, 99), max_size=12))
def test_rows_are_coded_as_in_the_fit_or_refused(expression, rows):
    data = frame(100)
    design = _design(f"y ~ {expression} + (1 | g)", data)
    fitted = np.full((100, design.exog.shape[1] + 2), np.nan)
    kept = np.arange(100) if design.rows is None else design.rows
    fitted[kept] = _fitted(design)
    assert_allclose(_coded(design, data)[kept], fitted[kept])
    try:
        coded = _coded(design, data.iloc[rows])
    except DataError as error:
        refusal = str(error)
    else:
        known = ~np.isnan(coded).any(axis=1)
        assert_allclose(coded[known], fitted[rows][known])
        assert np.isnan(fitted[rows][~known]).any(axis=1).all()
        return
    assert "looks at other rows" in refusal
    assert expression.split("(")[0] in refusal


@pytest.mark.parametrize("expression", ["x.rank()", "z_score(x)", "x.cumsum()"])
@pytest.mark.parametrize(
    "formula",
    [
        "y ~ {} + (1 | g)",
        "y ~ z + ({} | g)",
        "y ~ z + offset({}) + (1 | g)",
        "y ~ z + (1 | I({} // 40))",
    ],
)
def test_one_row_is_refused_wherever_the_expression_stands(formula, expression):
    data = frame(100)
    design = _design(formula.format(expression), data)
    with pytest.raises(DataError, match=r"looks at other rows.*before the fit"):
        encode_new_data(design, data.iloc[[7]])
    assert encode_new_data(design, data.iloc[:0]).exog.shape == (0, len(design.exog.T))
    assert_allclose(_coded(design, data), _fitted(design))


def test_the_refusal_shows_both_values():
    data = frame(100).sort_values("x", ignore_index=True)
    design = _design("y ~ x.rank() + (1 | g)", data)
    with pytest.raises(DataError) as caught:
        encode_new_data(design, data.iloc[[40]])
    assert "in row 40 it is 1 among the new rows alone and 41.5 after" in str(
        caught.value
    )


@pytest.mark.parametrize("expression", ["x.rank()", "I(x - x.iloc[-1])"])
def test_new_rows_that_change_those_of_the_fit_are_refused(expression):
    # Alone and after the fit's rows they are the same: first in rank, last in order.
    data = frame(100)
    design = _design(f"y ~ {expression} + (1 | g)", data)
    new = data.iloc[[0]].assign(x=data["x"].min() - 1)
    with pytest.raises(DataError, match=r"changes in row \d+ of the fit"):
        encode_new_data(design, new)


@pytest.mark.parametrize("last", [0, 1, None])
@pytest.mark.parametrize("step", [1, -1])
def test_a_lag_is_refused_whatever_stands_at_the_ends(last, step):
    # Before the first new row nothing is known, and that may be what stands there.
    data = frame(100).assign(k=lambda d: d.k.astype(float) % 2)
    data.loc[[0, 1, 98, 99], "k"] = last
    for expression in (f"k.shift({step}).fillna(0)", f"k.shift({step})"):
        design = _design(f"y ~ {expression} + (1 | g)", data)
        with pytest.raises(DataError, match="looks at other rows"):
            encode_new_data(design, data.iloc[::-1])
        with pytest.raises(DataError, match="looks at other rows"):
            encode_new_data(design, data.iloc[[98]])


@pytest.mark.parametrize(
    "expression",
    ["np.where(z > 4.9, x.shift(1), z)", "pd.Series(x).interpolate()", "x.ffill()"],
)
def test_neighbours_among_the_new_rows_are_other_rows_too(expression):
    data = frame(100)
    design = _design(f"y ~ {expression} + (1 | g)", data)
    new = data.iloc[40:60].assign(z=np.resize([1.0, 2.0, 5.0, 3.0], 20))
    new.loc[[44, 50], "x"] = np.nan
    with pytest.raises(DataError, match="looks at other rows"):
        encode_new_data(design, new)


def test_a_lag_within_new_groups_is_settled():
    data = frame(100)
    design = _design("y ~ x.groupby(g).shift(1) + (1 | k)", data)
    new = data.iloc[:6].assign(g=[91, 92, 91, 92, 91, 92])
    coded = encode_new_data(design, new)
    assert_allclose(coded.exog[2:, 1], new["x"].iloc[:4])
    assert coded.missing.tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize("cut", ["pd.cut(x, 4)", "pd.qcut(x, 4)"])
def test_a_value_outside_the_learned_intervals_is_a_level_that_was_not_seen(cut):
    data = frame(100)
    new = data.iloc[[0, 1]].assign(x=[99.0, data["x"].iloc[1]])
    as_group = _design(f"y ~ z + (1 | {cut})", data)
    rows = encode_new_data(as_group, new)
    assert rows.codes[0].tolist() == [-1, as_group.factors[0].codes[1]]
    assert rows.labels[0][0].startswith("outside ")
    as_fixed = _design(f"y ~ {cut} + (1 | g)", data)
    with pytest.raises(DataError, match="has 'outside .*which the fit has not seen"):
        encode_new_data(as_fixed, new)
    inside = _design(f"y ~ {cut}.cat.codes + (1 | g)", data)
    with pytest.raises(DataError, match="99 is outside the intervals of the fit"):
        encode_new_data(inside, new)
    new.loc[0, "x"] = np.nan
    assert encode_new_data(as_fixed, new).missing.tolist() == [True, False]


def test_what_was_learned_counts_for_rows_with_gaps():
    data = frame(100)
    design = _design("y ~ I(x - x.mean()) + pd.cut(z, 3) + (1 | g)", data)
    new = data.iloc[:4].copy()
    new.loc[1, "x"] = np.nan
    rows = encode_new_data(design, new)
    assert rows.missing.tolist() == [False, True, False, False]
    assert_allclose(rows.exog[[0, 2, 3]], design.exog[[0, 2, 3]])


def test_a_function_of_rows_is_accepted_with_any_index():
    data = frame(100)
    data.index = pd.MultiIndex.from_product([list("ab"), range(50)])
    design = _design("y ~ twice(x) + f.cat.codes + I(x / x.max()) + (1 | g)", data)
    new = data.iloc[[3, 3, 60]]
    assert_allclose(encode_new_data(design, new).exog, design.exog[[3, 3, 60]])
    columns = {name: new[name].to_numpy() for name in ["x", "g", "f"]}
    assert_allclose(encode_new_data(design, columns).exog, design.exog[[3, 3, 60]])


def test_only_columns_that_may_matter_are_kept():
    data = frame(100)
    design = _design("y ~ I(x - x.mean()) + center(z) + log(z) + (1 | g)", data)
    assert design.encoding.whole is None
    design = _design("y ~ twice(x) + center(z) + (1 | g)", data)
    assert list(design.encoding.whole.columns) == ["x"]
    data.loc[0, "x"] = 1e9
    assert design.encoding.whole.columns["x"][0] < 1e9


# ---- Rows that are dropped do not change what the others see.

SHIFTED = {
    "x.shift(1)": lambda d: d.x.shift(1),
    "x.diff()": lambda d: d.x.diff(),
    "x.rolling(3).mean()": lambda d: d.x.rolling(3).mean(),
    "x.pct_change()": lambda d: d.x.pct_change(),
    "x.groupby(g).shift(1)": lambda d: d.x.groupby(d.g).shift(1),
    "x.shift(1).fillna(0)": lambda d: d.x.shift(1).fillna(0),
    "x.where(abs(x - x.mean()) < 2 * x.std())": lambda d: d.x.where(
        abs(d.x - d.x.mean()) < 2 * d.x.std()
    ),
    "I(x - x.mean())": lambda d: d.x - d.x.mean(),
    "z_score(x)": lambda d: z_score(d.x),
}


@pytest.mark.parametrize("expression", SHIFTED)
@pytest.mark.parametrize("without", [[], [3, 4, 40]])
def test_the_column_is_the_one_computed_before(expression, without):
    data = frame(300)
    data["before"] = SHIFTED[expression](data)
    data.loc[without, "y"] = np.nan
    design = _design(f"y ~ {expression} + (1 | g)", data)
    same = _design("y ~ before + (1 | g)", data)
    assert design.nobs == same.nobs
    assert_array_equal(design.index, same.index)
    assert_allclose(design.exog, same.exog)


def test_a_lag_needs_the_row_before_and_not_the_row_itself():
    data = frame(100)
    data.loc[10, "x"] = np.nan
    design = _design("y ~ x.shift(1) + (1 | g)", data)
    assert sorted(set(range(100)) - set(design.index)) == [0, 11]
    design = _design("y ~ x + x.shift(1) + (1 | g)", data)
    assert sorted(set(range(100)) - set(design.index)) == [0, 10, 11]


def test_a_comparison_with_a_lag_that_is_not_there_is_missing():
    design = _design("y ~ I(x.shift(1) > 3) + (1 | g)", frame(100))
    assert design.index[0] == 1
    gappy = frame(100).assign(x=lambda d: d.x.where(d.x > 2))
    design = _design("y ~ np.where(x > 3, 1, 0) + (1 | g)", gappy)
    assert_array_equal(design.index, np.flatnonzero(gappy["x"] > 2))
    design = _design("y ~ np.where(log(z - 2) > 0, 1, 0) + (1 | g)", frame(100))
    assert_array_equal(design.index, np.flatnonzero(frame(100)["z"] > 2))


def test_transforms_learn_from_the_rows_of_the_model():
    data = frame(100)
    data.loc[:9, "y"] = np.nan
    design = _design("y ~ center(x) + center(z.shift(1)) + (1 | g)", data)
    assert_allclose(design.exog[:, 1:].mean(axis=0), 0, atol=1e-12)
    design = _design("y ~ center(log(x - 2)) + center(z) + (1 | g)", data)
    assert_allclose(design.exog[:, 1:].mean(axis=0), 0, atol=1e-12)
    assert_array_equal(design.index, np.flatnonzero((data.x > 2) & data.y.notna()))


def test_a_transform_that_drops_rows_does_not_learn_from_what_it_left():
    data = frame(100)
    design = _design("y ~ log(center(x)) + center(z) + (1 | g)", data)
    assert_array_equal(design.index, np.flatnonzero(data.x > data.x.mean()))
    assert_allclose(design.exog[:, 2].mean(), 0, atol=1e-12)
    assert_allclose(encode_new_data(design, data.iloc[design.index]).exog, design.exog)


def _upper_half(values):
    return np.where(values.values > np.median(values.values), 1, 0)


@pytest.mark.parametrize(
    "expression",
    [
        "np.sqrt(x.astype(int))",
        "I(x - np.median(x))",
        "I(x - x.values.mean())",
        "upper_half(x)",
        "I(np.linalg.norm(x) + x)",
        "x.rank()",
    ],
)
def test_gaps_do_not_disturb_what_others_get(expression):
    data = frame(100)
    data.loc[[5, 7], "x"] = np.nan
    formula = f"y ~ {expression} + (1 | g)"
    options = {"environment": {"upper_half": _upper_half}}
    design = quiet_design_of(formula, data, **options)
    complete = quiet_design_of(formula, data.dropna(), **options)
    assert design.nobs == 98
    assert_allclose(design.exog, complete.exog)
    assert_allclose(encode_new_data(design, data).exog[design.rows], design.exog)


@pytest.mark.parametrize(
    "expression",
    [
        "x.rolling(3, center=True).mean()",
        "np.cumsum(x.values)",
    ],
)
def test_the_order_of_rows_is_never_closed_over_gaps(expression):
    data = frame(100)
    data.loc[[50, 70], "x"] = np.nan
    design = _design(f"y ~ {expression} + (1 | g)", data)
    assert not set(design.index) & {50, 51, 70, 71}


def test_a_lag_of_what_cannot_be_computed_with_gaps_is_an_error():
    data = frame(100)
    data.loc[[50, 70], "x"] = np.nan
    with pytest.raises(FormulaError, match="astype.*cannot be computed"):
        _design("y ~ x.astype(int).shift(1) + (1 | g)", data)


def test_a_mean_is_that_of_all_rows_that_have_the_number():
    data = frame(100)
    data.loc[:9, "z"] = np.nan
    data.loc[95:, "x"] = np.nan
    design = _design("y ~ I(z + x - x.mean()) + (1 | g)", data)
    wanted = (data.z + data.x - data.x.mean()).dropna()
    assert_allclose(design.exog[:, 1], wanted)


def test_missing_rows_of_expressions_on_the_whole_column_can_be_refused():
    with pytest.raises(DataError, match=r"x\.shift\(1\) \(1 of 60"):
        design_of("y ~ x.shift(1) + (1 | g)", missing="raise")


def test_weights_of_zero_and_trials_of_zero_leave_a_lag_alone():
    data = frame(100)
    data["lag"] = data.x.shift(1).fillna(0)
    data["w"] = np.resize([1.0, 0.0, 2.0], 100)
    data["hits"], data["size"] = data.k, np.resize([0, 5, 9], 100)
    data.loc[data["size"] == 0, "hits"] = 0
    for formula, options in [
        ("y ~ {} + (1 | g)", {"weights": "w"}),
        ("hits + I(size - hits) ~ {} + (1 | g)", {"family_is_binomial": True}),
    ]:
        design = quiet_design_of(
            formula.format("x.shift(1).fillna(0)"), data, **options
        )
        same = quiet_design_of(formula.format("lag"), data, **options)
        assert design.dropped == same.dropped
        assert_allclose(design.exog, same.exog)


@pytest.mark.parametrize(
    "expression",
    [
        "I(x.isin(z))",
        "x.map(z)",
        "I(x - x[z > 2])",
        "x[z > 2]",
        "center(x[z > 2])",
        "C(x[z > 2])",
        "I(x[z > 2].rank().mean() * x)",
        "np.mean(np.column_stack([x, z]), 1)",
        "np.column_stack([x, z]).sum(1)",
        "I(np.matmul(x, z) * x)",
        "np.where(x > 3, [*range(100)], 0)",
        "np.add(x, np.arange(100))",
        "x.fillna(method='ffill')",
        "np.interp(x, x, z)",
    ],
)
def test_other_rows_may_hide_in_an_argument(expression):
    scope = Scope(expression, ["x", "z"], formula_functions(), {})
    assert not resolve(expression, scope).is_row_wise


def test_values_along_a_row_are_of_that_row():
    data = frame(100)
    design = _design("y ~ np.mean(np.column_stack([x, z]), 1) + (1 | g)", data)
    assert_allclose(encode_new_data(design, data[5:9]).exog, design.exog[5:9])


# ---- The kind of a column in new data.


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
