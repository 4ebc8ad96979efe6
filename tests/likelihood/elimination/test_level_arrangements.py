"""Crowded, paired and plain sparse rows are three ways to the same sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from multilevel.array_types import FloatArray
from multilevel.likelihood.algebra.dense_inverse import DenseInverse, symmetric
from multilevel.likelihood.elimination.crowded_rows import crowded_rows
from multilevel.likelihood.elimination.level_pair_sums import level_pair_sums
from multilevel.likelihood.elimination.sparse_block import SparseBlock, SparseRows

ARRANGEMENTS = {
    "plain": SparseBlock,
    "pairs": level_pair_sums,
    "crowded": crowded_rows,
}


def _rows(seed: int, n_levels: int, m: int, size: int) -> tuple[SparseRows, FloatArray]:
    """Sparse rows of random shape, some of them empty, and their values."""
    rng = np.random.default_rng(seed)
    stored = rng.random((n_levels, m)) < rng.uniform(0.1, 0.9)
    level, column = np.nonzero(stored)
    starts = np.concatenate([[0], np.cumsum(stored.sum(axis=1))])
    return SparseRows(level, column, starts, m), rng.normal(size=(size, len(level)))


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
    pattern, values = _rows(seed, n_levels, m, size)
    block = ARRANGEMENTS[arrangement](pattern, values)
    rng = np.random.default_rng(seed + 1)
    P = np.zeros((n_levels, size, m))
    P[pattern.level, :, pattern.column] = values.T
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
