"""A search counts what it evaluates, all of it and nothing twice."""

from __future__ import annotations

import pytest

import multilevel as ml
from multilevel.optimize.common.counted import Evaluations
from multilevel.optimize.generalized import objective


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

    monkeypatch.setattr(objective, "evaluate_at", counted)
    model = ml.mixedglm(
        "incidence ~ period + (1 | herd)", ml.datasets.load("cbpp"), family="poisson"
    )
    result = model.fit(nagq=nagq)
    # The Hessian, by differences, is evaluated apart: both ways in each parameter.
    in_hessian = 2 * len(result.full_params)
    assert result.optimization.evaluations == len(made) + in_hessian
