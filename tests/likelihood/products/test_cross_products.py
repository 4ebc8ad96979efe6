"""Products of rows: pieces add up, and digits survive hostile columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dense_likelihood import GroupedData, Term, long_deviance
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from multilevel.likelihood.products.cross_products import CrossProducts, SecondPass
from multilevel.likelihood.products.level_patterns import (
    FactorPatterns,
    factor_patterns,
    parent_levels,
)
from multilevel.likelihood.products.row_products import cross_products, source_products
from multilevel.likelihood.rows.row_source import RowSource, row_source
from multilevel.likelihood.rows.working_rows import RandomColumns


def _source(seed: int, n_rows: int = 40) -> tuple[RowSource, FactorPatterns]:
    rng = np.random.default_rng(seed)
    codes = [np.r_[np.arange(5), rng.integers(0, 5, n_rows - 5)] for _ in range(2)]
    X = np.c_[np.ones(n_rows), rng.normal(size=n_rows)]
    columns = [X, rng.normal(size=(n_rows, 2))]
    terms = [
        RandomColumns(k, values, shared, "any")
        for k, (values, shared) in enumerate(
            zip(columns, [(0, 1), (-1, -1)], strict=True)
        )
    ]
    weights = rng.uniform(0.5, 2.0, n_rows)
    source = row_source(rng.normal(size=n_rows), X, terms, weights)
    return source, factor_patterns(codes, [5, 5])


def _assert_same(left: CrossProducts, right: CrossProducts) -> None:
    assert left.n_rows == right.n_rows
    assert_allclose(left.sum_log_weights, right.sum_log_weights, rtol=1e-12)
    for ours, theirs in zip(left.diagonal, right.diagonal, strict=True):
        assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)
    for ours, theirs in zip(left.ZtXy, right.ZtXy, strict=True):
        assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)
    assert_allclose(left.XytXy, right.XytXy, rtol=1e-11, atol=1e-11)
    for key, pair in left.pairs.items():
        assert_allclose(pair.blocks, right.pairs[key].blocks, rtol=1e-11, atol=1e-11)


@given(seed=st.integers(0, 1000), cut=st.integers(0, 40))
def test_products_of_slices_add_up_to_products_of_the_whole(
    seed: int, cut: int
) -> None:
    source, patterns = _source(seed)
    whole = cross_products(source.rows(), patterns, [0, 1])
    pieces = [
        cross_products(source.rows(part), patterns.part(part), [0, 1])
        for part in (slice(0, cut), slice(cut, None))
    ]
    _assert_same(pieces[0] + pieces[1], whole)


def test_pairs_that_occur_in_one_piece_only_are_kept() -> None:
    source, patterns = _source(7)
    whole = cross_products(source.rows(), patterns, [0, 1])
    parts = []
    for part in (slice(0, 20), slice(20, None)):
        own = factor_patterns([c[part] for c in patterns.codes], patterns.n_levels)
        parts.append(cross_products(source.rows(part), own, [0, 1]))
    _assert_same(parts[0] + parts[1], whole)


def test_many_rows_are_taken_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    from multilevel.likelihood.products import row_products

    source, patterns = _source(3, n_rows=400)
    whole = cross_products(source.rows(), patterns, [0, 1])
    monkeypatch.setattr(row_products, "CHUNK", 16)
    _assert_same(source_products(source, patterns, [0, 1]), whole)


def _less_effects(products: CrossProducts, effect: float) -> CrossProducts:
    """With the products of a second pass, as if an effect was taken off every level."""
    effects = tuple(np.full_like(block, effect) for block in products.ZtXy)
    left = SecondPass(effects, products.ZtXy, products.XytXy)
    return replace(products, second_pass=left)


def test_what_a_second_pass_told_is_never_lost_in_a_sum() -> None:
    source, patterns = _source(11)
    parts = [
        cross_products(source.rows(part), patterns.part(part), [0, 1])
        for part in (slice(0, 20), slice(20, None))
    ]
    one, two = (_less_effects(part, 1.0) for part in parts)
    total = (one + two).second_pass
    assert total is not None
    assert_allclose(total.XytXy, parts[0].XytXy + parts[1].XytXy, rtol=1e-14)
    for both, a, b in zip(total.ZtXy, parts[0].ZtXy, parts[1].ZtXy, strict=True):
        assert_allclose(both, a + b, rtol=1e-14)
    with pytest.raises(ValueError, match="some of the rows only"):
        one + parts[1]
    with pytest.raises(ValueError, match="some of the rows only"):
        parts[0] + two
    with pytest.raises(ValueError, match="different effects"):
        one + _less_effects(parts[1], 2.0)


def test_a_factor_is_nested_only_if_no_level_has_two_parents() -> None:
    child, parent = np.array([0, 0, 1, 2]), np.array([1, 1, 0, 1])
    assert parent_levels(child, 3, parent).tolist() == [1, 0, 1]
    assert parent_levels(child, 3, np.array([1, 0, 0, 1])) is None


def _hostile(kind: str) -> GroupedData:
    rng = np.random.default_rng(8)
    n = 60
    g = np.r_[np.arange(8), rng.integers(0, 8, n - 8)]
    h = rng.integers(0, 5, n)
    x = rng.integers(-40, 40, n) / 8.0
    y = 3.0 + 0.5 * x + rng.normal(size=8)[g] + rng.normal(size=5)[h]
    y = np.round((y + rng.normal(size=n)) * 64.0) / 64.0
    weights = None
    if kind == "response with a large mean":
        y = y + 2.0**30
    if kind == "covariate with a large mean":
        x = x + 2.0**30
    if kind == "year":
        x = np.round(x) + 2005.0
    if kind == "tiny scale":
        x = x * 2.0**-27
    if kind == "huge scale":
        x = x * 2.0**27
    if kind == "weights over ten orders":
        weights = 10.0 ** rng.uniform(-5, 5, n)
    columns = np.c_[np.ones(n), x]
    X = np.c_[np.ones(n), x, x**2] if kind == "year" else columns
    terms = (Term(g, columns), Term(h, np.ones((n, 1))))
    return GroupedData(y, X, terms, weights)


HOSTILE = (
    "response with a large mean",
    "covariate with a large mean",
    "year",
    "tiny scale",
    "huge scale",
    "weights over ten orders",
)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", HOSTILE)
def test_no_digits_are_lost_against_extended_precision(kind: str, reml: bool) -> None:
    """The reference needs no products of columns: see `long_deviance`.

    The covariances are given in the working columns; with a covariate of mean 1e9 the
    user's theta could not even hold them.  There the reference is taken of the same
    data with the mean, a power of two, removed exactly.
    """
    data = _hostile(kind)
    plain = _hostile("plain") if kind == "covariate with a large mean" else data
    problem, twin = data.problem(), plain.problem()
    lams = [np.array([[0.8, 0.0], [0.3, 0.4]]), np.eye(1)]
    factors = [T @ lam for T, lam in zip(twin.basis.terms, lams, strict=True)]
    expected = long_deviance(plain, factors, reml=reml)
    point = problem.point(lams, reml=reml)
    ours = point.profiled.deviance + problem.deviance_shift(reml=reml)
    # 1e-11 of a deviance of some hundreds; in double precision the normal equations
    # of the raw columns lose up to twelve digits here.
    assert_allclose(ours, expected, rtol=1e-11, atol=1e-9)
