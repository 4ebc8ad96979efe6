"""Influence of whole groups, against R, refits and dense identities."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from statsmodels.genmod.families import Gamma, links

import multilevel as ml
from multilevel.diagnostics.covariance_path import CovariancePath
from multilevel.diagnostics.influence import influence
from multilevel.diagnostics.one_step_linear import (
    GroupProducts,
    _deleted,
    covariance_path,
)
from multilevel.diagnostics.taylor import surfaces
from multilevel.errors import DataError
from multilevel.optimize.linear.estimates import estimates_at
from reference_cases import load_references
from small_data import grouped_responses

FRAME = grouped_responses(n_groups=30)
FRAME["w"] = np.random.default_rng(2).uniform(0.5, 3.0, len(FRAME))
FRAME["half"] = FRAME["g"] + (np.arange(len(FRAME)) % 2).astype(str)


def quietly(call, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **options)


def linear(formula, frame=FRAME, reml=True, **options):
    return quietly(ml.mixedlm(formula, frame, **options).fit, reml=reml)


@pytest.mark.parametrize(
    "case",
    [c for c in load_references("inference") if c["type"] == "delete_group"],
    ids=lambda case: case.id,
)
def test_refits_are_those_of_lme4(case):
    found, wanted = case.fitted().influence(case["group"], exact=True), case["result"]
    levels = wanted["levels"]
    assert_allclose(found.params.loc[levels], wanted["fixef"], rtol=1e-6)
    distances = found.cooks_distance.loc[levels]
    assert_allclose(distances, wanted["cooks_distance"], rtol=1e-5)
    components = found.variance_components.loc[levels]
    assert_allclose(components["sigma"], wanted["sigma"], rtol=1e-4)
    sd = np.array(wanted["theta"])[:, 0] * wanted["sigma"]
    name = f"sd(Intercept | {case['group']})"
    assert_allclose(components[name], sd, rtol=2e-3)


def test_dfbetas_are_those_of_lme4_but_for_the_sign():
    # dfbetas(influence(m, "Subject")), lme4 1.1-31, tight tolerances.
    wanted = -np.array(
        [
            [0.058724882, -0.44892744],
            [0.410874922, 0.30989690],
            [0.427608791, 0.15834122],
            [-0.329537838, 0.27909779],
        ]
    )
    sleep = ml.datasets.load("sleepstudy")
    result = ml.mixedlm("Reaction ~ Days + (Days | Subject)", sleep).fit()
    found = result.influence("Subject", exact=True).dfbetas.iloc[:4]
    assert_allclose(found, wanted, rtol=1e-4)


LINEAR = {
    "slopes": ("normal ~ x + (x | g)", True, None),
    "independent slopes by ML": ("normal ~ x + (x || g)", False, None),
    "nested": ("normal ~ x + (1 | g / half)", True, None),
    "weights and offset": ("normal ~ x + offset(size / 5) + (x | g)", True, "w"),
}


@pytest.mark.parametrize("name", LINEAR)
def test_what_is_left_of_the_products_is_the_fit_of_the_other_rows(name):
    formula, reml, weights = LINEAR[name]
    fitted = linear(formula, reml=reml, weights=weights)._fitted
    codes = fitted.design.factors[0].codes
    assert fitted.design.factors[0].name == "g"
    path, data = covariance_path(fitted), GroupProducts.of(fitted, 0)
    scale = fitted.problem.basis.response_scale
    shifts = []
    for j, length in ((0, 0.0), (11, 0.5), (29, -0.5)):
        step = np.full(path.n_directions, length)
        found = _deleted(data, path.lams(step))
        left = fitted.of_rows(np.flatnonzero(codes != j))
        # From working columns of all rows to those of the rows that are left.
        bases = zip(left.problem.basis.terms, fitted.problem.basis.terms, strict=True)
        change = [np.linalg.solve(new, old) for new, old in bases]
        roots = [T @ r for T, r in zip(change, path.roots(step), strict=True)]
        lams = left.problem.terms.stack(roots)
        wanted = estimates_at(left.problem, left.problem.point(lams, reml=reml))
        carry = fitted.problem.basis.user_rows(np.eye(len(fitted.beta)))
        assert_allclose(
            fitted.beta + scale * carry @ found.beta[j], wanted.beta, rtol=1e-8
        )
        sigma = np.exp(found.log_sigma2[j] / 2) * scale
        assert_allclose(sigma, wanted.sigma, rtol=1e-8)
        covariance = sigma**2 * carry @ found.inverse[j] @ carry.T
        assert_allclose(covariance, wanted.cov_beta, rtol=1e-7)
        logs = 0.0 if weights is None else np.log(left.design.weights).sum()
        nu = len(left.design.y) - (len(fitted.beta) if reml else 0)
        shifts.append(
            wanted.deviance + logs - found.deviance[j] - 2.0 * nu * np.log(scale)
        )
    # One constant, of the fixed columns' basis, whatever the group and theta.
    assert_allclose(shifts, shifts[0], atol=1e-7)


def relative_error(near, exact, whole):
    """Largest error of a column in units of its largest change."""
    error = np.abs(near.to_numpy() - exact.to_numpy()).max(axis=0)
    moved = np.abs(exact.to_numpy() - np.asarray(whole)).max(axis=0)
    return error / np.maximum(moved, 1e-6)


@pytest.mark.parametrize("name", LINEAR)
def test_one_step_is_near_the_refits(name):
    formula, reml, weights = LINEAR[name]
    result = linear(formula, reml=reml, weights=weights)
    near, exact = result.influence("g"), result.influence("g", exact=True)
    assert relative_error(near.params, exact.params, result.params).max() < 0.1
    whole = [row.sdcor for row in result.variance_components.components()]
    error = relative_error(near.variance_components, exact.variance_components, whole)
    assert error.max() < 0.5
    assert near.cooks_distance.corr(exact.cooks_distance) > 0.99
    assert_allclose(near.covratio, exact.covratio, rtol=0.2)
    assert exact.cooks_distance.idxmax() in near.cooks_distance.nlargest(2)


def test_one_step_is_close_where_no_group_decides():
    rng = np.random.default_rng(3)
    codes = np.repeat(np.arange(50), rng.integers(8, 20, 50))
    x = rng.normal(size=len(codes))
    y = rng.normal(size=50)[codes] + (0.5 + 0.6 * rng.normal(size=50)[codes]) * x
    frame = pd.DataFrame({"y": y + rng.normal(size=len(codes)), "x": x, "g": codes})
    result = linear("y ~ x + (x | g)", frame)
    near, exact = result.influence("g"), result.influence("g", exact=True)
    assert relative_error(near.params, exact.params, result.params).max() < 0.01
    whole = [row.sdcor for row in result.variance_components.components()]
    error = relative_error(near.variance_components, exact.variance_components, whole)
    assert error.max() < 0.03
    assert_allclose(near.covratio, exact.covratio, rtol=0.005)
    assert_allclose(near.dfbetas, exact.dfbetas, atol=0.005)


GENERALIZED = {
    "counts": ("count ~ x + (1 | g)", "poisson", 1),
    "slopes": ("count ~ x + (x | g)", "poisson", 1),
    "binary, quadrature": ("binary ~ x + (1 | g)", "binomial", 5),
    "a shape": ("positive ~ x + (1 | g)", Gamma(links.Log()), 1),
}


@pytest.mark.parametrize("name", GENERALIZED)
def test_one_step_of_generalized_models_is_near_the_refits(name):
    formula, family, nodes = GENERALIZED[name]
    model = ml.mixedglm(formula, FRAME, family=family)
    result = quietly(model.fit, nagq=nodes)
    near, exact = result.influence("g"), result.influence("g", exact=True)
    assert relative_error(near.params, exact.params, result.params).max() < 0.15
    assert np.corrcoef(near.cooks_distance, exact.cooks_distance)[0, 1] > 0.99
    assert np.median(np.abs(near.covratio / exact.covratio - 1.0)) < 0.02
    name = "sd(Intercept | g)"
    moved = near.variance_components[name], exact.variance_components[name]
    assert np.corrcoef(*moved)[0, 1] > 0.97


@pytest.mark.parametrize("factor", ["h", "g"])
def test_levels_of_crossed_factors(factor):
    result = linear("normal ~ x + (1 | g) + (1 | h)")
    near, exact = result.influence(factor), result.influence(factor, exact=True)
    assert relative_error(near.params, exact.params, result.params).max() < 0.1
    assert np.median(np.abs(near.covratio / exact.covratio - 1.0)) < 0.02


def test_levels_of_crossed_factors_of_a_generalized_model():
    result = ml.mixedglm("count ~ x + (1 | g) + (1 | h)", FRAME, family="poisson").fit()
    near, exact = result.influence("h"), result.influence("h", exact=True)
    assert relative_error(near.params, exact.params, result.params).max() < 0.6
    assert near.params["x"].corr(exact.params["x"]) > 0.9


def test_definitions_by_hand():
    result = linear("normal ~ x + (x | g)")
    found = result.influence("g", exact=True)
    again = linear("normal ~ x + (x | g)", FRAME[FRAME["g"] != "g03"])
    change = result.params - again.params
    assert_allclose(found.params.loc["g03"], again.params, rtol=1e-5)
    assert_allclose(found.dfbetas.loc["g03"], change / again.bse, rtol=1e-3)
    whole, left = result.cov_params(), again.cov_params()
    distance = change @ np.linalg.solve(whole, change) / 2
    assert_allclose(found.cooks_distance["g03"], distance, rtol=1e-3)
    ratio = np.linalg.det(left) / np.linalg.det(whole)
    assert_allclose(found.covratio["g03"], ratio, rtol=1e-4)
    assert found.frame["nobs"].tolist() == FRAME.groupby("g").size().tolist()
    assert list(found.frame)[:3] == ["nobs", "cooks_distance", "covratio"]
    assert found.params.index.name == "g"


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("family", [None, "poisson"])
def test_a_group_that_alone_tells_of_a_coefficient(exact, family):
    frame = FRAME.assign(only=(FRAME["g"] == "g04") * 1.0)
    if family is None:
        result = linear("normal ~ x + only + (1 | g)", frame)
    else:
        model = ml.mixedglm("count ~ x + only + (1 | g)", frame, family=family)
        result = quietly(model.fit)
    found = result.influence("g", exact=exact)
    assert list(found.excluded) == ["g04"]
    assert "estimated" in found.excluded["g04"]
    assert found.params.loc["g04"].isna().all()
    assert np.isfinite(found.params.drop(index="g04")).all().all()
    assert "g04" in str(found)


def test_one_of_two_levels_leaves_no_variance_between_levels():
    frame = FRAME.assign(two=np.where(FRAME["h"] < "d", "a", "b"))
    result = linear("normal ~ x + (1 | g) + (1 | two)", frame)
    found = result.influence("two", exact=True)
    assert list(found.excluded) == ["a", "b"]
    assert "only one level" in found.excluded["a"]


def test_a_variance_of_zero_stays_zero_in_one_step():
    frame = FRAME.assign(y=np.random.default_rng(5).normal(size=len(FRAME)))
    frame["y"] -= frame.groupby("g")["y"].transform("mean")
    found = linear("y ~ x + (1 | g)", frame).influence("g")
    assert (found.variance_components["sd(Intercept | g)"] == 0).all()
    exact = linear("y ~ x + (1 | g)", frame).influence("g", exact=True)
    assert_allclose(found.params, exact.params, rtol=1e-5, atol=1e-8)


def test_a_sigma_that_is_known_is_held():
    fitted = linear("normal ~ x + (x | g)")._fitted
    record = replace(fitted.fit, n_parameters=fitted.n_parameters - 1)
    found = influence(replace(fitted, fit=record), "g").variance_components
    assert_allclose(found["sigma"], fitted.sigma)
    # Without a group the deviance is lowest there; sigma does not move with it.
    estimated = influence(fitted, "g").variance_components
    name = "sd(x | g)"
    assert np.corrcoef(found[name], estimated[name])[0, 1] > 0.9


def test_a_column_that_was_left_out_stays_out():
    frame = FRAME.assign(twice=2.0 * FRAME["x"])
    model = quietly(ml.mixedlm, "normal ~ x + twice + (1 | g)", frame)
    for exact in (False, True):
        found = quietly(model.fit).influence("g", exact=exact)
        assert found.params["twice"].isna().all()
        assert found.params["x"].notna().all()


def test_a_name_that_is_no_factor():
    with pytest.raises(DataError, match="'school' is no grouping factor.*'g'"):
        linear("normal ~ x + (1 | g)").influence("school")
    with pytest.raises(DataError, match="exact"):
        linear("normal ~ x + (1 | g)").influence("g", exact="yes")


FIRST = linear("normal ~ x + (x | g)").influence("g")


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
        x=unit * (FRAME["x"] + 3.0),
        g=FRAME["g"].map(lambda level: int(level[1:])),
    ).iloc[order]
    found = linear("normal ~ x + (x | g)", other).influence("g")
    for name in ("cooks_distance", "covratio"):
        here, there = getattr(found, name), getattr(FIRST, name)
        assert_allclose(here.sort_index(), there, rtol=2e-3, atol=1e-5)
    slopes = found.dfbetas["x"].sort_index()
    assert_allclose(slopes, FIRST.dfbetas["x"], rtol=2e-3, atol=1e-4)


def test_third_derivatives_of_a_cubic_are_exact():
    rng = np.random.default_rng(1)
    third = sum(
        np.einsum("a,b,c,j->abcj", v, v, v, rng.normal(size=2))
        for v in rng.normal(size=(9, 4))
    )

    def evaluate(step):
        return (np.einsum("a,b,c,abcj->j", step, step, step, third) / 6.0,)

    (found,) = surfaces(evaluate, 4)
    assert_allclose(found.third, third, rtol=1e-8, atol=1e-8)
    step = np.full((2, 4), 0.3)
    slope = np.einsum("b,c,abcj->ja", step[0], step[0], third) / 2.0
    assert_allclose(found.slope_at(step), slope + found.slope.T, atol=1e-7)


def test_surfaces_of_quadratics_are_exact():
    rng = np.random.default_rng(1)
    value, slope = rng.normal(size=4), rng.normal(size=(3, 4))
    root = rng.normal(size=(3, 3, 4))
    curvature = np.einsum("abj,cbj->acj", root, root) + 2 * np.eye(3)[:, :, None]

    def evaluate(step):
        bent = np.einsum("a,b,abj->j", step, step, curvature)
        return (value + step @ slope + bent / 2,)

    (found,) = surfaces(evaluate, 3)
    assert_allclose(found.slope, slope, rtol=1e-9, atol=1e-9)
    assert_allclose(found.curvature, curvature, rtol=1e-8, atol=1e-8)
    for j, step in enumerate(found.steps_to_minima()):
        wanted = -np.linalg.solve(curvature[:, :, j], slope[:, j])
        assert_allclose(step, wanted, rtol=1e-7)


@pytest.mark.parametrize("formula", ["normal ~ x + (x | g)", "normal ~ x + (x || g)"])
def test_derivatives_along_the_path(formula):
    fitted = linear(formula)._fitted
    problem, theta = fitted.problem, 1.3 * fitted.fit.working_theta
    path = CovariancePath.of(problem.terms, theta)
    point = fitted.point(theta)
    slope, bent = path.derivatives(point.gradients())
    hessian = point.hessian(path.moves()) + bent

    def deviance(step):
        there = problem.point(path.lams(step), reml=True)
        return (np.array([there.profiled.deviance]),)

    (found,) = surfaces(deviance, path.n_directions)
    assert_allclose(found.slope[:, 0], slope, rtol=1e-2, atol=1e-2)
    assert_allclose(found.curvature[:, :, 0], hessian, rtol=1e-2, atol=2e-2)


def test_tables_are_copies_and_print():
    found = linear("normal ~ x + (x | g)").influence("g")
    mine = found.params
    mine["x"] = 0.0
    assert found.params["x"].abs().min() > 0
    assert "Influence of g: 10 of 30 levels" in str(found)
    assert "<table" in found._repr_html_()
    assert isinstance(found.cooks_distance, pd.Series)
