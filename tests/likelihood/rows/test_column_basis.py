"""Bases of a model's columns: orthonormal however nearly collinear the columns are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.rows.column_basis import CHUNK, orthonormal_basis


def _columns(n_rows: int, apart: float) -> FloatMatrix:
    """Three columns of different units, two of them `apart` from one another."""
    rng = np.random.default_rng(2)
    x, z, more = rng.normal(size=(3, n_rows))
    return np.c_[1e6 * x, 1e-3 * (x + apart * z), more]


def _gram(rows: FloatMatrix, weights: FloatVector | None) -> FloatMatrix:
    weighted = rows if weights is None else rows * weights[:, None]
    return np.asarray(rows.T @ weighted / len(rows))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [50, 3 * CHUNK])
@pytest.mark.parametrize("apart", [1.0, 1e-2, 1e-5, 1e-8])
def test_a_basis_is_orthonormal_up_to_the_condition_of_its_columns(
    apart: float, n_rows: int, weighted: bool
) -> None:
    """Not of its square, as a Cholesky factor of products would have it."""
    columns = _columns(n_rows, apart)
    rng = np.random.default_rng(3)
    weights = 10.0 ** rng.uniform(-2, 2, n_rows) if weighted else None
    basis = orthonormal_basis(columns, weights)
    assert basis is not None
    atol = 1e-13 + 1e-14 / apart
    assert_allclose(_gram(basis.apply(columns), weights), np.eye(3), atol=atol)
    assert_allclose(basis.transform, basis.inner)


def test_columns_are_dependent_only_where_nothing_but_rounding_is_left() -> None:
    assert orthonormal_basis(_columns(50, 1e-11), None) is not None
    assert orthonormal_basis(_columns(50, 0.0), None) is None
    assert orthonormal_basis(np.zeros((5, 1)), None) is None
