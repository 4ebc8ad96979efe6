"""Influence of single rows, against dense algebra, R and refits."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.diagnostics.influence import influence
from reference_cases import load_references
from small_data import grouped_responses

FRAME = grouped_responses(n_groups=8)
FRAME["w"] = np.random.default_rng(2).uniform(0.5, 3.0, len(FRAME))


def named(case):
    return case.id


@pytest.mark.parametrize(
    "case",
    [c for c in load_references("inference") if c["type"] == "influence_rows"],
    ids=named,
)
def test_leverage_and_cooks_distance_are_those_of_lme4(case):
    found, wanted = case.fitted().influence().frame, case["result"]
    first = found.iloc[: len(wanted["hat_first"])]
    assert_allclose(first["leverage"], wanted["hat_first"], rtol=1e-5)
    # A residual that happens to be small has fewer digits, squared.
    assert_allclose(first["cooks_distance"], wanted["cooks_first"], rtol=1e-4)
    assert_allclose(found["leverage"].sum(), wanted["hat_sum"], rtol=1e-6)
    assert_allclose(found["cooks_distance"].max(), wanted["cooks_max"], rtol=1e-4)
    assert found["cooks_distance"].argmax() == wanted["cooks_argmax_0based"]


MODELS = {
    "slopes": ("normal ~ x + (x | g)", {}),
    "independent slopes by ML": ("normal ~ x + (x || g)", {"reml": False}),
    "crossed": ("normal ~ x + (1 | g) + (1 | h)", {}),
    "crossed slopes": ("normal ~ x + (x | g) + (1 | h)", {}),
    "weights and offset": ("normal ~ x + offset(size / 5) + (x | g)", {}),
}


def quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def fit(name, frame=FRAME):
    formula, options = MODELS[name]
    weights = "w" if name.startswith("weights") else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ml.mixedlm(formula, frame, weights=weights).fit(**options)


def dense(fitted):
    """X, V / sigma^2 and y less the offset, written out."""
    design = fitted.design
    w = np.ones(len(design.y)) if design.weights is None else design.weights
    V = np.diag(1.0 / w)
    for term, F in zip(design.terms, fitted.fit.factors, strict=True):
        codes = design.factors[term.factor_index].codes
        same = codes[:, None] == codes[None, :]
        V = V + same * (term.columns @ F @ F.T @ term.columns.T)
    offset = 0.0 if design.offset is None else design.offset
    return design.X, V, design.y - offset


def gls(X, V, y, reml):
    """beta, its covariance and sigma^2, theta given."""
    inverse = np.linalg.inv(V)
    A = np.linalg.inv(X.T @ inverse @ X)
    beta = A @ X.T @ inverse @ y
    r = y - X @ beta
    sigma2 = r @ inverse @ r / (len(y) - (X.shape[1] if reml else 0))
    return beta, sigma2 * A, sigma2


@pytest.mark.parametrize("name", MODELS)
def test_leverage_is_the_derivative_of_fitted_values(name):
    fitted = fit(name)._fitted
    X, V, _ = dense(fitted)
    inverse = np.linalg.inv(V)
    A = np.linalg.inv(X.T @ inverse @ X)
    P = inverse - inverse @ X @ A @ X.T @ inverse
    weights = fitted.design.weights
    W = np.ones(len(X)) if weights is None else weights
    hat = np.eye(len(X)) - P / W[:, None]
    found = influence(fitted).frame["leverage"]
    assert_allclose(found, np.diag(hat), rtol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_deleting_rows_is_exact_with_theta_held(name):
    result = fit(name)
    X, V, y = dense(result._fitted)
    reml = result.criterion == "REML"
    beta, whole, _ = gls(X, V, y, reml)
    found = result.influence().frame
    for i in range(0, len(y), 7):
        keep = np.delete(np.arange(len(y)), i)
        own, covariance, _ = gls(X[keep], V[np.ix_(keep, keep)], y[keep], reml)
        dfbetas = (beta - own) / np.sqrt(np.diag(covariance))
        columns = [f"dfbetas_{n}" for n in result.params.index]
        assert_allclose(found[columns].iloc[i], dfbetas, rtol=1e-6, atol=1e-9)
        ratio = np.linalg.det(covariance) / np.linalg.det(whole)
        assert_allclose(found["covratio"].iloc[i], ratio, rtol=1e-7)


def test_a_sigma_that_is_known_is_held():
    fitted = fit("slopes")._fitted
    record = replace(fitted.fit, n_parameters=fitted.n_parameters - 1)
    known = influence(replace(fitted, fit=record)).frame
    estimated = influence(fitted).frame
    assert_allclose(known["leverage"], estimated["leverage"])
    nu, e2 = len(FRAME) - 2, np.square(fitted.design.y - fitted.mean) / fitted.scale
    scale = (nu - e2 / (1.0 - known["leverage"])) / (nu - 1.0)
    assert_allclose(known["covratio"] * scale**2, estimated["covratio"])


@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("binary ~ x + (1 | g)", "binomial"),
        ("count ~ x + (1 | g) + (1 | h)", "poisson"),
    ],
)
def test_leverages_of_a_generalized_model_are_those_of_its_working_model(
    formula, family
):
    result = ml.mixedglm(formula, FRAME, family=family).fit()
    fitted = result._fitted
    design, w = fitted.design, fitted.row_information()
    V = np.diag(1.0 / w)
    for term, F in zip(design.terms, fitted.fit.factors, strict=True):
        codes = design.factors[term.factor_index].codes
        same = codes[:, None] == codes[None, :]
        V = V + same * (term.columns @ F @ F.T @ term.columns.T)
    inverse, X = np.linalg.inv(V), design.X
    A = np.linalg.inv(X.T @ inverse @ X)
    P = inverse - inverse @ X @ A @ X.T @ inverse
    assert_allclose(
        result.influence().frame["leverage"], 1.0 - np.diag(P) / w, rtol=1e-7
    )


def test_one_step_dfbetas_of_counts_are_near_those_of_refits():
    result = ml.mixedglm("count ~ x + (1 | g)", FRAME, family="poisson").fit()
    name = "dfbetas_x"
    near, exact = result.influence().frame[name], result.influence(exact=True).frame
    assert np.corrcoef(near, exact[name])[0, 1] > 0.99
    largest = np.abs(exact[name]).argmax()
    assert_allclose(near.iloc[largest], exact[name].iloc[largest], rtol=0.25)


def test_refits_change_what_depends_on_theta_only():
    result = fit("slopes")
    near, exact = result.influence().frame, result.influence(exact=True).frame
    assert_allclose(near["leverage"], exact["leverage"])
    assert_allclose(near["cooks_distance"], exact["cooks_distance"])
    without = FRAME.drop(index=FRAME.index[3])
    again = fit("slopes", without)
    wanted = (result.params - again.params) / again.bse
    found = exact.iloc[3][[f"dfbetas_{n}" for n in wanted.index]]
    assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_a_column_that_was_left_out_has_no_dfbetas():
    frame = FRAME.assign(twice=2.0 * FRAME["x"])
    with pytest.warns(ml.errors.RankDeficiencyWarning):
        model = ml.mixedlm("normal ~ x + twice + (x | g)", frame)
    found = quietly(model.fit).influence().frame
    assert found["dfbetas_twice"].isna().all()
    plain = fit("slopes").influence().frame
    assert_allclose(found["dfbetas_x"], plain["dfbetas_x"], rtol=1e-6)


def test_a_row_that_alone_tells_of_a_coefficient():
    frame = FRAME.assign(only=(np.arange(len(FRAME)) == 4).astype(float))
    model = ml.mixedlm("normal ~ x + only + (1 | g)", frame)
    found = quietly(model.fit).influence().frame
    assert_allclose(found["leverage"].iloc[4], 1.0)
    assert found.iloc[4][["cooks_distance", "covratio", "dfbetas_x"]].isna().all()
    assert np.isfinite(found.drop(index=found.index[4])).all().all()


def test_no_fixed_effects():
    found = ml.mixedlm("normal ~ 0 + (1 | g)", FRAME).fit().influence()
    assert list(found.frame) == ["leverage", "cooks_distance", "covratio"]
    assert found.frame["cooks_distance"].isna().all()
    assert "leverage" in str(found)


def test_the_variance_estimated_as_zero_leaves_those_of_ols():
    from statsmodels.formula.api import ols

    frame = FRAME.assign(y=np.random.default_rng(5).normal(size=len(FRAME)))
    frame["y"] -= frame.groupby("g")["y"].transform("mean")
    with pytest.warns(ml.errors.SingularFitWarning):
        result = ml.mixedlm("y ~ x + (1 | g)", frame).fit()
    found, wanted = result.influence().frame, ols("y ~ x", frame).fit().get_influence()
    assert_allclose(found["leverage"], wanted.hat_matrix_diag, rtol=1e-8)
    assert_allclose(found["cooks_distance"], wanted.cooks_distance[0], rtol=1e-7)
    assert_allclose(found["covratio"], wanted.cov_ratio, rtol=1e-7)


FIRST = fit("slopes").influence().frame


@given(
    scale=st.floats(1e-3, 1e3),
    origin=st.floats(-1e3, 1e3),
    unit=st.floats(1e-3, 1e3),
    seed=st.integers(0, 9),
)
def test_units_origins_order_and_labels_do_not_matter(scale, origin, unit, seed):
    order = np.random.default_rng(seed).permutation(len(FRAME))
    other = FRAME.assign(
        normal=scale * FRAME["normal"] + origin,
        x=unit * FRAME["x"],
        g=FRAME["g"].str.replace("g", "zz"),
    ).iloc[order]
    found = fit("slopes", other).influence().frame.loc[FIRST.index]
    # theta is found to some 1e-6 of its standard error.
    for column in ("leverage", "cooks_distance", "covratio", "dfbetas_x"):
        assert_allclose(found[column], FIRST[column], rtol=1e-3, atol=1e-5)


def test_frames_are_copies_and_tables_print():
    found = fit("slopes").influence()
    mine = found.frame
    mine["leverage"] = 0.0
    assert found.frame["leverage"].min() > 0
    assert "Cook's distance" in str(found)
    assert "<table" in found._repr_html_()
    assert isinstance(found.frame.index, pd.Index)
