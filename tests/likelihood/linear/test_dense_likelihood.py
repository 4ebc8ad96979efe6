"""The profiled deviance against full matrices, for every way groups can meet."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from dense_likelihood import GroupedData, Term, central_difference, dense_deviance
from numpy.testing import assert_allclose

from multilevel.array_types import FloatVector, IntVector
from multilevel.errors import SingularFitWarning
from multilevel.likelihood.linear import evaluation
from multilevel.likelihood.linear.prepared import LikelihoodPoint
from multilevel.likelihood.linear.second_pass import covariance_roots
from multilevel.likelihood.linear.theta_derivatives import (
    theta_derivatives,
    theta_gradient,
)
from multilevel.optimize.linear.estimates import evaluate
from multilevel.optimize.linear.fit import fit_lmm
from multilevel.optimize.linear.problem import LinearProblem


def _codes(rng: np.random.Generator, n_rows: int, n_levels: int) -> IntVector:
    own = np.r_[np.arange(n_levels), rng.integers(0, n_levels, n_rows - n_levels)]
    return rng.permutation(own)


def _above(rng: np.random.Generator, child: IntVector, n_parents: int) -> IntVector:
    """A factor that the child is nested in."""
    parents = np.arange(child.max() + 1) % n_parents
    rng.shuffle(parents)
    return parents[child]


def _data(kind: str, *, fixed: int = 2, weighted: bool = False) -> GroupedData:
    rng = np.random.default_rng(sum(map(ord, kind)) + fixed)
    n = 90
    fine = _codes(rng, n, 18)
    codes = {
        "one factor": [fine],
        "one factor, three effects": [fine],
        "one row a group": [np.arange(n)],
        "nested": [fine, _above(rng, fine, 6)],
        "nested, coarse first": [_above(rng, fine, 6), fine],
        "crossed": [fine, _codes(rng, n, 7)],
        "three crossed": [fine, _codes(rng, n, 7), _codes(rng, n, 4)],
        "the same grouping twice": [fine, fine.copy()],
    }.get(kind)
    if kind == "three nested":
        middle = _above(rng, fine, 9)
        codes = [fine, middle, _above(rng, middle, 4)]
    if kind == "nested and crossed":
        codes = [fine, _above(rng, fine, 6), _codes(rng, n, 5)]
    assert codes is not None
    sizes = [3] if "three effects" in kind else [1] if "one row" in kind else [2, 1, 2]
    terms = tuple(
        Term(own, np.c_[np.ones(n), rng.normal(size=(n, size - 1)) + 2.0])
        for own, size in zip(codes, sizes, strict=False)
    )
    X = np.c_[np.ones(n), rng.normal(size=(n, fixed)) + 4.0][:, :fixed]
    weights = rng.uniform(0.5, 3.0, n) if weighted else None
    return GroupedData(rng.normal(size=n) * 3.0 + 50.0, X, terms, weights)


KINDS = (
    "one factor",
    "one factor, three effects",
    "nested",
    "nested, coarse first",
    "three nested",
    "crossed",
    "three crossed",
    "nested and crossed",
    "the same grouping twice",
)


def _theta(
    problem: LinearProblem, seed: int, least: float | None = None
) -> FloatVector:
    """Any theta; the last diagonal entry of each factor may be given."""
    rng = np.random.default_rng(seed)
    factors = [
        np.tril(rng.normal(size=(s.n_effects, s.n_effects))) * 0.6
        for s in problem.terms.structures
    ]
    for factor in factors:
        factor[-1, -1] = factor[-1, -1] if least is None else least
    return problem.terms.theta_of(factors)


@pytest.fixture(params=["full matrices", "blocks"], autouse=True)
def _ways_of_evaluating(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small problems with several factors are evaluated by full matrices otherwise."""
    if request.param == "blocks":
        monkeypatch.setattr(evaluation, "MAX_EFFECTS", 0)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("fixed", [0, 1, 3])
@pytest.mark.parametrize("kind", [*KINDS, "one row a group"])
def test_deviance_is_that_of_the_multivariate_normal(
    kind: str, fixed: int, weighted: bool, reml: bool
) -> None:
    data = _data(kind, fixed=fixed, weighted=weighted)
    problem = data.problem()
    theta = _theta(problem, 1)
    ours = evaluate(problem, theta, reml=reml)
    deviance, beta, sigma2 = dense_deviance(
        data, problem.terms.term_factors(theta), reml=reml
    )
    assert_allclose(ours.deviance, deviance, rtol=1e-11)
    assert_allclose(ours.beta, beta, rtol=1e-8, atol=1e-8)
    assert_allclose(ours.sigma**2, sigma2, rtol=1e-10)


@pytest.mark.parametrize("least", [None, 1e-4, 0.0])
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_and_hessian_are_the_differences(
    kind: str, reml: bool, least: float | None
) -> None:
    """Where a covariance is singular, or nearly, as anywhere else."""
    problem = _data(kind, weighted=True).problem()
    theta_map, theta = problem.working, _theta(problem, 2, least)

    def point(at: FloatVector) -> LikelihoodPoint:
        return problem.prepared.point(theta_map.lams(at), reml=reml)

    def value(at: FloatVector) -> float:
        return point(at).profiled.deviance

    gradient = theta_gradient(point(theta), theta_map, theta)
    differences = central_difference(value, theta, 1e-6)
    assert_allclose(gradient, differences, rtol=1e-6, atol=1e-6)
    derivatives = theta_derivatives(point(theta), theta_map, theta)
    assert_allclose(derivatives.gradient, gradient, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["one factor", "one factor, three effects"])
@pytest.mark.parametrize("reml", [True, False])
def test_second_derivatives_of_one_factor_are_exact(kind: str, reml: bool) -> None:
    problem = _data(kind, weighted=True).problem()
    theta_map, theta = problem.working, _theta(problem, 3)

    def gradient(at: FloatVector) -> FloatVector:
        point = problem.prepared.point(theta_map.lams(at), reml=reml)
        return theta_gradient(point, theta_map, at)

    point = problem.prepared.point(theta_map.lams(theta), reml=reml)
    hessian = theta_derivatives(point, theta_map, theta).hessian
    differences = central_difference(gradient, theta, 1e-6)
    assert_allclose(hessian, differences, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_zero_covariance_is_ordinary_least_squares(kind: str) -> None:
    data = _data(kind)
    problem = data.problem()
    ours = evaluate(problem, np.zeros(problem.terms.n_theta), reml=False)
    beta, squares, *_ = np.linalg.lstsq(data.X, data.y, rcond=None)
    assert_allclose(ours.beta, beta, rtol=1e-9)
    assert_allclose(ours.sigma**2, squares[0] / len(data.y), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_modes_and_their_covariances_solve_the_mixed_model_equations(kind: str) -> None:
    data = _data(kind, weighted=True)
    problem = data.problem()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        fit = fit_lmm(problem)
    q = [term.n_levels * term.columns.shape[1] for term in data.terms]
    Z = np.hstack([data.indicator(term) for term in data.terms])
    roots = [
        np.kron(np.eye(term.n_levels), factor)
        for term, factor in zip(data.terms, fit.factors, strict=True)
    ]
    Lam = np.zeros((sum(q), sum(q)))
    start = 0
    for root in roots:
        Lam[start : start + len(root), start : start + len(root)] = root
        start += len(root)
    W = np.diag(data.weights) if data.weights is not None else np.eye(len(data.y))
    M = Lam.T @ Z.T @ W @ Z @ Lam + np.eye(sum(q))
    u = np.linalg.solve(M, Lam.T @ Z.T @ W @ (data.y - data.X @ fit.beta))
    modes = np.concatenate([m.ravel() for m in fit.modes])
    scale = np.abs(modes).max() + 1e-6
    assert_allclose(modes, Lam @ u, rtol=1e-5, atol=1e-6 * scale)
    covariance = fit.sigma**2 * Lam @ np.linalg.solve(M, Lam.T)
    start = 0
    point = problem.point(problem.working.lams(fit.working_theta), reml=True)
    working = [fit.sigma**2 * block for block in point.conditional_blocks()]
    found = problem.working_terms.user_covariances(working)
    for term, blocks in zip(data.terms, found, strict=True):
        k = term.columns.shape[1]
        for block in blocks:
            expected = covariance[start : start + k, start : start + k]
            assert_allclose(block, expected, rtol=1e-6, atol=1e-9 * fit.sigma**2)
            start += k


@pytest.mark.parametrize("kind", ["one factor", "crossed", "nested and crossed"])
def test_the_maximum_is_a_fixed_point_of_the_covariance_step(kind: str) -> None:
    """It is one step of the EM algorithm, whose fixed points are stationary."""
    problem = _data(kind, weighted=True).problem()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        fit = fit_lmm(problem, reml=False)
    lams = problem.working.lams(fit.working_theta)
    roots = covariance_roots(problem.prepared.point(lams, reml=False))
    for root, lam in zip(roots, lams, strict=True):
        assert_allclose(root @ root.T, lam @ lam.T, atol=1e-5)
