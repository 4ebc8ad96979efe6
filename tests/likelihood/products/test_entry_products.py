"""Information about covariances near zero: cross-products against dense algebra."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.likelihood.products.entry_products import Direction, entry_products
from multilevel.optimize.linear.problem import build_problem, working_source


def crossed(origin=0.0):
    """Two crossed factors, unequal weights, a slope far from its origin."""
    rng = np.random.default_rng(0)
    n = 40
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.integers(0, 9, n) + origin,
            "z": rng.normal(size=n),
            "w": rng.uniform(0.5, 2.0, n),
            "g": np.r_[np.arange(5), rng.integers(0, 5, n - 5)],
            "h": np.r_[np.arange(4), rng.integers(0, 4, n - 4)],
        }
    )
    formula = "y ~ x + z + (x | g) + (0 + z | g) + (1 | h)"
    return ml.mixedlm(formula, frame, weights="w").design


def every_direction(sizes):
    return [
        Direction(factor, unit_matrix(size, r, c))
        for factor, size in enumerate(sizes)
        for r in range(size)
        for c in range(r + 1)
    ]


def unit_matrix(size, r, c):
    matrix = np.zeros((size, size))
    matrix[r, c] = matrix[c, r] = 1.0
    return matrix


def dense_traces(design, directions, *, restricted):
    rows = working_source(design).rows()
    n = len(design.y)
    stacked = [[], []]
    for term, columns in zip(design.terms, rows.random, strict=True):
        stacked[term.factor_index] += [column.in_rows(n) for column in columns]
    W, X = np.diag(design.weights), rows.Xy[:, :-1]
    P = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W) if restricted else W
    moves = [np.diag(1.0 / design.weights)]
    for direction in directions:
        Z = np.column_stack(stacked[direction.factor])
        codes = design.factors[direction.factor].codes
        same = codes[:, None] == codes
        moves.append(same * (Z @ direction.matrix @ Z.T))
    return np.array([[np.trace(P @ a @ P @ b) for b in moves] for a in moves])


@pytest.mark.parametrize("origin", [0.0, 1e4])
@pytest.mark.parametrize("restricted", [True, False])
def test_traces_are_those_of_the_dense_formula(origin, restricted):
    design = crossed(origin)
    directions = every_direction([3, 1])
    found = entry_products(build_problem(design).products, directions)
    traces = found.restricted if restricted else found.unrestricted
    expected = dense_traces(design, directions, restricted=restricted)
    assert_allclose(traces, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


def test_an_origin_far_away_costs_no_digits():
    directions = every_direction([3, 1])
    near, far = (
        entry_products(build_problem(crossed(origin)).products, directions)
        for origin in (0.0, 1e4)
    )
    for traces, moved in (
        (near.restricted, far.restricted),
        (near.unrestricted, far.unrestricted),
    ):
        assert_allclose(moved, traces, rtol=1e-12, atol=1e-12 * np.abs(traces).max())


def test_directions_may_come_in_any_order_and_factors_be_left_out():
    products = build_problem(crossed()).products
    directions = every_direction([3, 1])
    whole = entry_products(products, directions)
    some = [6, 2, 0]
    found = entry_products(products, [directions[a] for a in some])
    where = np.ix_([0, *(a + 1 for a in some)], [0, *(a + 1 for a in some)])
    assert_allclose(found.restricted, whole.restricted[where], rtol=1e-13)
    assert_allclose(found.unrestricted, whole.unrestricted[where], rtol=1e-13)
