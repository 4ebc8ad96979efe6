"""Conditional modes against their equations, for every structure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import optimize

from generalized_cases import STRUCTURES, UNBOUNDED, draw_case, flat
from multilevel.likelihood.elimination.weighted_rows import effect_layout
from multilevel.likelihood.families.registry import family_of
from multilevel.likelihood.families.traits import bind_rows
from multilevel.likelihood.generalized.pirls import GeneralizedRows, find_modes
from multilevel.likelihood.rows.effect_rows import EffectRows, FactorRows, LevelIndex

SEEDS = st.integers(0, 2**32 - 1)
NO_SHAPES = np.zeros(0)


@pytest.mark.parametrize(("family", "link"), UNBOUNDED)
@settings(max_examples=15)
@given(seed=SEEDS, structure=st.sampled_from(STRUCTURES), singular=st.booleans())
def test_modes_solve_their_equations(family, link, seed, structure, singular):
    case = draw_case(seed, family, link, structure, singular=singular)
    modes = find_modes(case.rows, case.base(), case.lams, case.shapes)
    Z, Lam = case.dense(), case.dense_lam()
    b, v = flat(modes.effects), flat(modes.slopes)
    assert_allclose(modes.eta, case.base() + Z @ b, atol=1e-9)
    assert_allclose(Lam @ Lam.T @ v, b, atol=1e-8)
    terms = case.rows.likelihood.terms(modes.eta, case.shapes)
    scale = 1.0 + np.abs(terms.score).sum()
    assert_allclose(Lam.T @ Z.T @ terms.score, Lam.T @ v, atol=1e-7 * scale)
    assert_allclose(modes.deviance, -2.0 * terms.total + b @ v, rtol=1e-10)


@pytest.mark.parametrize(("family", "link"), [("binomial", "logit"), ("gamma", "log")])
def test_modes_are_the_minimum(family, link):
    case = draw_case(5, family, link, "nested")
    Z, Lam = case.dense(), case.dense_lam()

    def penalized(u):
        eta = case.base() + Z @ (Lam @ u)
        total = case.rows.likelihood.terms(eta, case.shapes).total
        return -2.0 * total + u @ u

    found = optimize.minimize(penalized, np.zeros(Z.shape[1]), method="BFGS")
    modes = find_modes(case.rows, case.base(), case.lams, case.shapes)
    assert modes.deviance <= found.fun + 1e-9
    assert_allclose(modes.deviance, found.fun, atol=1e-6)


@given(seed=SEEDS, shift=st.sampled_from([1e-6, 0.1, 3.0]))
def test_a_start_nearby_changes_nothing_but_the_steps(seed, shift):
    case = draw_case(seed, structure="crossed slopes")
    before = find_modes(case.rows, case.base(), case.lams, NO_SHAPES)
    base = case.base(case.beta + shift)
    lams = [(1.0 + 0.1 * shift) * lam for lam in case.lams]
    cold = find_modes(case.rows, base, lams, NO_SHAPES)
    warm = find_modes(case.rows, base, lams, 0.0, start=before)
    assert_allclose(warm.deviance, cold.deviance, rtol=1e-11)
    assert_allclose(warm.eta, cold.eta, atol=1e-6)
    if shift < 1e-3:
        assert warm.steps <= 2 < cold.steps


def test_negative_weights_on_the_way_are_survived():
    """Inverse Gaussian with the log link: w < 0 where the mean is above 2y."""
    case = draw_case(6, "inversegaussian", "log", "slope")
    base = case.base() + 6.0
    assert case.rows.likelihood.terms(base, np.array([-3.0])).weight.min() < 0
    modes = find_modes(case.rows, base, case.lams, np.array([-3.0]))
    assert modes.decrement < 1e-9
    assert np.isfinite(modes.elimination.log_det)


def test_a_maximum_of_the_penalized_deviance_is_no_mode():
    """Under mu = eta^2 it is symmetric about zero, where it is stationary and concave.

    The expected weights are zero there and show nothing of it: log|M| would be zero.
    """
    effects = EffectRows((FactorRows(LevelIndex(np.zeros(6, int), 1), (None,)),))
    likelihood = bind_rows(family_of("gaussian", "sqrt"), np.full(6, 4.0), None)
    rows = GeneralizedRows(likelihood, effect_layout(effects))
    assert (likelihood.expected_weight(np.zeros(6), np.zeros(1)) == 0.0).all()
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        find_modes(rows, np.zeros(6), [np.array([[3.0]])], np.zeros(1))
    modes = find_modes(rows, np.full(6, 0.1), [np.array([[3.0]])], np.zeros(1))
    weight = likelihood.terms(modes.eta, np.zeros(1)).weight.sum()
    assert_allclose(modes.elimination.log_det, np.log1p(9.0 * weight), rtol=1e-12)


def test_steps_that_rounding_keeps_from_the_tolerance_end():
    """Scores of responses near 1e9 are off by 1e-7, so the decrement cannot vanish."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(20), 10)
    y = 1e9 + rng.normal(size=20)[g] + rng.normal(size=200)
    effects = EffectRows((FactorRows(LevelIndex(g, 20), (None,)),))
    rows = GeneralizedRows(
        bind_rows(family_of("gaussian"), y, None), effect_layout(effects)
    )
    modes = find_modes(rows, np.full(200, 1e9), [np.eye(1)], np.zeros(1))
    assert modes.steps <= 5
    assert_allclose(modes.effects[0][0], np.bincount(g, y - 1e9) / 11.0, atol=1e-6)


def test_modes_without_a_finite_likelihood_are_refused():
    case = draw_case(7, "gamma", "log")
    with pytest.raises(np.linalg.LinAlgError), np.errstate(all="ignore"):
        find_modes(case.rows, case.base() - 1e4, case.lams, np.zeros(1))


def test_one_row_to_a_group_and_one_group():
    codes = np.arange(6)
    for index in (LevelIndex(codes, 6), LevelIndex(codes * 0, 1)):
        effects = EffectRows((FactorRows(index, (None,)),))
        likelihood = bind_rows(family_of("poisson"), np.arange(6.0), None)
        rows = GeneralizedRows(likelihood, effect_layout(effects))
        modes = find_modes(rows, np.zeros(6), [np.array([[0.7]])], NO_SHAPES)
        score = np.bincount(index.codes, likelihood.terms(modes.eta, NO_SHAPES).score)
        assert_allclose(modes.effects[0][0], 0.49 * score, atol=1e-9)
