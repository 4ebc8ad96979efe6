"""A search counts what it evaluates, all of it and nothing twice."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.optimize.common.counted import Evaluations
from multilevel.optimize.generalized import joint_hessian, objective
from multilevel.optimize.linear import search
from multilevel.optimize.linear.fit import fit_lmm


def test_whoever_is_told_hears_of_all_evaluations_until_then() -> None:
    told: list[tuple[int, float]] = []
    evaluations = Evaluations(lambda made, value: told.append((made, value)))
    evaluations.add()
    evaluations.tell(3.0)
    evaluations.add(4)
    evaluations.tell(2.0)
    assert told == [(1, 3.0), (5, 2.0)]
    assert evaluations.made == 5
    Evaluations().tell(1.0)


@pytest.mark.parametrize("nagq", [1, 5])
def test_a_fit_reports_what_it_evaluated(
    nagq: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    plain = objective.evaluate_at

    def counted(problem, x, **options):  # type: ignore[no-untyped-def]
        made.append(1)
        return plain(problem, x, **options)

    for module in (objective, joint_hessian):
        monkeypatch.setattr(module, "evaluate_at", counted)
    model = ml.mixedglm(
        "incidence ~ period + (1 | herd)", ml.datasets.load("cbpp"), family="poisson"
    )
    result = model.fit(nagq=nagq)
    assert result.optimization.evaluations == len(made)


@pytest.mark.parametrize("name", ["ordinary", "few rows, no effects"])
def test_a_linear_fit_reports_what_it_evaluated(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Descents from other starts too, which a singular fit of few rows calls for."""
    made: list[int] = []
    plain = search.theta_derivatives

    def counted(*args):  # type: ignore[no-untyped-def]
        made.append(1)
        return plain(*args)

    monkeypatch.setattr(search, "theta_derivatives", counted)
    told: list[int] = []
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": rng.normal(size=24), "y": rng.normal(size=24)})
    data["g"] = np.arange(24) // 3
    formula = "y ~ x + (x | g)"
    if name == "ordinary":
        data, formula = (
            ml.datasets.load("sleepstudy"),
            "Reaction ~ Days + (1 | Subject)",
        )
    problem = ml.mixedlm(formula, data).problem
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = fit_lmm(problem, on_step=lambda evaluations, _: told.append(evaluations))
    assert fit.report.evaluations == len(made)
    assert ("other starts" in fit.report.message) == (name != "ordinary")
    assert told == sorted(told)
    assert told[0] >= 1
    assert told[-1] <= len(made)
