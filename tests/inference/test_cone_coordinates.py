"""Weights do not depend on the coordinates in which a cone is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from multilevel.errors import ComparisonError
from multilevel.inference.chi_bar_square import cone_mixture, cone_weights
from multilevel.inference.psd_cone import (
    block_slices,
    from_svec,
    project_in_metric,
    to_svec,
    triangle_length,
)


def level_metric(size, seed, n_groups=20):
    """sum_j tr(D_j E_a D_j E_b) for random positive-definite D_j, in svec."""
    rng = np.random.default_rng(seed)
    basis = from_svec(np.eye(triangle_length(size)), size)
    roots = rng.normal(size=(n_groups, size + 2, size))
    moved = [(r.T @ r) @ basis @ (r.T @ r) for r in roots]
    return sum(np.einsum("aij,bij->ab", m, basis) for m in moved)


def congruence(A):
    """X -> A X A' in svec coordinates."""
    basis = from_svec(np.eye(triangle_length(len(A))), len(A))
    return to_svec(A @ basis @ A.T).T


def product_metric(sizes, seed):
    """Blocks of level metrics, correlated with each other."""
    rng = np.random.default_rng(seed)
    ends = block_slices(sizes)
    metric = np.zeros((ends[-1].stop,) * 2)
    for k, (size, where) in enumerate(zip(sizes, ends, strict=True)):
        block = level_metric(size, seed + k)
        metric[where, where] = block / np.trace(block) * len(block)
    across = rng.normal(size=metric.shape) * 0.15
    return metric + across @ across.T


@given(
    size=st.integers(2, 3),
    seed=st.integers(0, 50),
    units=st.lists(st.sampled_from([0.1, 1.0, 20.0]), min_size=4, max_size=4),
)
def test_basis_of_the_effects_does_not_matter(size, seed, units):
    metric = level_metric(size, seed)
    rng = np.random.default_rng(seed)
    change = np.diag(units[:size]) @ (
        np.eye(size) + np.tril(rng.uniform(-0.5, 0.5, (size, size)))
    )
    change = change[rng.permutation(size)]
    transform = congruence(change)
    moved = cone_weights(transform.T @ metric @ transform, [size])
    # Where weights are integrated over draws, ties of signs may be broken otherwise.
    atol = 1e-5 if size == 2 else 0.02
    assert_allclose(moved, cone_weights(metric, [size]), atol=atol)


@pytest.mark.slow
@given(seed=st.integers(0, 50))
def test_order_of_the_blocks_does_not_matter(seed):
    metric = product_metric([2, 1, 2, 1], seed)
    positions = np.arange(len(metric))
    slices = block_slices([2, 1, 2, 1])
    order = np.concatenate([positions[slices[k]] for k in (3, 2, 0, 1)])
    moved = cone_weights(metric[np.ix_(order, order)], [1, 2, 2, 1])
    assert_allclose(moved, cone_weights(metric, [2, 1, 2, 1]), atol=1e-6)


@pytest.mark.parametrize("sizes", [[1, 1], [1, 1, 1], [2], [2, 1], [1] * 5, [3]])
def test_weights_are_those_of_simulated_projections(sizes):
    metric = product_metric(sizes, seed=7)
    draws = np.random.default_rng(0).standard_normal((20_000, len(metric)))
    points = np.linalg.solve(np.linalg.cholesky(metric).T, draws.T).T
    nearest = project_in_metric(points, metric, sizes)
    squares = np.einsum("ni,ij,nj->n", nearest, metric, nearest)
    scale = np.concatenate(
        [np.where(np.eye(s)[np.tril_indices(s)], 1.0, np.sqrt(2)) for s in sizes]
    )
    if max(sizes) == 3:
        scale = np.array([1, np.sqrt(2), np.sqrt(2), 1, np.sqrt(2), 1])
    null = cone_mixture(metric * np.outer(scale, scale), sizes)
    for level in (0.5, 0.1, 0.05, 0.01):
        error = 4.0 * np.sqrt(level * (1 - level) / len(draws))
        share = np.mean(squares >= np.quantile(squares, 1 - level))
        found = null.survival(float(np.quantile(squares, 1 - level)))
        assert_allclose(found, share, atol=error + 0.1 * level)


def test_weights_that_are_none_are_refused():
    indefinite = np.array([[1.0, 0.0, 3.0], [0.0, 1.0, 0.0], [3.0, 0.0, 1.0]])
    with pytest.raises(ComparisonError, match="null distribution cannot be computed"):
        cone_mixture(-indefinite, [2])
