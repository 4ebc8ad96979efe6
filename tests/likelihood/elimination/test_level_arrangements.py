"""Sparse, paired and full rows are three ways to the same sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from multilevel.array_types import FloatArray
from multilevel.likelihood.algebra.dense_inverse import DenseInverse, symmetric
from multilevel.likelihood.elimination.full_rows import FullRows
from multilevel.likelihood.elimination.paired_rows import paired_rows
from multilevel.likelihood.elimination.pattern import CellPattern
from multilevel.likelihood.elimination.sparse_rows import SparseRows

ARRANGEMENTS = {"sparse": SparseRows, "paired": paired_rows, "full": FullRows}


def _rows(
    seed: int, n_levels: int, m: int, size: int, *, full: bool
) -> tuple[CellPattern, FloatArray]:
    """Rows of random shape, some of them empty, and their values."""
    rng = np.random.default_rng(seed)
    stored = full | (rng.random((n_levels, m)) < rng.uniform(0.1, 0.9))
    keys = np.flatnonzero(stored)
    cells = CellPattern(None if full else keys, n_levels, m)
    return cells, rng.normal(size=(size, len(keys)))


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@given(
    seed=st.integers(0, 10_000),
    n_levels=st.integers(1, 6),
    m=st.integers(1, 5),
    size=st.integers(1, 3),
)
def test_sums_are_those_of_full_matrices(
    arrangement: str, seed: int, n_levels: int, m: int, size: int
) -> None:
    full = arrangement == "full"
    cells, values = _rows(seed, n_levels, m, size, full=full)
    block = ARRANGEMENTS[arrangement](cells, values)
    rng = np.random.default_rng(seed + 1)
    P, other = np.zeros((2, n_levels, size, m))
    entries = rng.normal(size=values.shape)
    P[cells.level, :, cells.column] = values.T
    other[cells.level, :, cells.column] = entries.T
    root = rng.normal(size=(n_levels, size, size))
    K = root @ np.swapaxes(root, 1, 2)
    columns, blocks = rng.normal(size=(m, 2)), rng.normal(size=(size, 2, n_levels))
    assert_allclose(block.times(columns), (P @ columns).transpose(1, 2, 0), atol=1e-12)
    assert_allclose(
        block.transposed_times(blocks),
        np.einsum("jsm,srj->mr", P, blocks),
        atol=1e-12,
    )
    dense = np.asfortranarray(np.zeros((m, m)))
    block.subtract_from(dense, K.transpose(1, 2, 0))
    full = np.einsum("jsm,jst,jtl->ml", P, K, P)
    assert_allclose(symmetric(dense), -full, atol=1e-11)
    S = rng.normal(size=(m, m))
    scale = rng.normal(size=m)
    inverse = DenseInverse(np.asfortranarray(np.tril(S @ S.T)), scale)
    expected = np.einsum("jsm,m,ml,l,jtl->stj", P, scale, S @ S.T, scale, P)
    assert_allclose(block.quadratics(inverse), expected, atol=1e-11)
    PK = np.einsum("jsm,m,ml,l->jsl", P, scale, S @ S.T, scale)
    stored = PK[cells.level, :, cells.column].T
    assert_allclose(block.sampled(inverse), stored, atol=1e-11)
    sums = np.einsum("jsm,jtm->stj", P, other)
    assert_allclose(block.level_sums(entries), sums, atol=1e-12)
    mixed = np.einsum("jst,jtm->jsm", K, other)[cells.level, :, cells.column].T
    products = block.level_products(K.transpose(1, 2, 0), entries)
    assert_allclose(products, mixed, atol=1e-12)
