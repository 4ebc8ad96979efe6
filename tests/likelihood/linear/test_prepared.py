"""Three ways to evaluate one deviance offer the same, and agree in all of it."""

from __future__ import annotations

import numpy as np
import pytest
from dense_likelihood import GroupedData, Term
from numpy.testing import assert_allclose

from multilevel.likelihood.linear.block_factors import BlockFactors
from multilevel.likelihood.linear.dense_factors import DenseFactors
from multilevel.likelihood.linear.prepared import LikelihoodPoint, Prepared
from multilevel.likelihood.linear.single_factor import RotatedLevels
from multilevel.likelihood.products.cross_products import CrossProducts

LEVELS = {"one factor": [9], "nested": [12, 4], "crossed": [9, 7]}


def _products(kind: str) -> CrossProducts:
    rng = np.random.default_rng(7)
    n = 90
    codes = [np.r_[np.arange(j), rng.integers(0, j, n - j)] for j in LEVELS[kind]]
    if kind == "nested":
        codes[1] = (np.arange(12) % 4)[codes[0]]
    X = np.c_[np.ones(n), rng.normal(size=(n, 2))]
    sizes = [2, 1]
    terms = tuple(
        Term(own, X[:, :size]) for own, size in zip(codes, sizes, strict=False)
    )
    y = X @ [1.0, 2.0, 3.0] + rng.normal(size=n)
    y += sum(rng.normal(size=own.max() + 1)[own] for own in codes)
    return GroupedData(y, X, terms, rng.uniform(0.5, 2.0, n)).problem().products


def _ways(kind: str) -> list[Prepared]:
    products = _products(kind)
    ways: list[Prepared] = [
        DenseFactors.from_products(products),
        BlockFactors.from_products(products),
    ]
    if kind == "one factor":
        ways.append(RotatedLevels.from_products(products))
    return ways


def _lams(kind: str) -> list[np.ndarray]:
    lams = [np.array([[0.8, 0.0], [-0.3, 0.5]]), np.array([[1.3]])]
    return lams[: len(LEVELS[kind])]


def _assert_same_point(ours: LikelihoodPoint, other: LikelihoodPoint) -> None:
    for name in ("deviance", "beta", "sigma2", "whitened", "log_det"):
        mine, its = (getattr(p.profiled, name) for p in (ours, other))
        assert_allclose(mine, its, rtol=1e-10, atol=1e-10)
    for name in (
        "gradients",
        "modes",
        "score",
        "whitened_columns",
        "column_effects",
        "conditional_blocks",
    ):
        for mine, its in zip(
            getattr(ours, name)(), getattr(other, name)(), strict=True
        ):
            assert_allclose(mine, its, rtol=1e-9, atol=1e-9, err_msg=name)
    directions = [np.array([g @ g.T, np.eye(len(g))]) / len(g.T) for g in other.score()]
    for mine, its in zip(
        ours.working_products(directions),
        other.working_products(directions),
        strict=True,
    ):
        assert_allclose(mine, its, rtol=1e-9, atol=1e-9)
    both = ours.trace_products(directions), other.trace_products(directions)
    if both[0] is not None and both[1] is not None:
        assert_allclose(*both, rtol=1e-9)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", LEVELS)
def test_points_agree_in_all_that_they_offer(kind: str, reml: bool) -> None:
    first, *others = _ways(kind)
    point = first.point(_lams(kind), reml=reml)
    for other in others:
        _assert_same_point(other.point(_lams(kind), reml=reml), point)
        traces = other.point(_lams(kind), reml=reml).trace_products(
            [np.eye(len(lam))[None] for lam in _lams(kind)]
        )
        assert (traces is not None) == other.has_exact_hessian


@pytest.mark.parametrize("kind", LEVELS)
def test_shares_left_are_those_of_least_squares_roughly(kind: str) -> None:
    shares = [way.share_left(enough=1e-12) for way in _ways(kind)]
    assert 0.05 < shares[0] < 1.0
    assert_allclose(shares, shares[0], rtol=0.05)


@pytest.mark.parametrize("kind", LEVELS)
def test_groups_that_nothing_crosses_have_determinants_of_their_own(kind: str) -> None:
    for way in _ways(kind):
        if kind == "crossed":
            assert way.independent_factor is None
            continue
        coarsest = len(LEVELS[kind]) - 1
        assert way.independent_factor == coarsest
        log_dets = way.level_log_dets(_lams(kind))
        assert log_dets.shape == (LEVELS[kind][coarsest],)
        total = way.point(_lams(kind), reml=False).profiled.log_det
        assert_allclose(log_dets.sum(), total, rtol=1e-12)
