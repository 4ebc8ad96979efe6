"""After the fit of a linear model its cross-products answer; the rows are not read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.comparison.compare_pooled import compare_pooled
from multilevel.inference.variance_components import variance_components
from multilevel.likelihood.rows.row_source import RowSource
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.identification.identified_entries import refuse_unidentified

FORMULAS = [
    "y ~ x + (1 | g)",
    "y ~ x + (x | g)",
    "y ~ x + (x || g)",
    "y ~ x + (x | g) + (1 | h)",
    "y ~ x + (x | h) + (1 | h:g)",
]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    n = 300
    frame = pd.DataFrame({"x": rng.normal(size=n)})
    frame["g"], frame["h"] = rng.integers(0, 25, n), np.arange(n) % 6
    effects = rng.normal(size=(25, 2))[frame["g"]]
    frame["y"] = effects[:, 0] + (1 + effects[:, 1]) * frame["x"]
    frame["y"] += 0.5 * rng.normal(size=6)[frame["h"]] + 0.5 * rng.normal(size=n)
    return frame


def without_rows(design):
    """The same design with arrays by row that no product can be formed with."""
    return replace(
        design,
        y=np.zeros(0),
        exog=np.zeros((0, design.exog.shape[1])),
        terms=tuple(
            replace(term, columns=np.zeros((0, len(term.effects))))
            for term in design.terms
        ),
        factors=tuple(
            replace(factor, codes=np.zeros(0, dtype=np.intp))
            for factor in design.factors
        ),
    )


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("reml", [True, False])
def test_what_the_products_know_takes_no_rows(data, formula, reml):
    result = ml.mixedlm(formula, data).fit(reml=reml)
    fitted = result._fitted
    bare = replace(fitted, design=without_rows(fitted.design))
    assert compare_pooled(bare) == compare_pooled(fitted)
    assert refuse_unidentified(bare.problem, bare.design) == frozenset()
    frame = variance_components(bare).to_frame(se=True)
    pd.testing.assert_frame_equal(frame, result.variance_components.to_frame(se=True))
    for found, expected in zip(
        bare.conditional_covariances(), fitted.conditional_covariances(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def counted(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> Callable[[], int]:
    """Counts the calls of a method."""
    calls, plain = [], getattr(owner, name)

    def counting(*args, **kwargs):
        calls.append(1)
        return plain(*args, **kwargs)

    monkeypatch.setattr(owner, name, counting)
    return lambda: len(calls)


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.parametrize("formula", FORMULAS)
def test_rows_are_walked_over_for_the_products_and_once_for_residuals(
    data, formula, monkeypatch
):
    walks = counted(monkeypatch, RowSource, "rows")
    predictors = counted(monkeypatch, FittedModel, "linear_predictor")
    result = ml.mixedlm(formula, data).fit()
    assert (walks(), predictors()) == (1, 0)
    result.compare_pooled()
    result.t_test("x = 0")
    result.variance_components.to_frame(se=True)
    _ = result.random_effects_cov
    assert predictors() == 0
    # Quartiles of residuals are not sums: they are what a summary reads rows for.
    result.summary()
    str(result)
    assert (walks(), predictors()) == (1, 1)


def test_predictions_of_one_factor_take_the_rows_to_predict_only(data, monkeypatch):
    result = ml.mixedlm("y ~ x + (x | g)", data).fit()
    monkeypatch.setattr(
        "multilevel.prediction.row_elimination.effect_layout",
        lambda effects: pytest.fail("the rows of the fit were eliminated again"),
    )
    frame = result.get_prediction(data.head(3)).summary_frame()
    whole = result.get_prediction().summary_frame()
    np.testing.assert_allclose(frame, whole.head(3), rtol=1e-10)
