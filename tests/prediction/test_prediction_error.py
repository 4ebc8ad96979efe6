"""Standard errors of predictions against the mixed-model equations, formed in full."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import multilevel as ml
from multilevel.errors import DataError
from multilevel.prediction.one_factor_variance import one_factor_variance
from multilevel.prediction.prediction_error import FittedCovariance, prediction_variance
from multilevel.prediction.prediction_options import PredictionOptions
from multilevel.prediction.prediction_rows import rows_to_predict
from multilevel.prediction.row_elimination import _filled_codes
from small_data import grouped_responses

COLUMNS = [
    "mean",
    "mean_se",
    "mean_ci_lower",
    "mean_ci_upper",
    "obs_ci_lower",
    "obs_ci_upper",
]


@pytest.fixture(scope="module")
def data():
    return grouped_responses().assign(w=lambda d: 1.0 + d["size"])


def dense_rows(design, rows=None):
    """[X Z] with a column of Z for every level of every effect."""
    blocks = [design.X]
    for term in design.terms:
        factor = design.factors[term.factor_index]
        indicator = np.eye(len(factor.levels))[factor.codes]
        blocks += [indicator * column[:, None] for column in term.columns.T]
    return np.hstack(blocks)


def effect_covariance(result, scale=1.0):
    design, blocks = result.model.design, []
    for term, F in zip(design.terms, result.fit_record.factors, strict=True):
        levels = len(design.factors[term.factor_index].levels)
        blocks.append(np.kron(scale * F @ F.T, np.eye(levels)))
    size = sum(len(block) for block in blocks)
    out, start = np.zeros((size, size)), 0
    for block in blocks:
        out[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return out


def error_covariance(result, information, scale=1.0):
    """Inverse of the coefficient matrix of the mixed-model equations."""
    W = dense_rows(result.model.design)
    C = W.T @ (W * information[:, None])
    p = result.model.design.X.shape[1]
    C[p:, p:] += np.linalg.inv(effect_covariance(result, scale))
    return W, np.linalg.inv(C)


@pytest.mark.parametrize(
    "formula",
    [
        "normal ~ x + (1 | g)",
        "normal ~ x + (x | g)",
        "normal ~ x + (x || g)",
        "normal ~ x + (x | g) + (1 | h)",
        "normal ~ x + (1 | g / size)",
    ],
)
@pytest.mark.parametrize("weights", [None, "w"])
def test_linear_models(data, formula, weights):
    result = ml.mixedlm(formula, data, weights=weights).fit()
    prior = np.ones(len(data)) if weights is None else data["w"].to_numpy()
    W, V = error_covariance(result, prior / result.scale, result.scale)
    frame = result.get_prediction().summary_frame()
    assert list(frame) == COLUMNS
    assert_allclose(frame["mean"], result.fittedvalues, rtol=1e-10)
    wanted = np.sqrt(np.einsum("ij,jk,ik->i", W, V, W))
    assert_allclose(frame["mean_se"], wanted, rtol=1e-7)
    again = result.get_prediction(data, weights=weights).summary_frame()
    assert_allclose(again, frame, rtol=1e-8)
    spread = np.sqrt(wanted**2 + result.scale / prior)
    width = frame["obs_ci_upper"] - frame["obs_ci_lower"]
    normal = result.with_ddf("normal").get_prediction().summary_frame()
    z_width = normal["obs_ci_upper"] - normal["obs_ci_lower"]
    assert_allclose(z_width, 2 * 1.959963985 * spread, rtol=1e-7)
    assert (width > z_width).all()


def test_some_factors_only(data):
    result = ml.mixedlm("normal ~ x + (x | g) + (1 | h)", data).fit(ddf="normal")
    W, V = error_covariance(result, np.full(len(data), 1 / result.scale), result.scale)
    W[:, 2 + 2 * result.ngroups["g"] :] = 0.0
    frame = result.get_prediction(random=["g"]).summary_frame()
    wanted = np.einsum("ij,jk,ik->i", W, V, W)
    assert_allclose(frame["mean_se"], np.sqrt(wanted), rtol=1e-7)
    # The factor that is left out counts as a new level for an observation.
    spread = np.sqrt(wanted + result.cov_re["h"].iloc[0, 0] + result.scale)
    width = frame["obs_ci_upper"] - frame["obs_ci_lower"]
    assert_allclose(width, 2 * 1.959963985 * spread, rtol=1e-7)


def test_fixed_effects_alone_use_the_degrees_of_freedom(data):
    result = ml.mixedlm("normal ~ x + (x | g)", data).fit()
    new = pd.DataFrame({"x": [0.0, 1.5]})
    frame = result.get_prediction(new, random="none").summary_frame(0.1)
    test = result.t_test([[1, 0], [1, 1.5]])
    assert_allclose(frame["mean_se"], test.sd, rtol=1e-10)
    limits = test.conf_int(0.1)
    assert_allclose(frame[["mean_ci_lower", "mean_ci_upper"]], limits, rtol=1e-8)


def test_new_levels_count_as_zero_or_as_missing(data):
    result = ml.mixedlm("normal ~ x + (1 | g) + (1 | h)", data).fit()
    new = data.head(3).assign(g=["new", data["g"].iloc[1], "other"])
    with pytest.raises(DataError, match="2 level"):
        result.get_prediction(new)
    frame = result.get_prediction(new, new_levels="population").summary_frame()
    alone = result.get_prediction(new, random=["h"]).summary_frame()
    assert_allclose(frame.iloc[[0, 2]], alone.iloc[[0, 2]])
    missing = result.get_prediction(new, new_levels="missing").summary_frame()
    assert missing.isna().all(axis=1).tolist() == [True, False, True]
    assert_allclose(missing.iloc[1], frame.iloc[1])


def test_missing_values_of_new_rows(data):
    result = ml.mixedlm("normal ~ x + (x | g)", data).fit()
    new = data.head(3).assign(x=[1.0, np.nan, 2.0])
    frame = result.get_prediction(new).summary_frame()
    assert frame.isna().all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("cbind(yes, size - yes) ~ x + (x | g)", "binomial"),
        ("count ~ x + (1 | g) + (1 | h)", "poisson"),
    ],
)
def test_generalized_models(data, formula, family):
    result = ml.mixedglm(formula, data, family=family).fit()
    mean = np.asarray(result.fittedvalues)
    trials = 1.0 if family == "poisson" else data["size"].to_numpy()
    variance = mean * (1 - mean) if family == "binomial" else mean
    information = trials * variance
    W, V = error_covariance(result, information)
    # The fixed effects' own covariance allows for the estimated variances too.
    p = len(result.params)
    gain = W[:, :p] - W[:, p:] @ np.linalg.solve(
        (W.T @ (W * information[:, None]))[p:, p:]
        + np.linalg.inv(effect_covariance(result)),
        W[:, p:].T @ (W[:, :p] * information[:, None]),
    )
    extra = np.asarray(result.cov_params()) - V[:p, :p]
    wanted = np.einsum("ij,jk,ik->i", W, V, W)
    wanted += np.einsum("ij,jk,ik->i", gain, extra, gain)
    prediction = result.get_prediction()
    assert_allclose(prediction.se_linpred, np.sqrt(wanted), rtol=1e-6)
    frame = prediction.summary_frame()
    assert_allclose(frame["mean_se"], variance * np.sqrt(wanted), rtol=1e-6)
    assert (frame["mean_ci_lower"] > 0).all()
    again = result.get_prediction(data, weights="size").summary_frame()
    assert_allclose(again["mean_se"], frame["mean_se"], rtol=1e-7)


def test_nested_levels_that_are_new_stay_cheap():
    rng = np.random.default_rng(0)
    codes = np.arange(6000)
    frame = pd.DataFrame({"y": rng.normal(size=12000), "inner": np.repeat(codes, 2)})
    frame["outer"] = frame["inner"] // 3
    frame["y"] += rng.normal(size=6000)[frame["inner"]]
    frame["y"] += rng.normal(size=2000)[frame["outer"]]
    result = ml.mixedlm("y ~ 1 + (1 | outer / inner)", frame).fit()
    new = frame.head(4).assign(inner=-1)
    found = result.get_prediction(new, new_levels="population").summary_frame()
    wanted = result.get_prediction(random=["outer"]).summary_frame()
    assert_allclose(found.iloc[:2], wanted.iloc[:2])


@pytest.mark.parametrize("response", ["normal", "count"])
@pytest.mark.parametrize("shift", [2005.0, 2e5])
@pytest.mark.parametrize("groups", ["(x | g)", "(x | g) + (1 | h)"])
def test_errors_do_not_depend_on_the_origin_of_a_slope(data, response, shift, groups):
    def errors(frame):
        formula = f"{response} ~ x + {groups}"
        if response == "normal":
            return ml.mixedlm(formula, frame).fit().get_prediction().se_linpred
        fit = ml.mixedglm(formula, frame, family="poisson").fit()
        return fit.get_prediction().se_linpred

    found, expected = errors(data.assign(x=data["x"] + shift)), errors(data)
    assert_allclose(found, expected, rtol=1e-3)


def test_levels_that_are_not_used_leave_nested_factors_nested():
    """Else new rows would tie groups together, and the elimination would cross them."""
    rng = np.random.default_rng(0)
    g, h = np.indices((5, 3)).reshape(2, -1).repeat(4, axis=1)
    data = pd.DataFrame({"y": rng.normal(size=60), "g": g, "h": h})
    design = ml.mixedlm("y ~ 1 + (1 | g / h)", data).design
    asked = PredictionOptions(random=["g:h"], new_levels="raise")
    rows = rows_to_predict(design, data, asked, every_effect=True)
    assert (rows.codes[0] == -1).all()
    filled = _filled_codes(design, rows)
    assert_array_equal(filled[0], design.factors[0].codes)
    assert_array_equal(filled[1], design.factors[1].codes)


@pytest.mark.parametrize(
    ("formula", "origin", "tolerance"),
    [
        ("normal ~ x + (x | g)", 0.0, 1e-9),
        ("normal ~ x + (x | g)", 1e4, 1e-6),
        ("normal ~ x + (x || g)", 0.0, 1e-9),
    ],
)
def test_one_factor_by_its_products_is_the_elimination_of_its_rows(
    data, formula, origin, tolerance
):
    fitted = ml.mixedlm(formula, data.assign(x=data["x"] + origin)).fit()._fitted
    asked = PredictionOptions(random="all", new_levels="population")
    rows = rows_to_predict(fitted.design, None, asked, every_effect=True)
    without = np.arange(len(data)) % 3 == 0
    rows = replace(rows, codes=(np.where(without, -1, rows.codes[0]),))
    found = one_factor_variance(fitted.problem, fitted.point(), rows)
    covariance = FittedCovariance.of(fitted)
    expected = prediction_variance(fitted.design, covariance, rows)
    assert_allclose(fitted.scale * found, expected, rtol=tolerance)


def test_a_new_row_without_its_weight_is_not_predicted(data):
    result = ml.mixedlm("normal ~ x + (1 | g)", data, weights="w").fit()
    new = data.head(2)
    known = result.get_prediction(new, weights=[3.0, 2.0]).summary_frame()
    found = result.get_prediction(new, weights=[np.nan, 2.0]).summary_frame()
    assert found.iloc[0].isna().all()
    assert_allclose(found.iloc[1], known.iloc[1])
