"""New responses of a fitted model: their moments, and what they do not depend on."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

import multilevel as ml
from multilevel.errors import DataError, DroppedRowsWarning
from multilevel.likelihood.families.registry import family_of


@pytest.fixture(scope="module")
def crossed():
    """Two crossed factors, a slope, weights and an offset."""
    rng = np.random.default_rng(5)
    data = pd.DataFrame(
        {"g": np.tile(np.arange(12), 8), "h": np.repeat(list("abcdefgh"), 12)}
    )
    data["x"] = rng.normal(size=96)
    data["w"] = rng.uniform(0.5, 2.0, 96)
    data["o"] = 10.0 * data["x"]
    effects = rng.normal(size=(12, 2)) @ np.array([[2.0, 0.0], [0.6, 0.8]])
    mean = 1.0 + effects[data["g"], 0] + effects[data["g"], 1] * data["x"] + data["o"]
    mean += rng.normal(size=8)[data["h"].map("abcdefgh".index)]
    data["y"] = mean + rng.normal(size=96) / np.sqrt(data["w"])
    formula = "y ~ x + (x | g) + (1 | h)"
    return data, ml.mixedlm(formula, data, weights="w", offset="o").fit()


@pytest.fixture(scope="module")
def sleep():
    data = ml.datasets.load("sleepstudy")
    return data, ml.mixedlm("Reaction ~ Days + (Days | Subject)", data).fit()


def marginal_covariance(result, data):
    """V of the rows, from what the results print."""
    components = result.variance_components
    slope, level = components.cov("g").to_numpy(), components.cov("h").to_numpy()
    z = np.column_stack([np.ones(len(data)), data["x"]])
    g, h = data["g"].to_numpy(), data["h"].to_numpy()
    v = (z @ slope @ z.T) * np.equal.outer(g, g) + level * np.equal.outer(h, h)
    return v + np.diag(result.scale / data["w"])


def test_mean_and_covariance_are_the_marginal_ones(crossed):
    data, result = crossed
    n = 4000
    y = result.simulate(n, seed=1).to_numpy()
    mean, v = result.predict(random="none"), marginal_covariance(result, data)
    errors = (y.mean(axis=1) - mean) / np.sqrt(np.diag(v) / n)
    assert np.abs(errors).max() < 4.5
    # Var of a sample covariance: (v_ij^2 + v_ii v_jj) / n
    diagonal = np.diag(v)
    sd = np.sqrt((v**2 + np.outer(diagonal, diagonal)) / n)
    assert np.abs((np.cov(y) - v) / sd).max() < 5.0


def test_with_estimated_effects_rows_are_independent(crossed):
    data, result = crossed
    n = 4000
    y = result.simulate(n, seed=2, random="estimated").to_numpy()
    variance = result.scale / data["w"].to_numpy()
    errors = (y.mean(axis=1) - result.fittedvalues) / np.sqrt(variance / n)
    assert np.abs(errors).max() < 4.5
    correlation = np.corrcoef(y) - np.eye(len(y))
    assert np.abs(correlation).max() * np.sqrt(n) < 5.0
    assert np.abs(y.var(axis=1) / variance - 1.0).max() * np.sqrt(n / 2.0) < 4.5


def test_a_list_keeps_the_effects_of_some_factors(crossed):
    data, result = crossed
    n = 3000
    y = result.simulate(n, seed=3, random=["g"]).to_numpy()
    expected = result.predict(random=["g"])
    h = data["h"].to_numpy()
    v = result.variance_components.cov("h").to_numpy() * np.equal.outer(h, h)
    sd = np.sqrt((np.diag(v) + result.scale / data["w"]) / n)
    assert np.abs((y.mean(axis=1) - expected) / sd).max() < 4.5
    assert_array_equal(
        result.simulate(seed=4, random=["g", "h"]),
        result.simulate(seed=4, random="estimated"),
    )


def test_means_of_a_generalized_model_are_the_marginal_ones():
    data = ml.datasets.load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    result = ml.mixedglm(formula, data, family="binomial").fit()
    n = 4000
    y = result.simulate(n, seed=1).to_numpy() / data["size"].to_numpy()[:, None]
    errors = y.mean(axis=1) - result.predict(kind="marginal")
    assert np.abs(errors / (y.std(axis=1) / np.sqrt(n))).max() < 4.5


def test_the_first_simulations_do_not_depend_on_how_many_there_are(sleep):
    _, result = sleep
    assert_frame_equal(
        result.simulate(5, seed=1)[["sim_1", "sim_2"]], result.simulate(2, seed=1)
    )


def test_seeds(sleep):
    _, result = sleep
    once = result.simulate(seed=7)
    assert_frame_equal(once, result.simulate(seed=7))
    assert_frame_equal(once, result.simulate(seed=np.random.default_rng(7)))
    assert not once.equals(result.simulate(seed=8))
    assert not result.simulate().equals(result.simulate())


@settings(max_examples=10)
@given(st.randoms(use_true_random=False))
def test_effects_drawn_do_not_depend_on_the_order_of_rows(sleep, random):
    """The same seed gives each level the same effects, and each place its residual."""
    data, result = sleep
    order = list(range(len(data)))
    random.shuffle(order)
    effects = _drawn_effects(result, data)
    shuffled = _drawn_effects(result, data.iloc[order])
    assert_allclose(shuffled.loc[effects.index], effects, atol=1e-9)


def _drawn_effects(result, data):
    new, kept = (
        result.simulate(seed=3, data=data, random=random)["sim_1"]
        for random in ("new", "estimated")
    )
    return new - kept


def test_the_data_of_the_fit_as_new_rows(crossed, sleep):
    data, result = sleep
    assert_frame_equal(
        result.simulate(2, seed=1, data=data), result.simulate(2, seed=1)
    )
    data, result = crossed
    again = result.simulate(2, seed=1, data=data, offset="o", weights="w")
    assert_frame_equal(again, result.simulate(2, seed=1))


def test_new_levels_are_groups_of_their_own(sleep):
    _, result = sleep
    rows = pd.DataFrame({"Days": [0, 0, 0], "Subject": ["new", "new", "other"]})
    y = result.simulate(4000, seed=1, data=rows, random="estimated").to_numpy()
    variance = result.variance_components.cov("Subject").to_numpy()[0, 0]
    expected = variance * np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    assert_allclose(np.cov(y), expected + result.scale * np.eye(3), atol=120.0)


def test_other_answers_to_new_levels(sleep):
    _, result = sleep
    rows = pd.DataFrame({"Days": [0, 0], "Subject": ["308", "new"]})
    missing = result.simulate(seed=1, data=rows, new_levels="missing")["sim_1"]
    assert missing.isna().tolist() == [False, True]
    y = result.simulate(4000, seed=1, data=rows, new_levels="population").loc[1]
    assert_allclose(y.var(), result.scale, rtol=0.1)
    with pytest.raises(DataError, match="'new'"):
        result.simulate(data=rows, new_levels="raise")


def test_a_row_in_which_something_is_missing_has_no_response(sleep):
    _, result = sleep
    rows = pd.DataFrame(
        {"Days": [0.0, np.nan, 1.0], "Subject": ["308", "308", "309"]}, index=[5, 6, 7]
    )
    y = result.simulate(2, seed=1, data=rows)
    assert y.isna().any(axis=1).tolist() == [False, True, False]
    assert y.index.tolist() == [5, 6, 7]


def test_a_row_of_no_known_group_has_no_response(sleep):
    _, result = sleep
    rows = pd.DataFrame({"Days": [0.0, 0.0], "Subject": ["308", None]})
    assert result.simulate(seed=1, data=rows)["sim_1"].isna().tolist() == [False, True]


@settings(max_examples=10)
@given(unit=st.floats(1e-3, 1e3), of_x=st.floats(1e-3, 1e3))
def test_units_of_response_and_columns_are_those_of_the_draws(sleep, unit, of_x):
    data, result = sleep
    scaled = data.assign(Reaction=data["Reaction"] * unit, Days=data["Days"] * of_x)
    other = ml.mixedlm("Reaction ~ Days + (Days | Subject)", scaled).fit()
    drawn = other.simulate(2, seed=1)
    assert_allclose(drawn, unit * result.simulate(2, seed=1), rtol=1e-3)


@settings(max_examples=5)
@given(prefix=st.sampled_from(["s", "Subject ", "0"]))
def test_labels_in_the_same_order_give_the_same_draws(sleep, prefix):
    data, result = sleep
    other = data.assign(Subject=prefix + data["Subject"].astype(str))
    again = ml.mixedlm("Reaction ~ Days + (Days | Subject)", other).fit()
    assert_allclose(again.simulate(seed=1), result.simulate(seed=1), rtol=1e-6)


def test_rows_of_a_model_from_arrays(crossed):
    data, _ = crossed
    exog = np.column_stack([np.ones(len(data)), data["x"]])
    term = ml.RandomTerm(data["g"], name="g")
    result = ml.MixedLM(data["y"], exog, [term]).fit()
    assert result.simulate(3, seed=1).shape == (len(data), 3)
    with pytest.raises(DataError, match="built from arrays"):
        result.simulate(data=data)


BINOMIAL = {
    "successes and failures": ("cbind(hits, size - hits)", {}, "hits"),
    "a proportion": ("share", {"weights": "size"}, "share"),
    "zeros and ones": ("one", {}, "one"),
    "labels": ("label", {}, "label"),
    "booleans": ("truth", {}, "truth"),
}


@pytest.fixture(scope="module")
def binomial_data():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"g": np.repeat(np.arange(10), 12), "x": rng.normal(size=120)})
    data["size"] = rng.integers(2, 9, 120)
    p = 1.0 / (1.0 + np.exp(-data["x"] - rng.normal(size=10)[data["g"]]))
    data["hits"] = rng.binomial(data["size"], p)
    data["share"] = data["hits"] / data["size"]
    data["one"] = rng.binomial(1, p)
    data["truth"] = data["one"] == 1
    data["label"] = np.where(data["truth"], "yes", "no")
    return data


@pytest.mark.parametrize("way", BINOMIAL)
def test_binomial_responses_come_back_as_they_were_given(binomial_data, way):
    left, options, column = BINOMIAL[way]
    data = binomial_data.copy()

    def model(rows):
        formula = f"{left} ~ x + (1 | g)"
        return ml.mixedglm(formula, rows, family="binomial", **options)

    result = model(data).fit()
    y = result.simulate(1, seed=1)["sim_1"]
    assert y.dtype.kind == data[column].dtype.kind
    assert set(y.unique()) <= set(data[column].unique()) | set(y[y != y])
    again = model(data.assign(**{column: y}))
    expected = result.simulate(1, seed=1)["sim_1"]
    if way == "labels":
        expected = (expected == "yes").astype(float)
    if way == "successes and failures":
        expected = expected / data["size"]
    assert_allclose(again.endog, expected.astype(float), rtol=1e-12)


def test_of_two_array_columns_successes_are_counted(binomial_data):
    data = binomial_data
    counts = np.column_stack([data["hits"], data["size"] - data["hits"]])
    exog = np.column_stack([np.ones(len(data)), data["x"]])
    term = ml.RandomTerm(data["g"], name="g")
    result = ml.MixedGLM(counts, exog, [term], family="binomial").fit()
    y = result.simulate(seed=1)["sim_1"]
    assert y.dtype.kind == "i"
    assert (y <= data["size"]).all()
    assert y.max() > 1


def test_case_weights_leave_responses_single(binomial_data):
    """A row that counts three times is one response of a single trial."""
    data = binomial_data.assign(times=3.0)
    one = ml.mixedglm("one ~ x + (1 | g)", data, family="binomial", weights="times")
    assert set(one.fit().simulate(5, seed=1).to_numpy().ravel()) == {0, 1}
    count = ml.mixedglm("hits ~ x + (1 | g)", data, family="poisson", weights="times")
    result = count.fit()
    y = result.simulate(2000, seed=1, random="estimated")
    assert y.dtypes.map(lambda kind: kind.kind).eq("i").all()
    assert_allclose(y.var(axis=1) / result.fittedvalues, 1.0, atol=0.2)


@pytest.mark.parametrize("name", ["gamma", "inversegaussian", "negativebinomial"])
def test_rows_vary_as_the_estimated_family_says(name):
    """Dispersion over the prior weight, or the estimated size."""
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"g": np.repeat(np.arange(8), 15)})
    data["w"] = rng.choice([1.0, 4.0], 120)
    data["y"] = rng.gamma(2.0, np.exp(1.0 + 0.4 * rng.normal(size=8)[data["g"]]))
    counts = name == "negativebinomial"
    if counts:
        data["y"] = rng.poisson(data["y"])
    weights = None if counts else "w"
    family = family_of(name, "log")
    result = ml.mixedglm("y ~ 1 + (1 | g)", data, family=family, weights=weights).fit()
    n = 4000
    y = result.simulate(n, seed=1, random="estimated").to_numpy()
    mean = np.asarray(result.fittedvalues)
    shape = result._fitted.shape_values
    variance = result.scale * family.traits.variance(mean, shape).value
    variance = variance if counts else variance / data["w"].to_numpy()
    assert np.abs((y.mean(axis=1) - mean) / np.sqrt(variance / n)).max() < 4.5
    error = np.std((y - mean[:, None]) ** 2, axis=1) / np.sqrt(n)
    found = np.mean((y - mean[:, None]) ** 2, axis=1)
    assert np.abs((found - variance) / error).max() < 6.0  # squares are skewed


def test_means_outside_of_the_link_are_told():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(8), 10)})
    level = np.array([0.2, 0.3, 0.7, 0.8, 0.4, 0.5, 0.8, 0.2])
    data["y"] = rng.binomial(1, level[data["g"]])
    model = ml.MixedGLM(
        data["y"],
        np.ones(len(data)),
        ml.RandomTerm(data["g"]),
        family=family_of("binomial", "identity"),
    )
    result = model.fit()
    with pytest.warns(DroppedRowsWarning, match="identity link gives no binomial mean"):
        y = result.simulate(2000, seed=1)
    assert 0.0 < y.isna().to_numpy().mean() < 0.5


def test_aliased_columns_and_zero_variances_are_no_obstacle():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(np.arange(10), 5), "x": rng.normal(size=50)})
    data["twice"] = 2.0 * data["x"]
    data["y"] = data["x"] + rng.normal(size=50)
    data["y"] -= data.groupby("g")["y"].transform("mean")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the alias, and of the zero
        result = ml.mixedlm("y ~ x + twice + (1 | g)", data).fit()
    assert result.is_singular
    y = result.simulate(2000, seed=1)
    assert_allclose(y.var(axis=1).mean(), result.scale, rtol=0.05)
    new = result.simulate(2, seed=1, data=data.drop(columns="y"))
    assert_frame_equal(new, result.simulate(2, seed=1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0}, "n=0 is no whole number from 1 on"),
        ({"n": 2.5}, "n=2.5"),
        ({"random": "all"}, "of \\['Subject'\\]"),
        ({"random": ["school"]}, "list of the grouping factors"),
        ({"random": None}, 'use "new"'),
        ({"new_levels": "zero"}, "'draw'"),
        ({"seed": "x"}, "seed='x' is no seed"),
        ({"weights": "w"}, "weights= is for new rows"),
    ],
)
def test_bad_options_are_refused(sleep, options, said):
    with pytest.raises(DataError, match=said):
        sleep[1].simulate(**options)
