"""Responses for given parameters: their moments, and what is said of wrong ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

import multilevel as ml
from multilevel.errors import DataError

PLAN = pd.DataFrame(
    {"school": np.repeat([1, 2, 3], 4), "x": np.tile([0.0, 1, 2, 3], 3)}
)
SLOPES = "y ~ x + (x | school)"
GIVEN = {
    "beta": {"Intercept": 5.0, "x": 1.0},
    "sd": {"school": {"Intercept": 2.0, "x": 0.5}},
    "cor": {"school": {("x", "Intercept"): -0.6}},
    "sigma": 1.0,
}


def test_mean_and_covariance_are_those_given():
    n = 6000
    y = ml.simulate_design(SLOPES, PLAN, n=n, seed=1, **GIVEN).to_numpy()
    z = np.column_stack([np.ones(12), PLAN["x"]])
    G = np.array([[4.0, -0.6], [-0.6, 0.25]])
    v = (z @ G @ z.T) * np.equal.outer(*2 * [PLAN["school"].to_numpy()]) + np.eye(12)
    assert (
        np.abs((y.mean(axis=1) - 5.0 - PLAN["x"]) / np.sqrt(np.diag(v) / n)).max() < 4
    )
    sd = np.sqrt((v**2 + np.outer(np.diag(v), np.diag(v))) / n)
    assert np.abs((np.cov(y) - v) / sd).max() < 4.5


def test_estimates_as_parameters_give_the_simulations_of_the_fit():
    sleep = ml.datasets.load("sleepstudy")
    formula = "Reaction ~ Days + (Days | Subject)"
    result = ml.mixedlm(formula, sleep).fit()
    expected = result.simulate(2, seed=1)
    by_theta = ml.simulate_design(
        formula, sleep.drop(columns="Reaction"), beta=result.params,
        theta=result.theta, sigma=result.sigma, n=2, seed=1,
    )  # fmt: skip
    assert_frame_equal(by_theta, expected)
    frame = result.variance_components.cov("Subject")
    sd = np.sqrt(np.diag(frame))
    by_name = ml.simulate_design(
        formula, sleep, beta=result.params, sigma=result.sigma,
        sd={"Subject": dict(zip(frame.index, sd, strict=True))},
        cor={"Subject": frame.iloc[0, 1] / sd.prod()}, n=2, seed=1,
    )  # fmt: skip
    assert_frame_equal(by_name, expected, rtol=1e-9)


def test_families():
    plan = PLAN.assign(size=8.0)
    given = {"beta": {"Intercept": 0.3, "x": 0.0}, "sd": {"school": 0.0}, "n": 3000}
    simple = "y ~ x + (1 | school)"

    def drawn(formula=simple, **options):
        return ml.simulate_design(formula, plan, seed=1, **given, **options).to_numpy()

    p = 1.0 / (1.0 + np.exp(-0.3))
    counts = drawn("cbind(a, b) ~ x + (1 | school)", family="binomial", weights="size")
    assert counts.dtype.kind == "i"
    assert_allclose([counts.mean(), counts.var()], [8 * p, 8 * p * (1 - p)], rtol=0.03)
    shares = drawn(family="binomial", weights="size")
    assert_allclose(shares * 8.0, counts)
    m = np.exp(0.3)
    y = drawn(family="negativebinomial", shape=2.0)
    assert_allclose([y.mean(), y.var()], [m, m + m**2 / 2.0], rtol=0.04)
    import statsmodels.api as sm

    held = sm.families.NegativeBinomial(alpha=0.5)
    assert_allclose(drawn(family=held), y)
    link = sm.families.links.Log()
    y = drawn(family=sm.families.Gamma(link=link), sigma=0.5)
    assert_allclose([y.mean(), y.var()], [m, 0.25 * m**2], rtol=0.04)


def without(name, **other):
    return {key: value for key, value in {**GIVEN, **other}.items() if key != name}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            without("", beta={"x": 1.0}),
            r"lacks 'Intercept'; it needs beta=\{'Intercept'",
        ),
        (without("", beta=[5.0, 1.0]), "does not say which is which"),
        (
            without("", beta={**GIVEN["beta"], "X": 1.0}),
            "has 'X'.* there are 'Intercept', 'x'",
        ),
        (without("", beta={"Intercept": "a", "x": 1.0}), "'a', which is not a number"),
        (without("sd"), r"sd lacks 'school'; it needs sd=\{'school': \{'Intercept'"),
        (without("", sd={"school": 2.0}), "does not say which is which"),
        (without("", sd={"schol": 2.0}), "did you mean 'school'"),
        (without("", sd={"school": {"Intercept": -1, "x": 1}}), "not a number from 0"),
        (without("", cor={"school": 1.5}), "no correlation matrix"),
        (without("", cor={"school": {("x", "z"): 0.1}}), "correlated pairs"),
        (without("sigma"), "sigma= is missing: the residual"),
        (without("", sigma=0.0), "not positive"),
        (without("", theta=[1.0, 0.0, 1.0]), "give one of them"),
        (without("", shape=2.0), "no shape"),
        (without("", family="poisson"), "has no sigma"),
        (without("sigma", family="negativebinomial"), "the size of the negativebin"),
        (without("sigma", family="gamma"), "root of the gamma dispersion"),
    ],
)
def test_what_is_missing_or_wrong_is_named(given, said):
    with pytest.raises(DataError, match=said):
        ml.simulate_design(SLOPES, PLAN, **given)


def test_independent_effects_have_no_correlation():
    given = without("", cor={"school": 0.5})
    with pytest.raises(DataError, match="its effects are independent"):
        ml.simulate_design("y ~ x + (x || school)", PLAN, **given)


@pytest.mark.parametrize("kind", ["repeated index", "dict", "polars", "arrow"])
def test_data_of_every_kind(kind):
    expected = ml.simulate_design(SLOPES, PLAN, seed=1, **GIVEN)
    plan = {
        "repeated index": lambda: PLAN.set_axis([0] * len(PLAN)),
        "dict": lambda: {name: PLAN[name].tolist() for name in PLAN},
        "polars": lambda: pytest.importorskip("polars").from_pandas(PLAN),
        "arrow": lambda: pytest.importorskip("pyarrow").Table.from_pandas(PLAN),
    }[kind]()
    found = ml.simulate_design(SLOPES, plan, seed=1, **GIVEN)
    assert_allclose(found.to_numpy(), expected.to_numpy())


def test_weights_and_offsets():
    plan = PLAN.assign(w=4.0, o=100.0)
    plain = ml.simulate_design(SLOPES, plan, seed=1, **GIVEN)
    moved = ml.simulate_design(SLOPES, plan, seed=1, offset="o", **GIVEN)
    assert_allclose(moved, plain + 100.0)
    sharp = without("", sd={"school": {"Intercept": 0.0, "x": 0.0}})
    plain = ml.simulate_design(SLOPES, plan, seed=1, **sharp)["sim_1"]
    heavy = ml.simulate_design(SLOPES, plan, seed=1, weights="w", **sharp)["sim_1"]
    mean = 5.0 + plan["x"]
    assert_allclose(heavy - mean, (plain - mean) / 2.0)


def test_rows_in_which_something_is_missing_are_left_out():
    plan = PLAN.assign(x=PLAN["x"].where(PLAN["x"] > 0))
    with pytest.warns(ml.errors.DroppedRowsWarning):
        y = ml.simulate_design(SLOPES, plan, seed=1, **GIVEN)
    assert y.index.tolist() == [1, 2, 3, 5, 6, 7, 9, 10, 11]
