"""The Laplace approximation and its gradient, family by link by structure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel.likelihood.families.row_chunks as chunks_module
from generalized_cases import STRUCTURES, UNBOUNDED, RandomCase, draw_case, flat
from multilevel.likelihood.families.row_chunks import in_chunks
from multilevel.likelihood.generalized.laplace import laplace_deviance, laplace_slopes
from multilevel.likelihood.generalized.pirls import GeneralizedRows, find_modes

STEP = 2e-5
CONVERGED = 1e-24
NO_SHAPES = np.zeros(0)


def deviance_at(case: RandomCase, beta, lams, shapes, start=None):
    modes = find_modes(
        case.rows,
        case.base(beta),
        lams,
        shapes,
        start=start,
        tolerance=CONVERGED,
    )
    return laplace_deviance(case.rows, modes, shapes)


@pytest.mark.parametrize(("family", "link"), UNBOUNDED)
@pytest.mark.parametrize("structure", ["slope", "nested and crossed"])
def test_value_is_the_dense_formula(family, link, structure):
    case = draw_case(1, family, link, structure)
    point = deviance_at(case, case.beta, case.lams, case.shapes)
    modes = point.modes
    Z, Lam = case.dense(), case.dense_lam()
    likelihood = case.rows.likelihood
    log_p = likelihood.density(modes.eta, case.shapes)[0]
    log_p = log_p + likelihood.normalizer(case.shapes)
    M = Lam.T @ Z.T @ (modes.terms.weight[:, None] * Z) @ Lam + np.eye(len(Lam))
    penalty = flat(modes.effects) @ flat(modes.slopes)
    expected = -2.0 * log_p.sum() + penalty + np.linalg.slogdet(M)[1]
    assert_allclose(point.value, expected, rtol=1e-12)


def differences(case: RandomCase, step: float):
    """Central differences in beta, the factors' lower triangles and shapes."""
    delta = case.shapes
    start = deviance_at(case, case.beta, case.lams, delta).modes

    def slope(ahead, behind):
        values = [deviance_at(case, *at, start=start).value for at in (ahead, behind)]
        return (values[0] - values[1]) / (2.0 * step)

    found = []
    for j in range(len(case.beta)):
        shift = step * np.eye(len(case.beta))[j]
        found.append(
            slope(
                (case.beta + shift, case.lams, delta),
                (case.beta - shift, case.lams, delta),
            )
        )
    for k, lam in enumerate(case.lams):
        for row, col in zip(*np.tril_indices(len(lam)), strict=True):
            moved = []
            for way in (step, -step):
                lams = [other.copy() for other in case.lams]
                lams[k][row, col] += way
                moved.append((case.beta, lams, delta))
            found.append(slope(*moved))
    for shift in step * np.eye(len(delta)):
        both = [(case.beta, case.lams, delta + way * shift) for way in (1.0, -1.0)]
        found.append(slope(*both))
    return np.array(found)


def analytic(case: RandomCase):
    delta = case.shapes
    point = deviance_at(case, case.beta, case.lams, delta)
    slopes = laplace_slopes(case.rows, point)
    lower = [slope[np.tril_indices(len(slope))] for slope in slopes.lams]
    return np.concatenate([case.X.T @ slopes.eta, *lower, slopes.shapes])


@pytest.mark.parametrize(("family", "link"), UNBOUNDED)
@pytest.mark.parametrize("structure", STRUCTURES)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1), singular=st.booleans())
def test_gradient_against_central_differences(family, link, structure, seed, singular):
    case = draw_case(seed, family, link, structure, n_rows=50, singular=singular)
    expected, actual = differences(case, STEP), analytic(case)
    scale = 1.0 + np.abs(expected).max()
    if not np.allclose(actual, expected, rtol=2e-5, atol=2e-6 * scale):
        # Next to where D is not convex the third derivatives are huge.
        expected = (4.0 * differences(case, STEP / 2.0) - expected) / 3.0
    assert_allclose(actual, expected, rtol=2e-5, atol=2e-6 * scale)


def test_gradient_near_a_factor_of_zero_is_that_in_the_covariance():
    """In lambda it vanishes at zero, divided by 2 lambda it does not."""
    case = draw_case(2, structure="intercept")
    small, step = 1e-9, 1e-3
    # So small that the modes are taken for zero: their equations are not solved.
    modes = find_modes(case.rows, case.base(), [np.array([[small]])], NO_SHAPES)
    point = laplace_deviance(case.rows, modes, NO_SHAPES)
    slope = laplace_slopes(case.rows, point).lams[0][0, 0] / (2.0 * small)
    at = [
        deviance_at(case, case.beta, [np.array([[np.sqrt(variance)]])], NO_SHAPES).value
        for variance in (0.0, step, 2.0 * step)
    ]
    forward = (4.0 * at[1] - at[2] - 3.0 * at[0]) / (2.0 * step)
    assert_allclose(slope, forward, rtol=1e-3)


@pytest.mark.parametrize("family", ["binomial", "gamma", "negativebinomial"])
def test_pieces_of_rows_give_the_same(family, monkeypatch):
    link = "logit" if family == "binomial" else "log"
    case = draw_case(3, family, link, "slope")
    monkeypatch.setattr(chunks_module, "PIECE", 7)
    pieces = in_chunks(case.rows.likelihood, len(case.offset))
    assert pieces is not case.rows.likelihood
    cut = RandomCase(
        GeneralizedRows(pieces, case.rows.layout),
        case.X,
        case.offset,
        case.beta,
        case.lams,
        case.shapes,
    )
    assert_allclose(analytic(cut), analytic(case), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("structure", ["intercept", "slope"])
@pytest.mark.parametrize("size", [1e-10, 1e-6])
def test_the_gradient_of_a_tiny_covariance_is_that_at_zero(structure, size):
    """df/dG = sum_j A_j - g_j g_j' with g = Z'l', whether b is found yet or is zero."""
    case = draw_case(3, structure=structure)
    lams = [size * lam for lam in case.lams]
    modes = find_modes(case.rows, case.base(), lams, NO_SHAPES)
    found = laplace_slopes(case.rows, laplace_deviance(case.rows, modes, NO_SHAPES))
    terms, effects = modes.terms, case.effects
    (g,) = effects.collect(terms.score)
    (factor,) = effects.factors
    columns = [np.ones(80) if c is None else c for c in factor.columns]
    A = np.array([[a @ (terms.weight * b) for b in columns] for a in columns])
    expected = 2.0 * (A - g @ g.T) @ lams[0]
    assert_allclose(found.lams[0], expected, rtol=1e-4, atol=1e-4 * size)
