"""Likelihood-ratio tests between results, and against the pooled regression."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.comparison.pooled import pooled_loglike
from multilevel.errors import ComparisonError
from small_data import grouped_responses

# With a third effect the covariance of these data is singular, which does not matter
# here.
pytestmark = pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")


@pytest.fixture(scope="module")
def sleep():
    data = ml.datasets.load("sleepstudy")
    return data.assign(late=(data["Days"] > 4).astype(float))


@pytest.fixture(scope="module")
def fitted(sleep):
    def fit(random, fixed="Days", *, reml=True):
        return ml.mixedlm(f"Reaction ~ {fixed} + {random}", sleep).fit(reml=reml)

    return fit


@pytest.mark.parametrize(
    ("smaller", "larger", "null"),
    [
        ("(1 | Subject)", "(Days | Subject)", "0.5 chi2(1) + 0.5 chi2(2)"),
        ("(1 | Subject)", "(Days || Subject)", "0.5 chi2(0) + 0.5 chi2(1)"),
        ("(Days || Subject)", "(Days | Subject)", "chi2(1)"),
        ("(Days | Subject)", "(Days + late | Subject)", "0.5 chi2(2) + 0.5 chi2(3)"),
    ],
)
def test_null_of_added_random_effects(fitted, smaller, larger, null):
    test = fitted(larger).compare_lr_test(fitted(smaller))
    assert test.null == null
    assert test.criterion == "REML"


def test_two_effects_added_at_once_shift_the_mixture_of_a_two_by_two_cone(fitted):
    test = fitted("(Days + late | Subject)").compare_lr_test(fitted("(1 | Subject)"))
    assert test.df == 5
    components = [piece.split()[1] for piece in test.null.split(" + ")]
    assert components == ["chi2(2)", "chi2(3)", "chi2(4)", "chi2(5)"]


def test_reference_statistic_and_naive_p(fitted):
    smaller = fitted("(1 | Subject)")
    test = fitted("(Days | Subject)").compare_lr_test(smaller)
    # ranova of lmerTest 3.1: LRT 42.837, Df 2
    assert_allclose(test.statistic, 42.837, atol=5e-4)
    assert test.df == 2
    assert_allclose(test.pvalue_chi2, 4.99e-10, rtol=1e-3)


def test_fixed_effects_only_is_plain_chi_square(fitted):
    larger = fitted("(1 | Subject)", reml=False)
    test = larger.compare_lr_test(fitted("(1 | Subject)", "1", reml=False))
    assert test.null == "chi2(1)"
    assert test.pvalue == test.pvalue_chi2


def test_order_of_the_fixed_columns_does_not_matter_for_reml(fitted):
    smaller = fitted("(1 | Subject)", "late + Days")
    test = fitted("(Days | Subject)", "Days + late").compare_lr_test(smaller)
    assert test.null == "0.5 chi2(1) + 0.5 chi2(2)"


def test_what_cannot_be_compared_is_refused(fitted, sleep):
    full = fitted("(Days | Subject)")
    with pytest.raises(ComparisonError, match="different fixed effects"):
        full.compare_lr_test(fitted("(1 | Subject)", "1"))
    with pytest.raises(ComparisonError, match="by ML, the other by REML"):
        full.compare_lr_test(fitted("(1 | Subject)", reml=False))
    with pytest.raises(ComparisonError, match=r"cov\(Days, Intercept \| Subject\)"):
        fitted("(Days + late || Subject)").compare_lr_test(full)
    shorter = ml.mixedlm("Reaction ~ Days + (1 | Subject)", sleep.iloc[:150]).fit()
    with pytest.raises(ComparisonError, match="150 and 180 rows"):
        full.compare_lr_test(shorter)
    logs = ml.mixedlm("np.log(Reaction) ~ Days + (1 | Subject)", sleep).fit()
    with pytest.raises(ComparisonError, match="responses"):
        full.compare_lr_test(logs)
    with pytest.raises(ComparisonError, match="compare_pooled"):
        full.compare_lr_test(full.pooled)
    other = fitted("(1 | Subject)", "late", reml=False)
    with pytest.raises(ComparisonError, match="neither model is"):
        fitted("(1 | Subject)", reml=False).compare_lr_test(other)


def test_restricted_pooled_likelihood_is_that_of_no_random_effects(sleep):
    weights = 1.0 + sleep["Days"]
    model = ml.mixedlm("Reaction ~ Days + (1 | Subject)", sleep, weights=weights)
    root = np.sqrt(np.asarray(weights))
    y, X = root * sleep["Reaction"], root[:, None] * model.exog
    squares = float(np.linalg.lstsq(X, y, rcond=None)[1][0])
    for reml in (True, False):
        nu = len(y) - 2 * reml
        wanted = nu * (1 + np.log(2 * np.pi * squares / nu)) - 2 * np.log(root).sum()
        wanted += reml * np.linalg.slogdet(X.T @ X)[1]
        assert_allclose(
            pooled_loglike(model.problem, reml=reml), -wanted / 2, rtol=1e-9
        )


@pytest.mark.parametrize(
    ("random", "null"),
    [
        ("(1 | Subject)", "0.5 chi2(0) + 0.5 chi2(1)"),
        ("(Days || Subject)", "chi2(2)"),
        ("(Days | Subject)", "chi2(3)"),
    ],
)
def test_null_against_the_pooled_regression(fitted, random, null):
    test = fitted(random).compare_pooled()
    assert test.null.endswith(null)
    assert test.restricted == "Reaction ~ Days"
    assert test.pvalue < test.pvalue_chi2


def test_stata_reports_the_same_statistic():
    data = ml.datasets.load("hsb")
    test = ml.mixedlm("math ~ 1 + (1 | school)", data).fit().compare_pooled()
    assert_allclose(test.statistic, 986.1238, atol=1e-3)  # chibar2(01) of mixed, reml


@pytest.mark.parametrize("family", ["poisson", "negativebinomial"])
def test_the_scale_of_counts_is_no_nuisance_of_their_null(family):
    """Weights by the dense information of three variances; the size is no scale."""
    data = grouped_responses()
    response = "count" if family == "poisson" else "overdispersed"
    smaller, larger = (
        ml.mixedglm(f"{response} ~ x + {random}", data, family=family).fit()
        for random in ("(1 | h)", "(1 | h) + (x || g)")
    )
    mean = smaller.fittedvalues.to_numpy()
    variance = mean if family == "poisson" else mean + mean**2 / smaller.dispersion
    g, h = (data[f].to_numpy()[:, None] == data[f].to_numpy() for f in ("g", "h"))
    x = np.asarray(data["x"])
    V = np.diag(variance / mean**2) + smaller.cov_re["h"].iloc[0, 0] * h
    moved = [np.linalg.solve(V, D) for D in (h, g, g * np.outer(x, x))]
    information = np.array([[np.trace(a @ b) / 2 for b in moved] for a in moved])
    across = information[0, 1:]
    left = information[1:, 1:] - np.outer(across, across) / information[0, 0]
    angle = np.arccos(left[0, 1] / np.sqrt(left[0, 0] * left[1, 1])) / (2 * np.pi)
    null = larger.compare_lr_test(smaller).null_distribution
    assert_allclose(null.weights, [0.5 - angle, 0.5, angle], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "random", ["(1 | g)", "(x || g)", "(x | g)", "(1 | g) + (1 | h)"]
)
def test_size_of_the_test_against_the_pooled_regression(random):
    rng = np.random.default_rng(7)
    n, rejections, draws = 240, 0, 300
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "g": np.repeat(np.arange(40), 6),
            "h": np.tile(np.arange(30), 8),
        }
    )
    for _ in range(draws):
        frame["y"] = rng.normal(size=n)
        test = ml.mixedlm(f"y ~ x + {random}", frame).fit().compare_pooled()
        rejections += test.pvalue < 0.10
    assert 0.06 < rejections / draws < 0.14
