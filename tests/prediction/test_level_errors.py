"""Errors of random effects and coefficients, against the equations formed in full."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import DataError, SingularFitWarning
from small_data import grouped_responses

TMB_RANDOM = [12.82781316, 2.58590299]
TMB_BOTH = [12.07082602, 2.30483464]
"""Standard errors in sleepstudy, intercept and slope: glmmTMB 1.1.5, R 4.2.2."""
COLUMNS = ["level", "effect", "estimate", "se", "df", "lower", "upper"]


@pytest.fixture(scope="module")
def data():
    return grouped_responses().assign(w=lambda d: 1.0 + d["size"])


def dense_covariance(result, information):
    """Covariance of b given beta, and of (beta^, b^ - b), with C of the fit."""
    design, scale = result.model.design, result.fit_record.sigma**2
    blocks, inverse = [], []
    for term, F in zip(design.terms, result.fit_record.factors, strict=True):
        indicator = np.eye(len(design.factors[term.factor_index].levels))
        codes = design.factors[term.factor_index].codes
        blocks += [indicator[codes] * column[:, None] for column in term.columns.T]
        inverse.append(np.kron(np.linalg.inv(scale * F @ F.T), indicator))
    Z, X = np.hstack(blocks), design.X
    G_inverse = np.zeros((Z.shape[1],) * 2)
    start = 0
    for block in inverse:
        end = start + len(block)
        G_inverse[start:end, start:end], start = block, end
    K = np.linalg.inv(Z.T @ (Z * information[:, None]) + G_inverse)
    moved = K @ Z.T @ (X * information[:, None])
    C = np.asarray(result.fit_record.cov_beta)
    joint = np.block([[C, -C @ moved.T], [-moved @ C, K + moved @ C @ moved.T]])
    return K, joint


def assert_errors_are_dense(result, information, rtol):
    design = result.model.design
    K, joint = dense_covariance(result, information)
    p, first = len(design.kept), 0
    for term in design.terms:
        factor = design.factors[term.factor_index]
        levels = len(factor.levels)
        for e, name in enumerate(term.effects):
            at = first + e * levels + np.arange(levels)
            own = joint[p + at, p + at]
            found = result.random_effects_se[factor.name][name]
            assert_allclose(found, np.sqrt(own), rtol=rtol)
            order = list(result.random_effects[factor.name]).index(name)
            conditional = result.random_effects_cov[factor.name][:, order, order]
            assert_allclose(conditional, K[at, at], rtol=rtol)
            assert (found**2 >= conditional * (1 - 1e-9)).all()
            if name in design.kept_names:
                b = design.kept_names.index(name)
                own = own + joint[b, b] + 2 * joint[b, p + at]
            assert_allclose(
                result.coefficients_se[factor.name][name], np.sqrt(own), rtol=rtol
            )
        first += levels * len(term.effects)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize(
    "formula",
    [
        "normal ~ x + (x | g)",
        "normal ~ 1 + (x || g)",
        "normal ~ 0 + (1 | g)",
        "normal ~ x + (x | g) + (1 | h)",
        "normal ~ x + offset(np.sin(x)) + (1 | g / size)",
        "normal ~ x + I(2 * x) + (1 | g) + (0 + x | g)",
    ],
)
@pytest.mark.filterwarnings("ignore::multilevel.errors.RankDeficiencyWarning")
def test_linear_models(data, formula, weights):
    result = ml.mixedlm(formula, data, weights=weights).fit()
    prior = np.ones(len(data)) if weights is None else data["w"].to_numpy()
    assert_errors_are_dense(result, prior / result.scale, 1e-6)


@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("cbind(yes, size - yes) ~ x + (x | g)", "binomial"),
        ("count ~ x + (1 | g) + (1 | h)", "poisson"),
        ("count ~ 1 + (x | g)", "poisson"),
    ],
)
def test_generalized_models(data, formula, family):
    result = ml.mixedglm(formula, data, family=family).fit()
    mean = np.asarray(result.fittedvalues)
    information = mean
    if family == "binomial":
        information = data["size"].to_numpy() * mean * (1 - mean)
    assert_errors_are_dense(result, information, 1e-5)


def test_conditional_covariances_are_blocks_of_the_full_inverse(data):
    """Covariances of the effects of one level too, of terms side by side."""
    result = ml.mixedglm(
        "count ~ x + (1 | g) + (0 + x | g)", data, family="poisson"
    ).fit()
    K, _ = dense_covariance(result, np.asarray(result.fittedvalues))
    J = result.ngroups["g"]
    blocks = K.reshape(2, J, 2, J)[:, np.arange(J), :, np.arange(J)]
    assert_allclose(result.random_effects_cov["g"], blocks, rtol=1e-5, atol=1e-9)


def test_agrees_with_tmb():
    # TMB::sdreport(getJointPrecision=TRUE) of a fit with map = list(theta, betad): the
    # joint precision of (beta, b) by ML, variance parameters held at the estimates.
    data = ml.datasets.load("sleepstudy")
    result = ml.mixedlm("Reaction ~ Days + (Days | Subject)", data).fit(reml=False)
    random, both = result.random_effects_se, result.coefficients_se
    assert_allclose(random["Subject"].iloc[0], TMB_RANDOM, rtol=2e-5)
    assert_allclose(both["Subject"].iloc[0], TMB_BOTH, rtol=2e-5)


def test_the_table_is_the_prediction_at_one_and_zero():
    data = ml.datasets.load("sleepstudy")
    result = ml.mixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    frame = result.coefficient_table().frame
    assert list(frame) == COLUMNS
    assert len(frame) == 36
    own = frame[frame["effect"] == "Intercept"]
    wanted = result.get_prediction(data[data["Days"] == 0]).summary_frame()
    assert_allclose(own["estimate"], wanted["mean"])
    assert_allclose(own["se"], wanted["mean_se"])
    assert_allclose(own["lower"], wanted["mean_ci_lower"])
    estimates = frame.pivot(index="level", columns="effect", values="estimate")
    table = result.coefficients["Subject"]
    assert_allclose(estimates[table.columns], table)
    modes = result.random_effects_table(alpha=0.5).frame
    assert_allclose(modes["estimate"], result.random_effects["Subject"].to_numpy().flat)
    assert "cover 50 %" in str(result.random_effects_table(alpha=0.5))


def test_fixed_effects_that_do_not_vary_keep_their_standard_error(data):
    result = ml.mixedlm("normal ~ x + (1 | g)", data).fit()
    assert_allclose(result.coefficients_se["g"]["x"], result.bse["x"])
    assert set(result.coefficient_table().frame["effect"]) == {"Intercept"}


def test_limits_of_generalized_models_are_normal(data):
    result = ml.mixedglm("count ~ x + (1 | g) + (1 | h)", data, family="poisson").fit()
    frame = result.coefficient_table("h").frame
    assert np.isinf(frame["df"]).all()
    assert_allclose(frame["upper"] - frame["estimate"], 1.959963985 * frame["se"])


def test_the_factor_is_named_where_there_are_several(data):
    result = ml.mixedlm("normal ~ x + (1 | g) + (1 | h)", data).fit()
    with pytest.raises(DataError, match="several grouping factors: name one of 'g'"):
        result.coefficient_table()
    with pytest.raises(DataError, match="no factor 'k'"):
        result.random_effects_table("k")


def test_a_variance_of_zero_leaves_the_error_of_the_fixed_effect():
    model = ml.mixedlm("Yield ~ 1 + (1 | Batch)", ml.datasets.load("dyestuff2"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        result = model.fit()
    assert_allclose(result.coefficients_se["Batch"], result.bse["Intercept"])
    frame = result.random_effects_table().frame
    assert (frame[["estimate", "se", "lower", "upper"]] == 0.0).all(axis=None)


@given(
    unit=st.sampled_from([1e-6, 1.0, 1e5]),
    origin=st.sampled_from([0.0, 3.0, 2000.0]),
    seed=st.integers(0, 3),
)
def test_units_origins_and_order_do_not_matter(unit, origin, seed):
    data = grouped_responses(seed=5, n_groups=8)
    plain = ml.mixedlm("normal ~ x + (x | g)", data).fit().coefficient_table().frame
    moved = data.assign(normal=unit * data["normal"], x=data["x"] + origin)
    moved = moved.sample(frac=1.0, random_state=seed)
    result = ml.mixedlm("normal ~ x + (x | g)", moved).fit()
    other = result.coefficient_table().frame
    slopes = plain["effect"] == "x"
    for name in ("estimate", "se", "lower", "upper"):
        assert_allclose(
            other[name][slopes] / unit, plain[name][slopes], rtol=2e-4, atol=1e-4
        )
    # The intercept at the old origin is a prediction of the moved model.
    at = pd.DataFrame({"x": origin, "g": plain["level"][~slopes]})
    again = result.get_prediction(at).summary_frame()
    assert_allclose(again["mean_se"] / unit, plain["se"][~slopes], rtol=1e-4)


def covered(n_levels: int, n_samples: int) -> np.ndarray:
    """Shares that limits cover, by t, by z, and given the fixed effects, (n, 3)."""
    rng, found = np.random.default_rng(7), []
    g, x = np.repeat(np.arange(n_levels), 5), np.tile(np.arange(5.0) - 2.0, n_levels)
    for _ in range(n_samples):
        b = rng.normal(scale=[1.0, 0.5], size=(n_levels, 2))
        y = 1.0 + b[g, 0] + (0.3 + b[g, 1]) * x + rng.normal(size=len(g))
        model = ml.mixedlm("y ~ x + (x | g)", {"y": y, "x": x, "g": g})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SingularFitWarning)
            result = model.fit()
        frame, true = result.coefficient_table().frame, (b + [1.0, 0.3]).ravel()
        blocks = result.random_effects_cov["g"]
        given = np.sqrt(np.diagonal(blocks, axis1=1, axis2=2)).ravel()
        error = (frame["estimate"] - true).abs()
        by_t = (frame["lower"] < true) & (true < frame["upper"])
        by_z, alone = error < 1.96 * frame["se"], error < 1.96 * given
        found.append([by_t.mean(), by_z.mean(), alone.mean()])
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_levels", "n_samples", "shares"),
    [(6, 150, [0.90, 0.85, 0.79]), (12, 150, [0.93, 0.90, 0.89])],
)
def test_the_table_of_coverage_in_the_guide_holds(n_levels, n_samples, shares):
    found = covered(n_levels, n_samples)
    allowed = 0.005 + 4 * found.std(axis=0) / np.sqrt(n_samples)
    assert (np.abs(found.mean(axis=0) - shares) < allowed).all()
