"""Orthonormal bases do not depend on units and leave out dependent columns only."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from multilevel.likelihood.algebra.orthonormal import (
    orthonormal_columns,
    orthonormal_combinations,
)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_columns_and_their_products_give_bases_of_the_same_span(unit: float) -> None:
    columns = np.random.default_rng(0).normal(size=(30, 3)) * [unit, 1.0, 1e-4]
    columns = np.c_[columns, columns @ [1.0 / unit, 2.0, 0.0]]
    basis = orthonormal_columns(columns)
    assert basis.shape == (30, 3)
    assert_allclose(basis.T @ basis, np.eye(3), atol=1e-13)
    combined = columns @ orthonormal_combinations(
        columns.T @ columns, nothing_left=1e-10
    )
    assert combined.shape == (30, 3)
    assert_allclose(combined @ combined.T, basis @ basis.T, atol=1e-9)


def test_orthonormal_columns_are_combined_with_nothing() -> None:
    rng = np.random.default_rng(1)
    columns = np.linalg.qr(rng.normal(size=(20, 4)))[0]
    gram = 4.0 * columns.T @ columns
    assert_allclose(orthonormal_combinations(gram), np.eye(4) / 2.0, atol=1e-14)
    assert orthonormal_combinations(np.zeros((0, 0))).shape == (0, 0)
    assert orthonormal_columns(np.zeros((5, 2))).shape == (5, 0)
