"""The verdict on a design is the rank of the map from its entries to V."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import norm

import multilevel as ml
from multilevel.errors import DataError, RankDeficiencyWarning

N_GROUPS = 24


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(N_GROUPS), 8)
    n = len(g)
    x, d = rng.normal(size=n), rng.integers(0, 2, n)
    f = np.where(g % 2 == 0, "a", "b")
    effect = rng.normal(size=N_GROUPS)[g] * np.where(f == "a", 1.0, 2.0)
    y = 1 + x + effect + rng.normal(size=n) * (1 + d)
    h = np.tile(np.repeat(["u", "v"], 4), N_GROUPS)
    return pd.DataFrame(
        {
            "y": y,
            "x": x,
            "d": d,
            "f": f,
            "g": g,
            "h": h,
            "w": rng.uniform(0.5, 2.0, n),
            "row": np.arange(n),
            "same": [f"L{7 * level + 3}" for level in g],
            "count": rng.poisson(np.exp(0.3 * y)),
            "yes": (y > 1).astype(int),
        }
    )


# Formula without the response, what is named.
SHARED_OUT = [
    ("x + (0 + f | g)", r"apart cor\(f\[a\], f\[b\] \| g\): .*\(0 \+ f \|\| g\)"),
    ("x + f + (f | g)", r"cor\(Intercept, f\[T.b\] \| g\), sd\(f\[T.b\] \| g\)"),
    ("x + (1 | g) + (0 + f | g)", r"sd\(Intercept \| g\), .*sd\(f\[b\] \| g\)"),
    ("x + (1 | g) + (0 + f || g)", r"sd\(Intercept \| g\), .*sd\(f\[b\] \| g\)"),
    ("x + (1 | g) + (1 | same)", "'g' and 'same' group the rows alike"),
    ("x + (1 | g / same)", "'g' and 'g:same' group the rows alike"),
    ("x + (0 + h | g) + (1 | g:h)", r"sd\(Intercept \| g:h\)"),
]


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.parametrize(("right", "names"), SHARED_OUT)
def test_entries_that_nothing_determines_are_named(frame, right, names):
    with pytest.warns(RankDeficiencyWarning, match=names):
        ml.mixedlm(f"y ~ {right}", frame).fit()
    with pytest.warns(RankDeficiencyWarning, match=names):
        _ = ml.mixedglm(f"count ~ {right}", frame, family="poisson").problem


def test_an_undetermined_covariance_changes_no_likelihood_and_no_prediction(frame):
    plain = ml.mixedlm("y ~ x + (0 + f || g)", frame).fit()
    model = ml.mixedlm("y ~ x + (0 + f | g)", frame)
    with pytest.warns(RankDeficiencyWarning):
        _ = model.problem
    for start in ([1.0, 0.0, 1.0], [1.0, 0.9, 2.0]):
        fit = model.fit(start=start)
        assert_allclose(fit.llf, plain.llf, atol=1e-7)
        assert_allclose(fit.predict(), plain.predict(), atol=1e-4)


@pytest.mark.filterwarnings("ignore::multilevel.errors.RankDeficiencyWarning")
@pytest.mark.parametrize("family", [None, "poisson"])
def test_what_the_data_leave_open_has_no_standard_error(frame, family):
    if family is None:
        result = ml.mixedlm("y ~ x + (f | g)", frame).fit()
    else:
        result = ml.mixedglm("count ~ x + (f | g)", frame, family=family).fit()
    table = result.variance_components.to_frame(se=True)
    missing = [False, True, True] + [False] * (family is None)
    assert list(table["se"].isna()) == missing
    assert list(table["lower"].isna()) == missing


@pytest.mark.parametrize("family", [None, "poisson"])
@pytest.mark.parametrize(
    "right",
    [
        "x + (0 + f || g)",
        "x + (x | g)",
        "x + (0 + h | g)",
        "x + h + (h | g)",
        "x + (1 | g) + (1 | g:h)",
        "x + (x | g) + (1 | h)",
        "x + (x | g) + (0 + x | g:h)",
    ],
)
def test_identified_designs_raise_no_alarm(frame, right, family):
    left = "y" if family is None else "count"
    with warnings.catch_warnings():
        warnings.simplefilter("error", RankDeficiencyWarning)
        if family is None:
            _ = ml.mixedlm(f"{left} ~ {right}", frame).problem
        else:
            _ = ml.mixedglm(f"{left} ~ {right}", frame, family=family).problem


def test_a_dummy_of_single_rows_is_a_second_residual_variance(frame):
    result = ml.mixedlm("y ~ x + (0 + d | row)", frame).fit(reml=False)
    extra = result.variance_components.to_frame()["vcov"].iloc[0]
    sd = np.sqrt(result.scale + extra * frame["d"])
    mean = result.params["Intercept"] + result.params["x"] * frame["x"]
    assert extra > 0
    assert_allclose(result.llf, norm.logpdf(frame["y"], mean, sd).sum(), rtol=1e-10)
    residual = frame["y"] - mean
    for d in (0, 1):
        own = residual[frame["d"] == d]
        assert_allclose(sd[frame["d"] == d], np.sqrt((own**2).mean()), rtol=1e-4)


# nlme 3.1, lme(Reaction ~ Days, random = ~ 1 | Subject, weights = varIdent(~ 1 | d)).
@pytest.mark.parametrize(
    ("reml", "llf"), [(False, -888.023708163), (True, -884.377913232)]
)
def test_residual_variances_by_a_dummy_agree_with_nlme(reml, llf):
    sleep = ml.datasets.load("sleepstudy")
    sleep = sleep.assign(d=(sleep["Days"] >= 5).astype(int), row=range(len(sleep)))
    model = ml.mixedlm("Reaction ~ Days + (1 | Subject) + (0 + d | row)", sleep)
    assert_allclose(model.fit(reml=reml).llf, llf, rtol=1e-9)


def test_a_row_a_level_is_told_apart_by_known_weights_that_differ(frame):
    with pytest.raises(DataError, match="each row is a group of its own"):
        ml.mixedlm("y ~ x + (1 | row)", frame)
    with pytest.raises(DataError, match="each row is a group of its own"):
        ml.mixedlm("y ~ x + (1 + d | row)", frame)
    with pytest.raises(DataError, match="sigma"):
        _ = ml.mixedlm("y ~ x + (0 + h | row)", frame).problem
    result = ml.mixedlm("y ~ x + (0 + d | row)", frame, weights="w").fit()
    assert result.converged
    _ = ml.mixedlm("y ~ x + (1 | row)", frame, weights="w").problem


def test_a_row_a_level_in_generalized_models_goes_by_the_family(frame):
    assert ml.mixedglm("count ~ x + (1 | row)", frame, family="poisson").fit().converged
    with pytest.warns(RankDeficiencyWarning, match="a single 0 or 1"):
        _ = ml.mixedglm("yes ~ x + (1 | row)", frame, family="binomial").problem
    with pytest.raises(DataError, match="each row is a group"):
        ml.mixedglm("y ~ x + (1 | row)", frame, family="gaussian")


def test_generalized_models_refuse_effects_that_the_fixed_ones_span(frame):
    with pytest.raises(DataError, match="confounded with the fixed effect of 'g'"):
        _ = ml.mixedglm("count ~ C(g) + (1 | g)", frame, family="poisson").problem


def _dense_rank(data, columns, *, correlated, more=()):
    """Rank and number of the directions of P V P, by (n, n) matrices."""
    n = len(data)
    X = np.column_stack([np.ones(n), data["x"]])
    P = np.eye(n) - X @ np.linalg.pinv(X)
    same = np.equal.outer(data["g"].to_numpy(), data["g"].to_numpy())
    Z = [column / np.sqrt((column**2).mean()) for column in columns]
    moves = [np.eye(n), *more]
    for i, left in enumerate(Z):
        for j, right in enumerate(Z[: i + 1]):
            if i == j or correlated:
                moves.append(same * (np.outer(left, right) + np.outer(right, left)))
    flat = np.array([(P @ move @ P).ravel() for move in moves])
    size = np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    return np.linalg.matrix_rank(flat / size, tol=1e-6), len(moves)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 4), min_size=4, max_size=7),
    kinds=st.tuples(*[st.sampled_from(["one", "within", "group", "two", "half"])] * 2),
    correlated=st.booleans(),
    unit=st.sampled_from([1.0, 1e-6, 1e7]),
)
def test_the_verdict_is_the_rank_of_the_dense_map(seed, sizes, kinds, correlated, unit):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(len(sizes)), sizes)
    n = len(g)
    choices = {
        "one": np.ones(n),
        "within": rng.normal(size=n),
        "group": rng.normal(size=len(sizes))[g],
        "two": (g % 2).astype(float),
        "half": 1.0 - g % 2,
    }
    if kinds[0] == kinds[1] or n < 2 * len(sizes) + 1:
        return
    data = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": g})
    data["a"], data["b"] = (choices[kind] for kind in kinds)
    rank, count = _dense_rank(
        data, [data["a"].to_numpy(), data["b"].to_numpy()], correlated=correlated
    )
    order = rng.permutation(n)
    changed = data.iloc[order].assign(
        a=lambda d: unit * d["a"], g=lambda d: [f"level {-code}" for code in d["g"]]
    )
    bar = "|" if correlated else "||"
    for rows in (data, changed):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                _ = ml.mixedlm(f"y ~ x + (0 + a + b {bar} g)", rows).problem
                silent = not any(
                    issubclass(w.category, RankDeficiencyWarning) for w in caught
                )
            except DataError:
                silent = False
        assert silent == (rank == count)


def test_few_rows_are_looked_at_by_all_factors_together():
    """Neither factor alone, nor how they group the rows, shows it: three rows do."""
    rows = pd.DataFrame({"g": [0, 0, 1, 1, 1], "h": [2, 0, 0, 0, 0]})
    rng = np.random.default_rng(291)
    rows[["x", "y"]] = rng.normal(size=(5, 2))
    with pytest.warns(RankDeficiencyWarning, match=r"sd\(Intercept \| g\), cor"):
        _ = ml.mixedlm("y ~ x + (x | g) + (1 | h)", rows).problem
    many = pd.concat([rows.assign(g=rows["g"] + 2 * i) for i in range(4)])
    many["x"] = rng.normal(size=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RankDeficiencyWarning)
        _ = ml.mixedlm("y ~ x + (x | g) + (1 | h)", many).problem


def test_units_of_a_slope_leave_the_names_alone(frame):
    found = []
    for unit in (1.0, 1e-8, 1e9):
        rows = frame.assign(b=unit * (frame["f"] == "b"))
        with pytest.warns(RankDeficiencyWarning) as caught:
            _ = ml.mixedlm("y ~ x + b + (b | g)", rows).problem
        found.append(str(caught[0].message))
    assert len(set(found)) == 1


@pytest.mark.parametrize("second", ["cell", "cross", "same", "pairs"])
@pytest.mark.parametrize("effects", ["both", "first", "one", "slope"])
@pytest.mark.parametrize("per_level", [2, 4, 5])
def test_the_verdict_on_two_factors_is_the_rank_of_the_dense_map(
    second, effects, per_level
):
    rng = np.random.default_rng(per_level)
    g = np.repeat(np.arange(7), per_level)
    n = len(g)
    half, x = np.tile(np.arange(per_level) % 2, 7), rng.normal(size=n)
    other = {
        "cell": 2 * g + half,
        "cross": np.tile(np.arange(per_level), 7),
        "same": 7 - g,
        "pairs": np.arange(n) // 2,
    }[second]
    columns = {
        "both": [half == 0, half == 1],
        "first": [half == 0],
        "one": [np.ones(n)],
        "slope": [np.ones(n), x],
    }[effects]
    if len(columns) * 7 >= n or len(set(other)) == n:
        return
    data = pd.DataFrame({"y": rng.normal(size=n), "x": x, "g": g, "s": other})
    for i, column in enumerate(columns):
        data[f"c{i}"] = np.asarray(column, dtype=float)
    values = [data[f"c{i}"].to_numpy() for i in range(len(columns))]
    rank, count = _dense_rank(
        data, values, correlated=True, more=[np.equal.outer(other, other)]
    )
    names = " + ".join(f"c{i}" for i in range(len(columns)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _ = ml.mixedlm(f"y ~ x + (0 + {names} | g) + (1 | s)", data).problem
            silent = not any(
                issubclass(w.category, RankDeficiencyWarning) for w in caught
            )
        except DataError:
            silent = False
    assert silent == (rank == count)
