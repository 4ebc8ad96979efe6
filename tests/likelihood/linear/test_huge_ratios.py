"""Random effects that explain nearly everything cost no digits.

Against extended precision: one orthogonal factorization of the rows themselves.
"""

from __future__ import annotations

import numpy as np
import pytest
from dense_likelihood import GroupedData, Term, long_deviance
from numpy.testing import assert_allclose

from multilevel.array_types import FloatVector
from multilevel.likelihood.linear import evaluation, second_pass
from multilevel.likelihood.rows.working_rows import WorkingRows
from multilevel.optimize.linear.estimates import evaluate

KINDS = {
    "one factor": (1, [12]),
    "one factor, slopes": (2, [12]),
    "nested": (1, [24, 6]),
    "nested, slopes": (2, [24, 6]),
    "crossed": (1, [12, 8]),
    "crossed, slopes": (2, [12, 8]),
}


def _data(kind: str, ratio: float, *, weighted: bool = False) -> GroupedData:
    """Effects of `ratio` residual standard deviations; a covariate within groups."""
    rng = np.random.default_rng(5)
    n = 120
    n_effects, n_levels = KINDS[kind]
    codes = [np.r_[np.arange(j), rng.integers(0, j, n - j)] for j in n_levels]
    if "nested" in kind:
        codes[1] = (np.arange(n_levels[0]) % n_levels[1])[codes[0]]
    weights = 10.0 ** rng.uniform(-2, 2, n) if weighted else None
    X = np.c_[np.ones(n), rng.normal(size=n)]
    noise = rng.normal(size=n) / (1.0 if weights is None else np.sqrt(weights))
    y = X @ [3.0, -2.0] + noise
    for own, j in zip(codes, n_levels, strict=True):
        effects = ratio * rng.normal(size=(j, n_effects))
        y += (X[:, :n_effects] * effects[own]).sum(axis=1)
    terms = tuple(Term(own, X[:, :n_effects]) for own in codes)
    return GroupedData(y, X, terms, weights)


def _theta(data: GroupedData, ratio: float) -> FloatVector:
    sizes = [term.columns.shape[1] for term in data.terms]
    return data.problem().terms.theta_of([ratio * np.eye(size) for size in sizes])


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets an entry whenever the rows are walked over once more."""
    seen: list[int] = []
    walk = second_pass._without_fixed_part

    def counted(rows: WorkingRows, beta: FloatVector) -> WorkingRows:
        seen.append(1)
        return walk(rows, beta)

    monkeypatch.setattr(second_pass, "_without_fixed_part", counted)
    return seen


@pytest.fixture(params=["full matrices", "blocks"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "blocks":
        monkeypatch.setattr(evaluation, "MAX_EFFECTS", 0)
        monkeypatch.setattr(evaluation, "MAX_SECOND_PASS_EFFECTS", 0)
    return str(request.param)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("ratio", [1e-3, 1.0, 30.0, 1e2, 1e3, 1e4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_deviance_keeps_its_digits(
    kind: str, ratio: float, reml: bool, way: str
) -> None:
    """1e4 is a ratio of variances of 1e8; log|M| itself then has 7 digits less.

    Blocks of nested slopes lose as many again when one factor is absorbed into the
    next; they are used above 800 random effects only.  See docs/limitations.rst.
    """
    atol = 1e-6 if ratio > 1e3 else 2e-8
    if way == "blocks" and kind == "nested, slopes" and ratio >= 1e3:
        atol = 1e-6 if ratio < 1e4 else 0.1
    data = _data(kind, ratio)
    problem, theta = data.problem(), _theta(data, ratio)
    exact = long_deviance(data, problem.terms.term_factors(theta), reml=reml)
    ours = evaluate(problem, theta, reml=reml).deviance
    assert_allclose(ours, exact, rtol=0, atol=atol)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_all_sizes_beside_large_effects(kind: str) -> None:
    data = _data(kind, 100.0, weighted=True)
    problem, theta = data.problem(), _theta(data, 100.0)
    exact = long_deviance(data, problem.terms.term_factors(theta), reml=True)
    assert_allclose(evaluate(problem, theta, reml=True).deviance, exact, atol=2e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_estimates_do_not_depend_on_what_is_taken_off_the_rows(
    kind: str, monkeypatch: pytest.MonkeyPatch, passes: list[int]
) -> None:
    """Ratios at which both ways are accurate: effects, beta and sigma are the same."""
    data = _data(kind, 60.0)
    theta = _theta(data, 60.0)
    steadied = data.problem()
    assert passes
    monkeypatch.setattr(second_pass, "CANCELLATION", 0.0)
    passes.clear()
    plain = data.problem()
    assert not passes
    one, other = (evaluate(p, theta, reml=True) for p in (steadied, plain))
    assert_allclose(one.beta, other.beta, rtol=1e-7)
    assert_allclose(one.sigma, other.sigma, rtol=1e-7)
    assert_allclose(one.cov_beta, other.cov_beta, rtol=1e-6, atol=1e-9)
    for mine, theirs in zip(one.modes, other.modes, strict=True):
        assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)


def test_rows_are_walked_over_once_where_effects_are_ordinary(
    passes: list[int],
) -> None:
    _data("crossed", 3.0).problem()
    assert not passes
    _data("crossed", 300.0).problem()
    assert passes
