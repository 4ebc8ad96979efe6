"""Products, log|M| and K for weights of the rows, against full matrices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import multilevel.likelihood.elimination.pattern as pattern_module
from generalized_cases import STRUCTURES, draw_case, flat
from multilevel.likelihood.elimination.eliminate import eliminate
from multilevel.likelihood.elimination.selected_inverse import inverse_by_level
from multilevel.likelihood.elimination.solve import solve
from multilevel.likelihood.elimination.weighted_rows import (
    row_inverse,
    weighted_products,
)


@pytest.fixture(params=["all cells", "cells that occur"])
def storage(request, monkeypatch):
    """Both ways of keeping the products of crossed factors."""
    if request.param == "cells that occur":
        monkeypatch.setattr(pattern_module, "ALWAYS_FULL", 0)
        monkeypatch.setattr(pattern_module, "CROWDED", 2.0)
    return request.param


def dense_products(case, weights):
    Z, Lam = case.dense(), case.dense_lam()
    A = Z.T @ (weights[:, None] * Z)
    return A, Lam, Lam.T @ A @ Lam + np.eye(len(Lam))


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_elimination_agrees_with_dense_algebra(structure, singular, seed, storage):
    case = draw_case(seed, structure=structure, singular=singular)
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 2.0, len(case.offset))
    A, Lam, M = dense_products(case, weights)
    K = Lam @ np.linalg.inv(M) @ Lam.T
    products = weighted_products(case.rows.layout, weights)
    elimination = eliminate(products, case.lams)
    assert_allclose(elimination.log_det, np.linalg.slogdet(M)[1], rtol=1e-12)
    vectors = [rng.normal(size=d.shape[1:]) for d in products.diagonal]
    assert_allclose(flat(products.times_vector(vectors)), A @ flat(vectors), atol=1e-11)
    assert_allclose(flat(solve(elimination, vectors)), K @ flat(vectors), atol=1e-11)
    inverse = inverse_by_level(elimination)
    Z = case.dense()
    leverages = np.einsum("ij,jk,ik->i", Z, K, Z)
    assert_allclose(
        row_inverse(case.rows.layout, elimination).leverages, leverages, atol=1e-11
    )
    start, D = 0, A - A @ K @ A
    for blocks, shrunken in zip(inverse.blocks, inverse.shrunken, strict=True):
        size, _, n_levels = blocks.shape
        for j in range(n_levels):
            own = slice(start + j * size, start + (j + 1) * size)
            assert_allclose(blocks[:, :, j], K[own, own], atol=1e-11)
            assert_allclose(shrunken[:, :, j], D[own, own], atol=1e-10)
        start += size * n_levels


@pytest.mark.parametrize("structure", [s for s in STRUCTURES if "nested" not in s])
@pytest.mark.parametrize("amount", [1e6, 1e9])
def test_small_rests_of_much_information_keep_their_digits(structure, amount):
    """A - A K A = Lam^-T (I - M^-1) Lam^-1 is of unit size, A is huge."""
    case = draw_case(3, structure=structure)
    weights = np.random.default_rng(0).uniform(0.1, 2.0, len(case.offset)) * amount
    elimination = eliminate(weighted_products(case.rows.layout, weights), case.lams)
    Lam, Z = case.dense_lam(), case.dense()
    M = Lam.T @ (Z.T @ (weights[:, None] * Z)) @ Lam + np.eye(len(Lam))
    inverse = np.linalg.inv(Lam)
    D = inverse.T @ (np.eye(len(Lam)) - np.linalg.inv(M)) @ inverse
    start = 0
    for shrunken in inverse_by_level(elimination).shrunken:
        size, _, n_levels = shrunken.shape
        for j in range(n_levels):
            own = slice(start + j * size, start + (j + 1) * size)
            bound = 1e-6 * np.abs(D[own, own]).max()
            assert_allclose(shrunken[:, :, j], D[own, own], atol=bound)
        start += size * n_levels


@pytest.mark.parametrize("structure", STRUCTURES)
def test_squared_sums_of_products(structure, storage):
    case = draw_case(4, structure=structure)
    weights = np.random.default_rng(0).uniform(0.1, 2.0, len(case.offset))
    A = dense_products(case, weights)[0]
    owner, first = [], 0
    for factor in case.effects.factors:
        size = len(factor.columns)
        owner += [first + s for s in range(size)] * factor.index.n_levels
        first += size
    expected = np.zeros((first, first))
    np.add.at(expected, np.ix_(owner, owner), A**2)
    actual = weighted_products(case.rows.layout, weights).squared_sums()
    assert_allclose(actual, expected, rtol=1e-12)
