"""The same design from arrays as from a formula."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frame_of_all_kinds import design_of, frame
from numpy.testing import assert_array_equal

import multilevel as ml
from multilevel.design.model_design import design_from_arrays
from multilevel.design.random_effects import RandomTerm
from multilevel.errors import DataError, DroppedRowsWarning, RankDeficiencyWarning

DATA = frame(200)
X = pd.DataFrame({"Intercept": 1.0, "x": DATA["x"]})
GROUPS = DATA["g"]


def _assert_same(design, other):
    assert_array_equal(design.y, other.y)
    assert_array_equal(design.exog, other.exog)
    assert design.exog.flags.f_contiguous
    for factor, same in zip(design.factors, other.factors, strict=True):
        assert_array_equal(factor.codes, same.codes)
        assert list(factor.levels) == list(same.levels)
        assert factor.name == same.name
    for term, same in zip(design.terms, other.terms, strict=True):
        assert_array_equal(term.columns, same.columns)
        assert term.shared == same.shared
        assert term.structure == same.structure
        assert term.factor_index == same.factor_index


def test_frames_give_the_design_of_the_formula():
    terms = [RandomTerm(GROUPS, X, name="g", structure="diag")]
    terms += [RandomTerm(DATA["h"], name="h")]
    design = design_from_arrays(DATA["y"], X, terms)
    other = design_of("y ~ x + (x || g) + (1 | h)", DATA)
    _assert_same(design, other)
    assert design.exog_names == other.exog_names
    assert design.response == "y"
    assert [term.effects for term in design.terms] == [
        term.effects for term in other.terms
    ]


def test_arrays_give_the_same_with_names_of_their_own():
    values = X.to_numpy()
    terms = [RandomTerm(GROUPS.to_numpy(), values, name="g")]
    design = design_from_arrays(DATA["y"].to_numpy(), values, terms)
    _assert_same(design, design_of("y ~ x + (x | g)", DATA))
    assert design.exog_names == ("const", "x1")
    assert design.terms[0].effects == ("Intercept", "x1")
    assert design.response == "y"


def test_columns_of_a_term_that_exog_does_not_have():
    term = RandomTerm(GROUPS.to_numpy(), DATA["z"].to_numpy(), name="g")
    design = design_from_arrays(DATA["y"], X, [term])
    assert design.terms[0].effects == ("g_x1",)
    assert design.terms[0].shared == (-1,)


def test_no_exog_is_no_fixed_effects():
    design = design_from_arrays(DATA["y"], None, [RandomTerm(GROUPS)])
    assert design.exog.shape == (200, 0)


def test_weights_and_offsets_are_aligned_by_index():
    weights = pd.Series(np.arange(1.0, 201), index=DATA.index).sample(
        frac=1, random_state=0
    )
    design = design_from_arrays(
        DATA["y"], X, [RandomTerm(GROUPS)], weights=weights, offset=DATA["z"]
    )
    assert_array_equal(design.weights, np.arange(1.0, 201))
    assert_array_equal(design.offset, DATA["z"])


def test_every_series_is_aligned_if_the_response_has_an_index():
    def shuffled(values):
        return values.sample(frac=1, random_state=4)

    terms = [RandomTerm(shuffled(GROUPS), shuffled(X), name="g")]
    design = design_from_arrays(Y, shuffled(X), terms, weights=shuffled(DATA["z"]))
    _assert_same(design, design_of("y ~ x + (x | g)", DATA))
    assert_array_equal(design.weights, DATA["z"])


def test_everything_goes_by_position_if_the_response_has_no_index():
    def elsewhere(values):
        return values.set_axis(range(500, 700))

    terms = [RandomTerm(elsewhere(GROUPS), elsewhere(X), name="g")]
    design = design_from_arrays(
        Y.to_numpy(), elsewhere(X), terms, offset=elsewhere(DATA["z"])
    )
    _assert_same(design, design_of("y ~ x + (x | g)", DATA))
    assert_array_equal(design.offset, DATA["z"])


def test_rows_with_something_missing_are_dropped():
    x, y = X.copy(), DATA["y"].copy()
    groups = GROUPS.astype(object)
    x.iloc[0, 1], y.iloc[1], groups.iloc[2] = np.nan, np.nan, None
    with pytest.warns(DroppedRowsWarning, match="3 of 200"):
        design = design_from_arrays(y, x, [RandomTerm(groups, x, name="g")])
    assert design.dropped.causes == {"x": 1, "y": 1, "g": 1}
    assert list(design.index) == list(range(3, 200))
    with pytest.raises(DataError, match="missing values in"):
        design_from_arrays(y, x, [RandomTerm(groups)], missing="raise")


def test_two_columns_are_successes_and_failures():
    counts = np.column_stack([np.resize([0, 1, 3], 200), np.resize([2, 1, 2, 4], 200)])
    design = design_from_arrays(
        counts, X, [RandomTerm(GROUPS)], family_is_binomial=True
    )
    assert_array_equal(design.weights, counts.sum(axis=1))
    assert_array_equal(design.y, counts[:, 0] / counts.sum(axis=1))


def test_aliased_columns_are_left_out():
    wide = X.assign(twice=2 * X["x"])
    with pytest.warns(RankDeficiencyWarning, match="twice"):
        design = design_from_arrays(DATA["y"], wide, [RandomTerm(GROUPS)])
    assert design.kept.tolist() == [0, 1]


Y = DATA["y"]
ONE_TERM = [RandomTerm(GROUPS)]
MISTAKES = [
    (Y, X, [], "no random term"),
    (Y, X[:-1], ONE_TERM, "200 rows"),
    (Y.to_numpy(), X.to_numpy()[:-1], [RandomTerm(GROUPS.to_numpy())], "200 rows"),
    (Y, X, [RandomTerm(GROUPS.to_numpy()[:-1])], "200 rows"),
    (Y, X, [RandomTerm(GROUPS.rename(lambda i: i + 1))], "lacks 1 of the data's 200"),
    (Y, X, [RandomTerm(X)], "2 dimensions"),
    (Y, X, [RandomTerm(np.ones(200))], "only one level"),
    (Y, X, [RandomTerm(np.arange(200))], "200 levels in 200 rows"),
    (Y, X, [RandomTerm(GROUPS), RandomTerm(DATA["h"])], "name of its own"),
    (Y, X.assign(x=np.inf), ONE_TERM, "'x' is infinite in 200"),
    (Y, X.assign(x="a"), ONE_TERM, "'x' must hold numbers"),
    (Y, X.assign(x=1j), ONE_TERM, "complex"),
    (np.ones((200, 2, 2)), X, ONE_TERM, "one response per row"),
    (Y.astype(str), X, ONE_TERM, "holds no numbers"),
    (Y * 0, X, ONE_TERM, "is 0 in all 200 rows"),
]


@pytest.mark.parametrize(("endog", "exog", "random", "message"), MISTAKES)
def test_arrays_that_do_not_fit_are_refused(endog, exog, random, message):
    with pytest.raises(DataError, match=message):
        design_from_arrays(endog, exog, random)


def test_one_random_term_needs_no_list():
    groups = np.repeat(np.arange(6), 4)
    y = np.random.default_rng(1).normal(size=24) + groups
    term = ml.RandomTerm(groups, name="g")
    alone = ml.MixedLM(y, np.ones(24), random=term).fit()
    assert alone.llf == ml.MixedLM(y, np.ones(24), random=[term]).fit().llf
    counts = np.arange(24) % 5
    alone = ml.MixedGLM(counts, np.ones(24), random=term, family="poisson")
    assert alone.design.factors[0].name == "g"
