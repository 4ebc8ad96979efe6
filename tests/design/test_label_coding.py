"""Labels of every kind become codes, and new labels find theirs."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from frame_of_all_kinds import design_of, frame
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from multilevel.design.labels import Labels, cross_labels, encode_labels, match_levels
from multilevel.errors import DataError

DAY = datetime.date(2020, 1, 1)
KINDS = {
    "text": (["b", "a", "b", "c"], ["a", "b", "c"]),
    "object text": (np.array(["b", "a", "b", "c"], object), ["a", "b", "c"]),
    "integers": ([30, 10, 30, 20], [10, 20, 30]),
    "far integers": ([10**15, -(10**15), 10**15, 0], [-(10**15), 0, 10**15]),
    "small integers": (np.array([100, -100, 100, 7], "int8"), [-100, 7, 100]),
    "unsigned": (np.array([2**63, 1, 2**63, 5], "uint64"), [1, 5, 2**63]),
    "huge": (np.array([2**63 + 3, 2**63, 2**63 + 3], "uint64"), [2**63, 2**63 + 3]),
    "floats": ([2.5, -1.0, 2.5, 0.0], [-1.0, 0.0, 2.5]),
    "booleans": ([True, False, True, True], [False, True]),
    "tuples": (
        [("b", 1), ("a", 2), ("b", 1), ("a", 1)],
        [("a", 1), ("a", 2), ("b", 1)],
    ),
    "dates": ([DAY, datetime.date(2019, 1, 1)] * 2, [datetime.date(2019, 1, 1), DAY]),
    "mixed": (["b", 1, "b", "a"], ["b", 1, "a"]),
}


def _column(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array if isinstance(values[0], tuple) else pd.Series(values)


@pytest.mark.parametrize("kind", KINDS)
def test_levels_are_sorted_or_in_order_of_appearance(kind):
    values, levels = KINDS[kind]
    labels = encode_labels(_column(values))
    assert list(labels.levels) == levels
    assert [labels.levels[code] for code in labels.codes] == list(values)
    assert labels.codes.dtype == np.intp


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
@pytest.mark.parametrize("kind", ["text", "floats", "tuples", "dates"])
def test_missing_labels_are_minus_one(kind, missing):
    values = list(KINDS[kind][0])
    array = np.empty(len(values) + 1, dtype=object)
    array[:-1], array[-1] = values, missing
    labels = encode_labels(pd.Series(array))
    assert labels.codes[-1] == -1
    assert list(labels.levels) == KINDS[kind][1]
    assert_array_equal(labels.missing, [False] * len(values) + [True])


def test_timestamps_are_levels():
    labels = encode_labels(
        pd.Series(pd.to_datetime(["2020-02-01", None, "2020-01-01"]))
    )
    assert list(labels.levels) == [
        pd.Timestamp("2020-01-01"),
        pd.Timestamp("2020-02-01"),
    ]
    assert labels.codes.tolist() == [1, -1, 0]


def test_categories_keep_their_order_until_unused_ones_are_dropped():
    categories = pd.Categorical(["c", "a", None], categories=["c", "b", "a"])
    labels = encode_labels(pd.Series(categories))
    assert list(labels.levels) == ["c", "b", "a"]
    used = labels.without_unused_levels()
    assert list(used.levels) == ["c", "a"]
    assert used.codes.tolist() == [0, 1, -1]


def test_nullable_integers_stay_integers():
    labels = encode_labels(pd.Series([2**60 + 1, None, 2**60], dtype="Int64"))
    assert list(labels.levels) == [2**60, 2**60 + 1]
    assert labels.codes.tolist() == [1, -1, 0]


def _plain(labels: Labels) -> list[object]:
    return [None if code < 0 else labels.levels[code] for code in labels.codes]


LETTERS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=30)


@given(LETTERS, st.data())
def test_crossing_pairs_labels(first, data):
    size = {"min_size": len(first), "max_size": len(first)}
    second = data.draw(st.lists(st.sampled_from([1, 2, 3]), **size))
    crossed = cross_labels(
        encode_labels(np.array(first, object)), encode_labels(np.array(second))
    )
    expected = [
        None if a is None else f"{a}:{b}" for a, b in zip(first, second, strict=True)
    ]
    assert _plain(crossed) == expected
    assert list(crossed.levels) == sorted({e for e in expected if e})


def test_crossing_many_levels_needs_no_table_of_all_pairs():
    n = 3000
    first, second = encode_labels(np.arange(n)), encode_labels(np.arange(n)[::-1])
    crossed = cross_labels(first, second)
    assert_array_equal(crossed.codes, np.arange(n))
    assert crossed.levels[1] == f"1:{n - 2}"


@pytest.mark.parametrize(
    ("new", "known", "codes"),
    [
        ([1.0, 2.0, 5.0], [1, 2], [0, 1, 2]),
        ([1, 2], [1.0, 2.0], [0, 1]),
        (np.array(["a", "z"], object), ["a", "b"], [0, 2]),
        (pd.Categorical(["b", "a"]), ["a", "b"], [1, 0]),
        (np.array(["a", None], object), ["a", "b"], [0, -1]),
        ([7, 8], [1, 2], [2, 3]),
        (["seven"], [1, 2], [2]),
    ],
)
def test_new_labels_match_by_value(new, known, codes):
    found = match_levels(pd.Series(new), pd.Index(known), "g")
    assert found.codes.tolist() == codes
    assert list(found.levels[: len(known)]) == known


@pytest.mark.parametrize(("new", "known"), [(["1", "2"], [1, 2]), ([1, 2], ["1", "2"])])
def test_numbers_written_as_text_are_not_guessed_at(new, known):
    with pytest.raises(DataError, match="same type"):
        match_levels(pd.Series(new), pd.Index(known), "g")


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_of_label_groups_rows(kind):
    some = list(KINDS[kind][0])
    values = _column([some[i % len(some)] for i in range(60)])
    data = {**{name: frame()[name] for name in ("y", "x")}, "group": values}
    design = design_of("y ~ x + (1 | group)", data)
    (factor,) = design.factors
    assert [factor.levels[code] for code in factor.codes] == list(values)
    assert factor.sizes.sum() == 60


def test_levels_that_vanish_with_dropped_rows_are_gone():
    data = frame()
    data.loc[data["g"] == 3, "x"] = np.nan
    with pytest.warns(UserWarning, match="rows dropped"):
        design = design_of("y ~ x + (1 | g) + (1 | g:h)", data)
    for factor in design.factors:
        assert factor.sizes.min() > 0
    assert 3 not in design.factors[0].levels
    assert not design.factors[1].levels.str.startswith("3:").any()
    assert design.factors[0].sizes.sum() == design.nobs


def test_terms_on_one_factor_share_it():
    design = design_of("y ~ (1|g) + (0+x|g) + (1|h:g) + (0+x|g:h)", frame(200))
    assert design.factor_names == ("g", "h:g")
    assert [term.factor_index for term in design.terms] == [0, 0, 1, 1]


def test_expressions_group():
    design = design_of("y ~ (1 | C(g)) + (1 | pd.cut(x, 4)) + (1 | I(k > 0))")
    assert [factor.n_levels for factor in design.factors] == [8, 4, 2]
    assert design.factor_names == ("C(g)", "pd.cut(x, 4)", "I(k > 0)")
