"""Least squares in all levels at once against numpy, level by level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from multilevel.likelihood.rows.effect_rows import LevelIndex
from multilevel.likelihood.rows.level_regressions import (
    level_basis,
    level_inverses,
    level_products,
    level_solutions,
)


@given(
    seed=st.integers(0, 2**32 - 1),
    n_levels=st.integers(1, 6),
    p=st.integers(1, 4),
    is_sorted=st.booleans(),
)
def test_levels_are_solved_as_numpy_solves_them(
    seed: int, n_levels: int, p: int, is_sorted: bool
) -> None:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_levels), rng.integers(p + 1, p + 9, n_levels))
    codes = codes if is_sorted else rng.permutation(codes)
    columns = rng.normal(size=(len(codes), p)) * 10.0 ** rng.integers(-9, 9, p)
    y = rng.normal(size=len(codes))
    index = LevelIndex(codes, n_levels)
    basis = level_basis(columns, index)
    found, inverses = level_solutions(basis, y), level_inverses(basis)
    assert basis.kept.all()
    for j in range(n_levels):
        own = columns[codes == j]
        sizes = np.sqrt((own**2).sum(axis=0))
        # In columns of unit size: numpy takes small ones for dependent.
        wanted, ssr, *_ = np.linalg.lstsq(own / sizes, y[codes == j], rcond=None)
        assert_allclose(found.params[:, j] * sizes, wanted, atol=1e-9)
        assert_allclose(found.ssr[j], ssr[0], rtol=1e-9)
        units = np.outer(sizes, sizes)
        scaled = np.linalg.inv(own.T @ own / units)
        assert_allclose(inverses[:, :, j] * units, scaled, rtol=1e-6, atol=1e-9)
    fitted = level_products(columns, found.params, index)
    assert_allclose(fitted + found.rest, y, atol=1e-8)


@pytest.mark.parametrize("origin", [0.0, 2e3, 1e7])
def test_far_origins_cost_no_digits_of_slopes_and_residuals(origin: float) -> None:
    rng = np.random.default_rng(1)
    index = LevelIndex(np.repeat(np.arange(3), 8), 3)
    x, y = np.round(rng.normal(size=(2, 24)), 6)
    moved = np.column_stack([np.ones(24), x + origin])
    near = level_solutions(level_basis(np.column_stack([np.ones(24), x]), index), y)
    far = level_solutions(level_basis(moved, index), y + origin)
    # What the data themselves lose when they are written with that origin.
    assert_allclose(far.params[1], near.params[1], atol=1e-14 * (1.0 + origin))
    assert_allclose(far.ssr, near.ssr, rtol=1e-13 * (1.0 + origin))


def test_dependent_columns_are_found_level_by_level() -> None:
    ones, x = np.ones(9), np.arange(9.0)
    z = np.where(np.arange(9) < 3, 3.0 * x - 1e6, x**2)
    index = LevelIndex(np.repeat([0, 1, 2], 3), 3)
    columns = np.column_stack([ones, x, z, np.repeat([1.0, 2.0, 3.0], 3)])
    kept = level_basis(columns, index).kept
    assert kept.T.tolist() == [[True, True, False, False]] + 2 * [
        [True, True, True, False]
    ]


def test_rounding_of_a_constant_is_no_direction() -> None:
    tenths = np.repeat(0.1 + 0.2, 7) + 1e-17
    columns = np.column_stack([np.full(7, 1.0 / 3.0), tenths])
    assert level_basis(columns, LevelIndex(np.zeros(7, int), 1)).kept.sum() == 1
