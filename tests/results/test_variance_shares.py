"""The methods hand on what was asked for."""

from __future__ import annotations

import pandas as pd
import pytest

import multilevel as ml
from small_data import grouped_responses


@pytest.fixture(scope="module")
def result() -> ml.MixedGLMResults:
    data = grouped_responses(1)
    return ml.mixedglm("count ~ x + (1 | g)", data, family="poisson").fit()


def test_shapes_of_what_is_returned(result: ml.MixedGLMResults) -> None:
    assert list(result.r2().index) == ["marginal", "conditional"]
    assert list(result.icc().index) == ["g", "all"]
    more = ["se", "lower", "upper"]
    assert list(result.icc(se=True).columns) == [
        *("adjusted", *(f"adjusted_{name}" for name in more)),
        *("unadjusted", *(f"unadjusted_{name}" for name in more)),
    ]
    assert list(result.caic().index) == ["llf", "df", "caic"]


def test_options_are_handed_on(result: ml.MixedGLMResults) -> None:
    values = [
        result.r2()["marginal"],
        result.r2("delta")["marginal"],
        result.r2(at="population")["marginal"],
        result.r2("trigamma", at="population")["marginal"],
    ]
    assert len(set(values)) == 4
    for method, at in [("lognormal", "typical"), ("delta", "population")]:
        r2, icc = result.r2(method, at=at), result.icc(method, at=at)
        share = r2["conditional"] - r2["marginal"]
        assert icc.loc["all", "unadjusted"] == pytest.approx(share)
        effects = result.design_effect(method=method, at=at)
        adjusted = icc["adjusted"].rename("icc")
        pd.testing.assert_series_equal(effects["icc"], adjusted)
