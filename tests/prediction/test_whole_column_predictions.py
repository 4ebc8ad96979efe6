"""Predictions of expressions that look at the whole column, linear and generalized."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import DataError


def _data(n=120):
    rng = np.random.default_rng(7)
    data = pd.DataFrame(
        {
            "x": rng.normal(3.0, 1.0, n),
            "z": rng.uniform(1.0, 5.0, n),
            "g": np.repeat(np.arange(12), n // 12),
        }
    )
    effects = rng.normal(size=12)[data["g"]]
    data["y"] = data["x"] + effects + rng.normal(size=n)
    data["count"] = rng.poisson(np.exp(0.3 * data["x"] + 0.5 * effects))
    return data.set_index(pd.Index(np.arange(n)[::-1] * 2))


RIGHT = (
    "I(x - np.mean(x)) + offset(I(z / z.max()) * 0.1) + (I(z - z.mean()) | g) "
    "+ (1 | pd.cut(x, 6))"
)


def _fitted(kind, right):
    if kind == "linear":
        return ml.mixedlm(f"y ~ {right}", _data()).fit()
    return ml.mixedglm(f"count ~ {right}", _data(), family="poisson").fit()


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.filterwarnings("ignore::multilevel.errors.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["linear", "generalized"])
def test_rows_of_the_fit_get_their_fitted_values(kind):
    result = _fitted(kind, RIGHT)
    fitted = np.asarray(result.fittedvalues)
    data = _data()
    for rows in ([5], [*range(40, 60)], [*range(120)][::-1]):
        new = data.iloc[rows]
        assert_allclose(result.predict(new), fitted[rows])
        frame = result.get_prediction(new).summary_frame()
        assert_allclose(frame["mean"], fitted[rows])
    columns = {name: data[name].to_numpy()[[3, 4]] for name in ("x", "z", "g")}
    assert_allclose(result.predict(columns), fitted[[3, 4]])


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.parametrize("kind", ["linear", "generalized"])
@pytest.mark.parametrize("right", ["x.rank() + (1 | g)", "z + offset(x.cumsum() / 99)"])
def test_what_is_not_settled_is_refused_by_every_prediction(kind, right):
    right = right if "|" in right else f"{right} + (1 | g)"
    result = _fitted(kind, right)
    new = _data().iloc[[5, 6]]
    for ask in (result.predict, result.get_prediction):
        with pytest.raises(DataError, match="looks at other rows"):
            ask(new)
    assert_allclose(result.predict(_data()), result.fittedvalues)


def test_an_interval_that_is_new_is_a_new_level():
    result = _fitted("linear", "z + (1 | pd.qcut(x, 6))")
    new = _data().iloc[[0]].assign(x=50.0)
    with pytest.raises(DataError, match=r"not in the fit: 'outside"):
        result.predict(new)
    fixed = result.predict(new, random="none")
    assert_allclose(result.predict(new, new_levels="population"), fixed)
    assert result.predict(new, new_levels="missing").isna().all()
