"""Expressions that look at the whole column: what the fit sees, what new rows get."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from frame_of_all_kinds import frame, quiet_design_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from multilevel.design.new_data import encode_new_data
from multilevel.errors import DataError

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
