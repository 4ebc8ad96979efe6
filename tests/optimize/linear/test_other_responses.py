"""Another response costs its own column and gives what a new design would give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from multilevel import MixedLM
from multilevel.array_types import FloatMatrix
from multilevel.design.model_design import ModelDesign
from multilevel.likelihood.linear import evaluation
from multilevel.likelihood.products import row_products
from multilevel.optimize.linear.problem import LinearProblem, build_problem

FORMULAS = {
    "one factor": "y ~ x + (1 | g)",
    "shared slopes": "y ~ x + z + (x | g)",
    "own columns": "y ~ x + (z + x || g)",
    "no constant": "y ~ 0 + x + (0 + z | g)",
    "nested": "y ~ x + (1 | g) + (x | big)",
    "crossed": "y ~ x + z + (x | g) + (1 | h)",
    "no fixed effects": "y ~ 0 + (1 | g) + (1 | h)",
}


def _design(formula: str, *, weighted: bool = False) -> ModelDesign:
    rng = np.random.default_rng(3)
    n = 300
    data = pd.DataFrame({"x": rng.normal(2.0, 1.0, n), "z": rng.normal(size=n)})
    data["g"] = np.r_[np.arange(20), rng.integers(0, 20, n - 20)]
    data["big"] = data.g % 4
    data["h"] = np.r_[np.arange(15), rng.integers(0, 15, n - 15)]
    data["y"] = data.x + rng.normal(size=20)[data.g] + rng.normal(size=n)
    weights = rng.uniform(0.2, 3.0, n) if weighted else None
    return MixedLM.from_formula(formula, data, weights=weights).design


def _responses(design: ModelDesign) -> FloatMatrix:
    """Of any origin and scale; the last one random effects explain nearly all of."""
    rng = np.random.default_rng(4)
    y = rng.normal(size=(len(design.y), 4)) * [1.0, 1e-6, 1e5, 1.0] + [0, 1, 1e7, 2]
    term = design.terms[0]
    codes = design.factors[term.factor_index].codes
    y[:, 3] += term.columns[:, 0] * (1e4 * rng.normal(size=codes.max() + 1))[codes]
    return np.asarray(y)


def _assert_same(ours: LinearProblem, fresh: LinearProblem) -> None:
    explained = fresh.products.second_pass is not None
    assert explained == (ours.products.second_pass is not None)
    # What a second pass takes off the response is rough: two roundings, two choices.
    if not explained:
        _assert_same_products(ours, fresh)
    lams = fresh.working.lams(np.full(fresh.terms.n_theta, 0.7))
    for reml in (True, False):
        one, other = (problem.point(lams, reml=reml) for problem in (ours, fresh))
        values = [
            point.profiled.deviance + problem.deviance_shift(reml=reml)
            for point, problem in ((one, ours), (other, fresh))
        ]
        assert_allclose(*values, rtol=1e-12)
        mine, its = (
            problem.basis.user_beta(point.profiled.beta)
            for point, problem in ((one, ours), (other, fresh))
        )
        atol = (1e-11 if explained else 1e-12) * fresh.basis.response_scale
        assert_allclose(mine, its, rtol=1e-11, atol=atol)


def _assert_same_products(ours: LinearProblem, fresh: LinearProblem) -> None:
    for mine, other in zip(
        (*ours.products.ZtXy, ours.products.XytXy),
        (*fresh.products.ZtXy, fresh.products.XytXy),
        strict=True,
    ):
        assert_allclose(mine, other, rtol=1e-12, atol=1e-12 * np.abs(other).max())
    ones, others = ours.basis, fresh.basis
    assert_allclose(ones.response_mean, others.response_mean, rtol=1e-13)
    assert_allclose(ones.response_scale, others.response_scale, rtol=1e-12)
    size = np.abs(others.response_fit).max(initial=0.0)
    assert_allclose(ones.response_fit, others.response_fit, rtol=0, atol=1e-12 * size)


@pytest.fixture(params=["full matrices", "blocks"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "blocks":
        monkeypatch.setattr(evaluation, "MAX_EFFECTS", 0)
        monkeypatch.setattr(evaluation, "MAX_SECOND_PASS_EFFECTS", 0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", FORMULAS)
def test_another_response_is_as_good_as_a_new_design(kind: str, weighted: bool) -> None:
    design = _design(FORMULAS[kind], weighted=weighted)
    responses = _responses(design)
    problem = build_problem(design)
    for y, ours in zip(responses.T, problem.with_responses(responses), strict=True):
        _assert_same(ours, build_problem(replace(design, y=y)))
    # From a response that needed a second pass to one that does not, and back.
    explained = problem.with_response(responses[:, 3])
    assert explained.products.second_pass is not None
    _assert_same(explained.with_response(design.y), problem)
    _assert_same(explained.with_response(responses[:, 3]), explained)


def test_slices_of_the_rows_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    design = _design(FORMULAS["crossed"])
    problem, y = build_problem(design), _responses(design)[:, 0]
    whole = problem.with_response(y)
    monkeypatch.setattr(row_products, "CHUNK", 16)
    monkeypatch.setattr(type(problem.patterns), "largest", 2)
    _assert_same(problem.with_response(y), whole)


def test_only_the_column_of_the_response_is_multiplied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sums over levels: one for each random column, and each response."""
    problem = build_problem(_design("y ~ x + (x | g) + (1 | h)"))
    sums: list[tuple[int, int]] = []
    plain = row_products._level_sums

    def counted(a, b, weights, codes, n_levels):  # type: ignore[no-untyped-def]
        sums.append((a.key, b.key))
        return plain(a, b, weights, codes, n_levels)

    monkeypatch.setattr(row_products, "_level_sums", counted)
    responses = np.random.default_rng(6).normal(size=(problem.n_rows, 5))
    others = list(problem.with_responses(responses))
    assert len(sums) == 3 * 5
    sums.clear()
    assert build_problem(_design("y ~ x + (x | g) + (1 | h)")).n_rows
    assert len(sums) > 2 * 3
    # What no response changes is not even copied.
    for other in others:
        for mine, own in zip(
            other.products.diagonal, problem.products.diagonal, strict=True
        ):
            assert mine is own
