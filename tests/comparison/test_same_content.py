"""Models are compared by what they are, not by how they are written."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.comparison.column_space import column_space
from multilevel.errors import ComparisonError

pytestmark = pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(11)
    n = 240
    frame = pd.DataFrame(
        {
            "g": np.repeat([f"g{k:02}" for k in range(24)], 10),
            "h": np.tile(list("pqrst"), 48),
            "x": rng.normal(size=n),
            "z": rng.normal(size=n),
            "o": rng.normal(size=n),
            "w": rng.uniform(0.5, 2.0, n),
        }
    )
    codes = np.repeat(np.arange(24), 10)
    effect = rng.normal(size=24)[codes] + 0.4 * rng.normal(size=24)[codes] * frame.x
    cells = rng.normal(size=(24, 5))[codes, np.tile(np.arange(5), 48)]
    frame["y"] = effect + 0.5 * cells + rng.normal(size=n)
    frame["count"] = rng.poisson(np.exp(0.5 + 0.3 * effect))
    return frame


def fit(random, data, fixed="x", *, reml=True, **more):
    return ml.mixedlm(f"y ~ {fixed} + {random}", data, **more).fit(reml=reml)


@pytest.fixture(scope="module")
def expected(data):
    return fit("(x | g)", data).compare_lr_test(fit("(1 | g)", data))


def shuffled(data, seed=0):
    return data.iloc[np.random.default_rng(seed).permutation(len(data))]


SAME = {
    "weights of ones": lambda d: fit("(1 | g)", d, weights=np.ones(len(d))),
    "weights of two": lambda d: fit("(1 | g)", d, weights=np.full(len(d), 2.0)),
    "offset of zeros": lambda d: fit("(1 | g)", d, offset=np.zeros(len(d))),
    "offset in the span": lambda d: fit("(1 | g)", d, offset=2.0 * d["x"] - 1.0),
    "rows in another order": lambda d: fit("(1 | g)", shuffled(d)),
    "rows renumbered": lambda d: fit("(1 | g)", shuffled(d).reset_index(drop=True)),
    "groups relabelled": lambda d: fit("(1 | G)", d.assign(G=d["g"].str[::-1])),
    "levels reordered": lambda d: fit(
        "(1 | g)", d.assign(g=pd.Categorical(d["g"], sorted(set(d["g"]))[::-1]))
    ),
    "another unit": lambda d: fit("(1 | g)", d.assign(x=d["x"] * 1e-9), "x"),
    "another origin": lambda d: fit("(1 | g)", d.assign(x=1e5 - d["x"])),
    "another coding": lambda d: fit("(1 | g)", d, "I(3 * x + 1)"),
}


@pytest.mark.parametrize("how", SAME)
def test_the_same_model_gives_the_same_test(data, expected, how):
    test = fit("(x | g)", data).compare_lr_test(SAME[how](data))
    assert_allclose(test.statistic, expected.statistic, atol=1e-5)
    assert_allclose(test.pvalue, expected.pvalue, rtol=1e-4)
    assert test.null == expected.null == "0.5 chi2(1) + 0.5 chi2(2)"


def test_the_other_order_is_swapped_and_said(data, expected):
    test = fit("(1 | g)", data).compare_lr_test(fit("(x | g)", data))
    assert (test.statistic, test.pvalue) == (expected.statistic, expected.pvalue)
    assert (test.restricted, test.full) == (expected.restricted, expected.full)
    assert "note        the models were given in the other order" in str(test)


def test_groups_of_the_same_name_that_differ_are_refused(data):
    other = data.assign(g=np.random.default_rng(3).permutation(data["g"]))
    with pytest.raises(ComparisonError, match="'g' groups the rows otherwise"):
        fit("(x | g)", data).compare_lr_test(fit("(1 | g)", other))


@pytest.mark.parametrize(
    ("smaller", "larger", "null"),
    [
        ("(1 | g:h)", "(1 | h:g) + (1 | g)", "0.5 chi2(0) + 0.5 chi2(1)"),
        ("(1 | h:g)", "(1 | g/h)", "0.5 chi2(0) + 0.5 chi2(1)"),
        ("(1 | g)", "(1 | g/h)", "0.5 chi2(0) + 0.5 chi2(1)"),
        ("(1 | g) + (1 | g:h)", "(1 | g/h)", "chi2(0)"),
        ("(x || g)", "(x | g)", "chi2(1)"),
        ("(x | g)", "(I(x - 5) | g)", "chi2(0)"),
        ("(x | g)", "(I(1e6 + 10 * x) + z | g)", "0.5 chi2(2) + 0.5 chi2(3)"),
    ],
)
def test_nesting_is_judged_by_content(data, smaller, larger, null):
    test = fit(larger, data).compare_lr_test(fit(smaller, data))
    assert test.null == null
    if null == "chi2(0)":
        assert_allclose([test.statistic, test.pvalue], [0.0, 1.0], atol=1e-4)


@pytest.mark.parametrize(
    ("smaller", "larger", "degrees"),
    [("(1 | g)", "(0 + h | g)", (4, 14)), ("(0 + x | g)", "(z + x | g)", (2, 5))],
)
def test_more_effects_that_span_the_fewer_are_nested(data, smaller, larger, degrees):
    """q more variances beside k effects: from q k to q k + q (q + 1) / 2."""
    test = fit(larger, data).compare_lr_test(fit(smaller, data))
    named = [int(degree) for degree in re.findall(r"chi2\((\d+)\)", test.null)]
    assert (min(named), max(named)) == degrees
    assert test.df == degrees[1]
    assert test.pvalue < test.pvalue_chi2


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [("(x | g)", "(x + z || g)"), ("(1 | h)", "(x | g)"), ("(1 | g)", "(0 + x | g)")],
)
def test_what_is_not_nested_is_refused(data, smaller, larger):
    with pytest.raises(ComparisonError, match="not nested"):
        fit(larger, data).compare_lr_test(fit(smaller, data))


def test_other_weights_offsets_and_responses_are_refused(data):
    full = fit("(x | g)", data)
    with pytest.raises(ComparisonError, match="different weights"):
        full.compare_lr_test(fit("(1 | g)", data, weights="w"))
    nearly = data.assign(w=1.0 + 1e-6 * data["w"])
    with pytest.raises(ComparisonError, match="different weights"):
        full.compare_lr_test(fit("(1 | g)", nearly, weights="w"))
    with pytest.raises(ComparisonError, match="different offsets"):
        full.compare_lr_test(fit("(1 | g)", data, offset="o"))
    with pytest.raises(ComparisonError, match="different responses"):
        full.compare_lr_test(fit("(1 | g)", data.assign(y=data["y"] + 1e-6)))


def test_units_do_not_decide_what_is_among_the_columns(data):
    large = data.assign(big=data["x"] * 1e9, tiny=data["z"] * 1e-9)
    full = fit("(1 | g)", large, "big + tiny", reml=False)
    test = full.compare_lr_test(fit("(1 | g)", large, "x", reml=False))
    same = fit("(1 | g)", data, "x + z", reml=False).compare_lr_test(
        fit("(1 | g)", data, "x", reml=False)
    )
    assert_allclose(test.statistic, same.statistic, atol=1e-6)


def test_tiny_columns_that_differ_are_other_fixed_effects(data):
    tiny = data.assign(a=data["x"] * 1e-10, b=data["z"] * 1e-10)
    with pytest.raises(ComparisonError, match="fixed effects"):
        fit("(x | g)", tiny, "a").compare_lr_test(fit("(1 | g)", tiny, "b"))


def test_span_knows_neither_units_nor_origins():
    rng = np.random.default_rng(0)
    t, u = rng.normal(size=(2, 50))
    ones = np.ones(50)
    space = column_space(np.column_stack([ones, 1e9 + t, 1e-9 * u]))
    inside = np.column_stack([t, 1e6 * u - 1e7, 1e-12 * t, 0 * t, ones])
    assert space.contains(inside).all()
    assert not space.contains(np.column_stack([1e7 + t**2, 1e-9 * t * u])).any()


def test_a_difference_far_from_the_origin_is_seen(data):
    far = data.assign(a=1e8 + data["x"], b=1e8 + data["z"])
    with pytest.raises(ComparisonError, match="fixed effects"):
        fit("(x | g)", far, "a").compare_lr_test(fit("(1 | g)", far, "b"))


@pytest.mark.filterwarnings("ignore::multilevel.errors.RankDeficiencyWarning")
def test_one_variance_holds_no_two_of_the_same_effect(data):
    twice = fit("(0 + x | g) + (0 + x2 | g)", data.assign(x2=3 * data["x"]))
    with pytest.raises(ComparisonError, match=r"restricted one has var\(x2 \| g\)"):
        fit("(x + z | g)", data).compare_lr_test(twice)


def test_rounding_of_a_constant_is_no_direction():
    """0.3 and 0.1 * 3 differ in the last digit, and both are constants."""
    x = np.arange(8.0)
    space = column_space(np.column_stack([np.ones(8), x]))
    constant = np.where(x % 3 == 0, 0.3, 0.1 * 3.0)
    assert np.ptp(constant) > 0.0
    assert space.contains(constant[:, None]).all()


def test_trials_and_case_weights_are_compared_each_for_itself(data):
    """Two cases of n trials each are not one of 2 n, though the shares agree."""
    n = 5 + np.arange(len(data)) % 4
    k = np.minimum(data["count"], n)
    rows = data.assign(k=k, l=n - k, k2=2 * k, l2=2 * (n - k))

    def binomial(left, random, **more):
        formula = f"cbind({left}) ~ x + {random}"
        return ml.mixedglm(formula, rows, family="binomial", **more).fit()

    cases = binomial("k, l", "(1 | g)", weights=np.full(len(n), 2.0))
    with pytest.raises(ComparisonError, match="different weights"):
        binomial("k2, l2", "(x | g)").compare_lr_test(cases)


def test_generalized_models_are_matched_too(data):
    def count(random, frame):
        return ml.mixedglm(f"count ~ x + {random}", frame, family="poisson").fit()

    full = count("(x || g) + (1 | h)", data)
    expected = full.compare_lr_test(count("(1 | g)", data))
    test = full.compare_lr_test(count("(1 | G)", shuffled(data.assign(G=data["g"]))))
    assert_allclose(test.pvalue, expected.pvalue, rtol=1e-5)
    moved = data.assign(x=data["x"] * 1e4)
    again = count("(x || g) + (1 | h)", moved).compare_lr_test(count("(1 | g)", moved))
    assert_allclose(again.pvalue, expected.pvalue, rtol=1e-3)
    tied = shuffled(data).reset_index(drop=True)
    with pytest.raises(ComparisonError, match="fit both to one data frame"):
        full.compare_lr_test(count("(1 | g)", tied))


def test_poisson_is_a_negative_binomial_on_the_edge(data):
    rng = np.random.default_rng(2)
    more = data.assign(
        count=rng.poisson(data["count"] * rng.gamma(3, 1 / 3, len(data)))
    )

    def count(random, family):
        return ml.mixedglm(f"count ~ x + {random}", more, family=family).fit()

    poisson, wide = count("(1 | g)", "poisson"), count("(1 | g)", "negativebinomial")
    test = wide.compare_lr_test(poisson)
    assert (test.df, test.null) == (1, "0.5 chi2(0) + 0.5 chi2(1)")
    assert_allclose(test.statistic, 2 * (wide.llf - poisson.llf))
    assert poisson.compare_lr_test(wide).pvalue == test.pvalue
    with pytest.raises(ComparisonError, match="test one after the other"):
        count("(x | g)", "negativebinomial").compare_lr_test(poisson)
    with pytest.raises(ComparisonError, match="different families"):
        count("(x | g)", "poisson").compare_lr_test(wide)


def test_array_models_are_those_of_formulas(data, expected):
    X = np.column_stack([np.ones(len(data)), data["x"]])
    term = ml.RandomTerm(data["g"].to_numpy(), np.ones((len(data), 1)), name="any")
    arrays = ml.MixedLM(data["y"].to_numpy(), X, [term]).fit()
    test = fit("(x | g)", data).compare_lr_test(arrays)
    assert_allclose(test.statistic, expected.statistic, atol=1e-6)
    assert test.null == expected.null


def test_a_factor_in_the_weights_leaves_the_null_alone(data):
    full = fit("(x + z | g)", data, weights="w")
    expected = full.compare_lr_test(fit("(1 | g)", data, weights="w"))
    test = full.compare_lr_test(fit("(1 | g)", data.assign(w=7 * data.w), weights="w"))
    assert_allclose(test.pvalue, expected.pvalue, rtol=1e-5)
    assert_allclose(
        test.null_distribution.weights, expected.null_distribution.weights, rtol=1e-5
    )
