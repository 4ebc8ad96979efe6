"""Starting values: bad ones are refused or recovered from; progress in real units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import FitError
from small_data import grouped_responses

links = sm.families.links

SLOPES = "Reaction ~ Days + (Days | Subject)"
HERDS = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


def _linear() -> ml.MixedLM:
    return ml.mixedlm(SLOPES, ml.datasets.load("sleepstudy"))


def _binomial() -> ml.MixedGLM:
    return ml.mixedglm(HERDS, ml.datasets.load("cbpp"), family="binomial")


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (["a", 0, 1], "start holds 'a'"),
        ("abc", "start is 'abc'"),
        ({"theta": 1.0}, "start is {'theta': 1.0}"),
        ([1j, 0.0, 1.0], "start holds 1j"),
        ([None, 0.0, 1.0], "start holds None"),
        ([True, False, True], "start holds True"),
        ([np.nan, 0.0, 1.0], "start holds nan"),
        ([10**400, 0.0, 1.0], "start holds inf"),
        ([[1.0], [2.0, 3.0]], "start"),
        (["1", "0", "1"], "start holds '1'"),
        ([1.0] * 7, r"shape \(7,\)"),
        ([], r"shape \(0,\)"),
        (0.5, r"shape \(\)"),
    ],
)
@pytest.mark.parametrize("model", [_linear(), _binomial()], ids=["linear", "binomial"])
def test_a_start_that_is_no_vector_of_numbers_is_refused(
    model: Any, start: Any, words: str
) -> None:
    with pytest.raises(FitError, match=words):
        model.fit(start=start)


@settings(max_examples=15, deadline=None)
@given(
    power=st.floats(-12.0, 15.0),
    parts=st.lists(st.sampled_from([-1.0, 0.0, 0.3, 1.0]), min_size=3, max_size=3),
)
def test_a_linear_fit_does_not_depend_on_its_start(
    power: float, parts: list[float]
) -> None:
    result = _linear().fit(start=10.0**power * np.array(parts))
    assert result.converged
    assert_allclose(result.deviance, 1743.62827, atol=1e-4)


@pytest.mark.parametrize("nagq", [1, 5])
@pytest.mark.parametrize(
    "start",
    [
        [1e8],
        [1e-8],
        [1e15],
        [1e8] * 5,
        [-1e3, 0.0, 0.0, 0.0, 1.0],
        [-1e6, 9, 9, 9, 1e4],
    ],
)
def test_a_generalized_fit_does_not_depend_on_its_start(
    start: list[float], nagq: int
) -> None:
    model = _binomial()
    result = model.fit(start=start, nagq=nagq)
    assert result.converged
    assert_allclose(result.llf, model.fit(nagq=nagq).llf, atol=1e-6)


@pytest.mark.parametrize("start", [[3e8, 0.0, 5e7, 60.0], [0.2, -0.2, 0.0, 5e7]])
def test_where_the_deviance_became_flat_is_not_kept_to(start: list[float]) -> None:
    """Huge effects or none: both descents end, 150 and 0.15 higher than the fit."""
    data = grouped_responses()
    model = ml.mixedglm("overdispersed ~ x + (1 | g)", data, family="negativebinomial")
    assert_allclose(model.fit(start=start).llf, model.fit().llf, atol=1e-6)


@pytest.mark.parametrize("reml", [True, False])
def test_progress_of_a_linear_fit_ends_with_its_deviance(
    reml: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    result = _linear().fit(reml=reml, progress=True)
    last = capsys.readouterr().err.splitlines()[-1]
    assert_allclose(float(last.split()[-1]), result.deviance, atol=1e-4)


@pytest.mark.parametrize("nagq", [1, 7])
def test_progress_of_a_generalized_fit_ends_with_its_deviance(
    nagq: int, capsys: pytest.CaptureFixture[str]
) -> None:
    result = _binomial().fit(nagq=nagq, progress=True)
    lines = capsys.readouterr().err.splitlines()
    told = [float(line.split()[-1]) for line in lines]
    assert_allclose(told[-1], result.deviance, atol=1e-4)
    # All are of one criterion: none is lower than where the fit ends.
    assert min(told) > result.deviance - 1e-4


@pytest.mark.parametrize("shape", [0.03, 0.1, 0.2])
@pytest.mark.parametrize("seed", [0, 3])
def test_a_gamma_of_small_shape_starts_well(shape: float, seed: int) -> None:
    """The smallest responses are 1e-28 and less; their logarithms say nothing."""
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(30), 20), rng.normal(size=600)
    mean = np.exp(0.5 * x + 1.5 * rng.normal(size=30)[g])
    y = np.maximum(rng.gamma(shape, mean / shape), 1e-300)
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    family = sm.families.Gamma(link=links.Log())
    model = ml.mixedglm("y ~ x + (1 | g)", data, family=family)
    result = model.fit()
    assert result.converged
    assert result.optimization.evaluations < 30
    assert_allclose(model.fit(start=[0.5]).llf, result.llf, atol=1e-6)


def test_nodes_outside_the_unit_interval_have_no_probability() -> None:
    """With the identity link the quadrature looks where eta is no probability."""
    rng = np.random.default_rng(0)
    g, x = np.repeat(np.arange(30), 20), rng.random(600)
    p = 0.3 + 0.2 * x + 0.1 * rng.normal(size=30)[g]
    y = (rng.random(600) < p).astype(float)
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    family = sm.families.Binomial(link=links.Identity())
    model = ml.mixedglm("y ~ x + (1 | g)", data, family=family)
    few, many = model.fit(nagq=7), model.fit(nagq=25)
    assert many.converged
    assert_allclose(few.llf, many.llf, atol=1e-3)
    assert_allclose(few.bse, many.bse, rtol=1e-2)
