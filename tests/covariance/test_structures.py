"""Covariance structures: every theta is a covariance, and back."""

from __future__ import annotations

import numpy as np
import pytest
from dense_likelihood import central_difference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from multilevel.covariance.registry import STRUCTURES
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.covariance.triangular import lower_factor

# Structures of which the entries are parameters.
FREE = [name for name in STRUCTURES if not STRUCTURES[name](3).is_tied]
entries = st.floats(-100, 100).filter(lambda x: x == 0 or abs(x) > 1e-100)


@pytest.mark.parametrize("name", STRUCTURES)
@given(data=st.data(), n_effects=st.integers(1, 5))
def test_every_theta_gives_a_covariance(
    name: str, data: st.DataObject, n_effects: int
) -> None:
    structure = STRUCTURES[name](n_effects)
    theta = data.draw(arrays(float, structure.n_theta, elements=entries))
    factor = structure.factor(theta)
    assert_array_equal(factor, np.tril(factor))
    smallest = np.linalg.eigvalsh(factor @ factor.T).min()
    assert smallest >= -1e-9 * max(1.0, float(np.sum(factor**2)))


@pytest.mark.parametrize("name", STRUCTURES)
@given(data=st.data(), n_effects=st.integers(1, 4))
def test_theta_of_a_factor_gives_the_covariance_back(
    name: str, data: st.DataObject, n_effects: int
) -> None:
    structure = STRUCTURES[name](n_effects)
    theta = data.draw(arrays(float, structure.n_theta, elements=entries))
    factor = structure.factor(theta)
    again = structure.factor(structure.theta_of(factor))
    scale = float(np.sum(factor**2))
    assert_allclose(again @ again.T, factor @ factor.T, rtol=1e-10, atol=1e-12 * scale)
    assert (np.diag(again) >= 0).all()


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("n_effects", [1, 2, 3])
def test_jacobian_is_the_difference(name: str, n_effects: int) -> None:
    structure = STRUCTURES[name](n_effects)
    theta = np.random.default_rng(n_effects).normal(size=structure.n_theta)
    differences = central_difference(structure.factor, theta, 1e-6)
    assert_allclose(structure.jacobian(theta), differences, atol=1e-9)
    weight = np.random.default_rng(2).normal(size=(n_effects, n_effects))

    def slope(at: np.ndarray) -> np.ndarray:
        return np.einsum("aij,ij->a", structure.jacobian(at), weight)

    differences = central_difference(slope, theta, 1e-6)
    assert_allclose(structure.curvature(theta, weight), differences, atol=1e-8)


@given(arrays(float, (3, 4), elements=entries))
def test_lower_factor_of_any_square_root(root: np.ndarray) -> None:
    factor = lower_factor(root)
    scale = float(np.sum(root**2))
    assert_array_equal(factor, np.tril(factor))
    assert_allclose(factor @ factor.T, root @ root.T, rtol=1e-10, atol=1e-12 * scale)


def test_terms_on_one_factor_are_independent_blocks() -> None:
    structures = (STRUCTURES["us"](2), STRUCTURES["us"](1), STRUCTURES["diag"](2))
    terms = StackedTerms(structures, (0, 1, 0), 2)
    theta = np.arange(1.0, 7.0)
    stacked = terms.stack(terms.term_factors(theta))
    assert terms.block_sizes == (4, 1)
    expected = np.zeros((4, 4))
    expected[:2, :2] = [[1, 0], [2, 3]]
    expected[2, 2], expected[3, 3] = 5, 6
    assert_array_equal(stacked[0], expected)
    assert_array_equal(stacked[1], [[4.0]])


@pytest.mark.parametrize("name", FREE)
def test_small_directions_are_set_to_zero(name: str) -> None:
    structure = STRUCTURES[name](2)
    theta = structure.theta_of(np.diag([2.0, 1e-3]))
    kept, is_smaller = structure.without_small(structure.factor(theta), 1e-2)
    assert is_smaller
    assert_allclose(kept @ kept.T, np.diag([4.0, 0.0]), atol=1e-15)
    again, is_smaller = structure.without_small(kept, 1e-2)
    assert not is_smaller
    assert_allclose(again @ again.T, kept @ kept.T)


def test_small_directions_of_correlated_effects_are_not_those_of_the_axes() -> None:
    structure = STRUCTURES["us"](2)
    factor = structure.factor(structure.theta_of(np.array([[1.0, 0], [1.0, 1e-3]])))
    kept, is_smaller = structure.without_small(factor, 1e-2)
    assert is_smaller
    assert_allclose(kept @ kept.T, np.ones((2, 2)), atol=1e-2)
    assert abs(np.linalg.det(kept)) < 1e-12


@pytest.mark.parametrize("name", FREE)
@given(data=st.data(), n_effects=st.integers(1, 4))
def test_directions_and_cones_hold_every_covariance(
    name: str, data: st.DataObject, n_effects: int
) -> None:
    structure = STRUCTURES[name](n_effects)
    theta = data.draw(arrays(float, structure.n_theta, elements=entries))
    factor = structure.factor(theta)
    covariance = (factor @ factor.T).ravel()
    directions = structure.directions().reshape(structure.n_theta, -1)
    left = covariance - np.linalg.lstsq(directions.T, covariance, rcond=None)[0] @ (
        directions
    )
    assert_allclose(left, 0.0, atol=1e-9 * max(1.0, float(np.abs(covariance).max())))
    held = np.zeros((n_effects, n_effects), dtype=bool)
    for block in structure.cone():
        held[np.ix_(block.effects, block.effects)] = True
    assert (covariance.reshape(held.shape)[~held] == 0.0).all()
