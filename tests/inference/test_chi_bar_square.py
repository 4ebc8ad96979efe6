"""Weights of chi-bar-square distributions against formulas and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq

from multilevel.inference import chi_bar_square
from multilevel.inference.chi_bar_square import (
    ChiBarSquare,
    cone_mixture,
    cone_weights,
    efficient_information,
)
from multilevel.inference.psd_cone import (
    from_svec,
    nearest_in_cone,
    project_in_metric,
    to_svec,
    triangle_length,
)


def random_metric(size, seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size + 2, size))
    return root.T @ root


def group_information(size, n_groups, seed):
    """sum_j tr(D_j E_a D_j E_b) for random positive-definite D_j."""
    rng = np.random.default_rng(seed)
    basis = from_svec(np.eye(triangle_length(size)), size)
    total = np.zeros((len(basis),) * 2)
    for _ in range(n_groups):
        root = rng.normal(size=(size + 2, size)) * 10.0 ** np.arange(size)
        kernel = root.T @ root
        moved = kernel @ basis @ kernel
        total += np.einsum("aij,bij->ab", moved, basis)
    return total


def test_one_variance_is_an_even_mixture():
    null = cone_mixture(np.array([[3.7]]), [1])
    assert str(null) == "0.5 chi2(0) + 0.5 chi2(1)"
    assert null.survival(0.0) == 1.0
    assert_allclose(null.survival(2.705543454), 0.05, rtol=1e-8)


def test_an_effect_added_to_q_correlated_ones_shifts_the_mixture_by_q():
    null = cone_mixture(np.array([[1.0]]), [1], free=1)
    assert str(null) == "0.5 chi2(1) + 0.5 chi2(2)"


@pytest.mark.parametrize("coupling", [1e-3, -0.05, 0.08])
def test_weakly_coupled_variances_are_not_taken_as_independent(coupling):
    angle = np.arccos(coupling) / (2 * np.pi)
    found = cone_weights(np.array([[1.0, coupling], [coupling, 1.0]]), [1, 1])
    assert_allclose(found, [0.5 - angle, 0.5, angle], rtol=1e-9)


def test_no_cone_is_plain_chi_square():
    null = cone_mixture(np.zeros((0, 0)), [], free=3)
    assert str(null) == "chi2(3)"
    assert_allclose(null.survival(7.814727903), 0.05, rtol=1e-8)


def test_independent_variances_have_binomial_weights():
    weights = cone_weights(np.diag([1.0, 5.0, 0.1, 2.0]), [1, 1, 1, 1])
    assert_allclose(weights, np.array([1, 4, 6, 4, 1]) / 16)


def test_frobenius_metric_has_the_weights_of_kuriki_and_takemura():
    # The 2 x 2 semidefinite cone is a circular cone of half angle 45 degrees.
    corner = (2 - np.sqrt(2)) / 8 * 2
    weights = cone_weights(np.eye(3), [2])
    assert_allclose(weights, [corner, 0.5 - corner, 0.5 - corner, corner], rtol=1e-10)


@pytest.mark.parametrize("sizes", [[1, 1], [1, 1, 1], [2]])
def test_formulas_agree_with_draws(sizes):
    metric = random_metric(sum(map(triangle_length, sizes)), seed=5)
    drawn = chi_bar_square._drawn_weights(metric, sizes)
    assert_allclose(cone_weights(metric, sizes), drawn, atol=0.02)


@pytest.mark.parametrize("sizes", [[2], [3], [2, 1], [1, 1, 1, 1], [2, 2]])
def test_weights_are_a_distribution_with_equal_even_and_odd_parts(sizes):
    metric = random_metric(sum(map(triangle_length, sizes)), seed=1)
    weights = cone_weights(metric, sizes)
    assert np.all(weights >= 0)
    assert_allclose([weights[::2].sum(), weights[1::2].sum()], [0.5, 0.5])


def test_weights_do_not_depend_on_the_basis_of_the_effects():
    metric = group_information(2, 20, seed=3)
    change = np.array([[2.0, 0.0], [-3.0, 0.01]])
    basis = from_svec(np.eye(3), 2)
    transform = to_svec(change @ basis @ change.T).T
    moved = transform.T @ metric @ transform
    assert_allclose(cone_weights(moved, [2]), cone_weights(metric, [2]), rtol=1e-6)


@pytest.mark.parametrize(("sizes", "seed"), [([2], 0), ([3], 1), ([2, 1], 2)])
def test_mixture_is_the_distribution_of_the_squared_projection(sizes, seed):
    dimension = sum(map(triangle_length, sizes))
    metric = random_metric(dimension, seed) + np.eye(dimension)
    rng = np.random.default_rng(seed)
    draws = rng.standard_normal((4000, dimension))
    points = np.linalg.solve(np.linalg.cholesky(metric).T, draws.T).T
    projections = project_in_metric(points, metric, sizes)
    squares = np.einsum("ni,ij,nj->n", projections, metric, projections)
    null = ChiBarSquare(tuple(cone_weights(metric, sizes)))
    for level in (0.5, 0.2, 0.05):
        quantile = np.quantile(squares, 1 - level)
        assert_allclose(null.survival(quantile), level, atol=0.025)


def test_projection_satisfies_the_optimality_conditions():
    metric = group_information(3, 8, seed=4)
    metric /= np.trace(metric)
    metric += 0.02 * np.eye(6)
    points = np.random.default_rng(2).normal(size=(50, 6))
    projections = project_in_metric(points, metric, [3])
    dual = (projections - points) @ metric
    assert np.linalg.eigvalsh(from_svec(projections, 3)).min() > -1e-12
    assert np.linalg.eigvalsh(from_svec(dual, 3)).min() > -1e-6
    assert_allclose(np.sum(projections * dual, axis=1), 0.0, atol=1e-6)


def test_euclidean_projection_clips_eigenvalues():
    matrix = np.array([[1.0, 2.0], [2.0, 1.0]])
    projected = nearest_in_cone(to_svec(matrix)[None, :], [2])
    assert_allclose(from_svec(projected, 2)[0], np.full((2, 2), 1.5))


def test_nuisance_parameters_take_information_away():
    information = np.array([[4.0, 2.0], [2.0, 3.0]])
    assert_allclose(efficient_information(information, 1), [[2.0]])


def test_weights_are_the_same_every_time():
    metric = random_metric(6, seed=9)
    assert_allclose(cone_weights(metric, [3]), cone_weights(metric, [3]), rtol=0)


def test_long_mixtures_are_named_in_short():
    null = cone_mixture(np.eye(9), [1] * 9)
    assert str(null) == "mixture of chi2(0) to chi2(9), mean 4.5"


def test_fewer_draws_in_many_dimensions_give_the_same_p_values(monkeypatch):
    rng = np.random.default_rng(5)
    root = rng.normal(size=(45, 90))
    information = root @ root.T
    few = cone_mixture(information, [9])
    monkeypatch.setattr("multilevel.inference.chi_bar_square._FULL_DIMENSION", 45)
    many = cone_mixture(information, [9])
    statistic = brentq(lambda value: many.survival(value) - 0.05, 1.0, 500.0)
    assert few.weights != many.weights
    assert_allclose(few.survival(statistic), 0.05, rtol=0.05)
