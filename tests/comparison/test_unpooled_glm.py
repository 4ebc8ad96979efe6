"""Generalized regressions of single groups against statsmodels, and separation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar
from statsmodels.genmod import families
from statsmodels.genmod.families import links
from statsmodels.genmod.generalized_linear_model import GLM

import multilevel as ml
from multilevel.errors import ComparisonError, DataError
from multilevel.likelihood.families.registry import family_of
from multilevel.likelihood.families.traits import bind_rows
from multilevel.optimize.generalized.separation import separating_direction


def frame_of(seed: int = 1, n_groups: int = 8) -> pd.DataFrame:
    """Responses of every family, x, weights and offset in groups of 8 to 24 rows."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(8, 25, n_groups)
    n = sizes.sum()
    x = rng.normal(size=n)
    mean = np.exp(0.5 + 0.3 * x)
    return pd.DataFrame(
        {
            "g": np.repeat([f"g{j}" for j in range(n_groups)], sizes),
            "x": x,
            "w": rng.uniform(0.5, 2.0, n),
            "o": 0.1 * rng.normal(size=n),
            "count": rng.poisson(mean),
            "positive": mean * rng.gamma(3.0, 1.0 / 3.0, n),
            "normal": mean + 0.2 * rng.normal(size=n),
            "binary": (rng.normal(size=n) < 0.3 * x).astype(int),
        }
    )


CASES = {
    "poisson": ("count", families.Poisson()),
    "negative binomial": ("count", families.NegativeBinomial(alpha=0.5)),
    "gamma": ("positive", families.Gamma(link=links.Log())),
    "inverse gaussian": ("positive", families.InverseGaussian(link=links.Log())),
    "gaussian log": ("normal", families.Gaussian(link=links.Log())),
    "gaussian": ("normal", families.Gaussian()),
    "logit": ("binary", families.Binomial()),
    "probit": ("binary", families.Binomial(link=links.Probit())),
    "cloglog": ("binary", families.Binomial(link=links.CLogLog())),
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_looped_glm(case: str, weighted: bool) -> None:
    response, family = CASES[case]
    frame = frame_of()
    weights = "w" if weighted and response != "binary" else None
    fits = ml.unpooled(
        f"{response} ~ x | g", frame, family=family, weights=weights, offset="o"
    )
    kind = "freq_weights" if response == "count" else "var_weights"
    assert len(fits.groups) > 4
    for group in fits.groups:
        rows = frame[frame["g"] == group]
        more = {kind: rows["w"]} if weights else {}
        exog = np.column_stack([np.ones(len(rows)), rows["x"]])
        model = GLM(rows[response], exog, family=family, offset=rows["o"], **more)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of links that are not theirs by default
            own = model.fit(tol=1e-13, maxiter=300)
        assert_allclose(fits.params.loc[group], own.params, rtol=1e-6, atol=1e-6)
        # Theirs are of the last but one step.
        assert_allclose(fits.bse.loc[group], own.bse, rtol=1e-5)
        assert_allclose(
            fits.fittedvalues[rows.index], own.fittedvalues, rtol=1e-6, atol=1e-6
        )
        if fits.has_scale:
            assert_allclose(fits.sigma[group] ** 2, own.scale, rtol=1e-6)
        else:
            assert_allclose(fits.llf_groups[group], own.llf, rtol=1e-9)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("name", ["gamma", "inversegaussian"])
def test_likelihood_is_at_the_best_dispersion(name: str, weights: str | None) -> None:
    frame = frame_of()
    family = family_of(name, "log")
    fits = ml.unpooled("positive ~ x | g", frame, family=family, weights=weights)
    for group in fits.groups[:3]:
        rows = frame[frame["g"] == group]
        own = None if weights is None else rows["w"].to_numpy()
        likelihood = bind_rows(family, rows["positive"].to_numpy(), own)
        eta = np.log(fits.fittedvalues[rows.index].to_numpy())

        def minus_llf(log_phi: float, given: Any = likelihood, at: Any = eta) -> float:
            shapes = np.array([log_phi])
            density = given.density(at, shapes)[0] + given.normalizer(shapes)
            return -float(density.sum())

        best = minimize_scalar(minus_llf, bracket=(-2.0, 0.0), tol=1e-12).fun
        assert_allclose(fits.llf_groups[group], -best, rtol=1e-9)


@pytest.mark.parametrize("case", ["poisson", "negative binomial", "gamma", "logit"])
def test_one_group_as_statsmodels_results(case: str) -> None:
    response, family = CASES[case]
    fits = ml.unpooled(f"{response} ~ x | g", frame_of(), family=family, offset="o")
    own = fits.regression("g2")
    assert_allclose(own.params, fits.params.loc["g2"], rtol=1e-6)
    assert_allclose(own.bse, fits.bse.loc["g2"], rtol=1e-5)


def test_trials_are_weights_of_proportions() -> None:
    data = ml.datasets.load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ 1 | herd"
    fits = ml.unpooled(formula, data, family="binomial")
    totals = data.groupby("herd", observed=True)[["incidence", "size"]].sum()
    share = totals["incidence"] / totals["size"]
    found = fits.params["Intercept"]
    assert_allclose(found, np.log(share / (1 - share)).reindex(found.index))
    error = np.sqrt(1 / (totals["size"] * share * (1 - share)))
    assert_allclose(fits.bse["Intercept"], error.reindex(found.index), rtol=1e-9)
    assert (fits.sigma == 1.0).all()
    assert fits.pooled_sigma == 1.0
    assert "z" in fits.to_frame()


def binary(rows: dict[str, tuple[list[float], list[int]]]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"g": group, "x": x, "y": y}) for group, (x, y) in rows.items()
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "cauchy"])
def test_separated_groups_are_listed(link: str) -> None:
    data = binary(
        {
            "fine": ([1, 2, 3, 4, 5, 6], [0, 1, 0, 1, 0, 1]),
            "complete": ([1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1]),
            "quasi": ([1, 2, 3, 3, 4, 5], [0, 0, 0, 1, 1, 1]),
            "zeros": ([1, 2, 3, 4], [0, 0, 0, 0]),
            "nearly": ([1, 2, 3, 3.01, 4, 5], [0, 0, 1, 0, 1, 1]),
        }
    )
    family = family_of("binomial", link)
    fits = ml.unpooled("y ~ x | g", data, family=family)
    assert fits.excluded == {
        "complete": "separated: no finite estimate of Intercept, x",
        "quasi": "separated: no finite estimate of Intercept, x",
        "zeros": "separated: every response is 0",
    }
    assert np.isfinite(fits.params).all().all()
    assert np.isfinite(fits.llf)


def test_groups_without_a_count_are_separated() -> None:
    data = frame_of()
    data.loc[data["g"] == "g3", "count"] = 0
    data.loc[(data["g"] == "g5") & (data["x"] > 0), "count"] = 0
    data["up"] = (data["x"] > 0).astype(float)
    fits = ml.unpooled("count ~ up | g", data, family="poisson")
    assert fits.excluded == {
        "g3": "separated: every response is 0",
        "g5": "separated: no finite estimate of up",
    }


@given(seed=st.integers(0, 2**20), scale=st.sampled_from([1e-4, 1.0, 1e3]))
def test_separation_does_not_depend_on_units_order_or_labels(
    seed: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"g": np.repeat(list("abcdef"), 7), "x": rng.normal(size=42)})
    data["y"] = (rng.normal(size=42) < 1.5 * data["x"]).astype(int)
    data.loc[data["g"] == "f", "y"] = [0, 1] * 3 + [0]
    data.loc[data["g"] == "f", "x"] = np.arange(7.0)
    moved = data.assign(x=scale * (data["x"] + 3.0)).sample(frac=1, random_state=seed)
    fits, other = (
        ml.unpooled("y ~ x + (1 | g)", d, family="binomial") for d in (data, moved)
    )
    assert fits.excluded.keys() == other.excluded.keys()
    assert_allclose(other.params["x"] * scale, fits.params["x"], rtol=1e-6, atol=1e-8)
    assert_allclose(other.llf, fits.llf, rtol=1e-8)


@pytest.mark.parametrize("response", ["binary", "count"])
def test_no_group_left_is_refused(response: str) -> None:
    data = frame_of()
    family = "binomial" if response == "binary" else "poisson"
    # Varies between groups, not within any.
    data[response] = (data["g"] == "g1").astype(int) if response == "binary" else 0
    data.loc[data["g"] == "g1", "x"] = 1.0
    data.loc[data["g"] == "g1", response] = 1
    with pytest.raises(ComparisonError, match=r"none of the 8 .* every response is 0"):
        ml.unpooled(f"{response} ~ x | g", data, family=family)


def test_a_saturated_group_of_counts_is_fitted() -> None:
    rows = {"g": list("aabbb"), "x": [0.0, 1, 0, 1, 2], "y": [3, 5, 1, 2, 2]}
    data = pd.DataFrame(rows)
    fits = ml.unpooled("y ~ x | g", data, family="poisson")
    assert_allclose(fits.fittedvalues[:2], [3.0, 5.0])


def test_units_of_a_scaled_response_do_not_matter() -> None:
    frame = frame_of()
    near = ml.unpooled("positive ~ x | g", frame, family=family_of("gamma", "log"))
    frame["positive"] *= 1e8
    far = ml.unpooled("positive ~ x | g", frame, family=family_of("gamma", "log"))
    assert_allclose(far.params["x"], near.params["x"], rtol=1e-8)
    assert_allclose(far.sigma, near.sigma, rtol=1e-8)


def test_a_size_cannot_be_estimated_in_each_group() -> None:
    with pytest.raises(DataError, match="cannot be estimated in each group"):
        ml.unpooled("count ~ x | g", frame_of(), family="negativebinomial")
    with pytest.raises(DataError, match="must be"):
        ml.unpooled("I(-positive) ~ x | g", frame_of(), family="gamma")


def test_predictions_on_both_scales() -> None:
    frame = frame_of()
    fits = ml.unpooled("count ~ x | g", frame, family="poisson", offset="o")
    link = fits.predict(frame, kind="link")
    assert_allclose(np.exp(link), fits.predict(frame), rtol=1e-12)
    assert_allclose(fits.predict(frame), fits.fittedvalues, rtol=1e-12)
    assert_allclose(fits.resid, frame["count"] - fits.fittedvalues)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_separation_is_what_a_linear_programme_says(link: str) -> None:
    rng = np.random.default_rng(7)
    data = pd.DataFrame({"g": np.repeat(np.arange(150), 9)})
    data["x"] = rng.integers(0, 4, len(data)).astype(float)
    data["z"] = rng.normal(size=len(data)).round(1)
    data["y"] = (rng.normal(size=len(data)) < data["x"] - 1.5).astype(int)
    fits = ml.unpooled("y ~ x + z | g", data, family=family_of("binomial", link))
    judged = [g for g in range(150) if "rank" not in fits.excluded.get(g, "")]
    for group in judged:
        rows = data[data["g"] == group]
        columns = np.column_stack([np.ones(9), rows[["x", "z"]]])
        ends = 2.0 * rows["y"].to_numpy() - 1.0
        separated = separating_direction(columns, ends) is not None
        assert separated == (group in fits.excluded), group
    assert 20 < len(fits.groups) < 130
