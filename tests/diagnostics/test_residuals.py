"""Residuals are functions of a fitted model, whatever its kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import multilevel as ml
from multilevel.diagnostics.residuals import RESIDUALS, residuals
from multilevel.errors import DataError
from small_data import grouped_responses

FRAME = grouped_responses()


@pytest.fixture(scope="module", params=["linear", "normal", "counts"])
def fitted(request):
    if request.param == "linear":
        return ml.mixedlm("normal ~ x + (1 | g)", FRAME).fit()._fitted
    response, family = {
        "normal": ("normal", "gaussian"),
        "counts": ("count", "poisson"),
    }[request.param]
    return ml.mixedglm(f"{response} ~ x + (1 | g)", FRAME, family=family).fit()._fitted


def test_every_kind_is_zero_where_the_mean_is_met(fitted):
    design = replace(fitted.design, y=fitted.mean.copy())
    met = replace(fitted, design=design)
    for kind in {"response", "pearson", "deviance", "scaled"}:
        assert_array_equal(residuals(met, kind), 0.0)


def test_normal_residuals_have_no_end(fitted):
    if fitted.family.name != "gaussian":
        pytest.skip("counts are not normal")
    away = fitted.mean + np.linspace(-1e200, 1e200, len(FRAME))
    far = replace(fitted, design=replace(fitted.design, y=away))
    for kind in ("deviance", "quantile"):
        expected = (away - fitted.mean) / (fitted.sigma if kind == "quantile" else 1)
        assert_allclose(residuals(far, kind), expected, rtol=1e-12)


def test_kinds_that_there_are(fitted):
    named = repr(list(RESIDUALS)[-1])
    told = f"kind='nonsense' is not known( for a linear model)?; .*{named}"
    with pytest.raises(DataError, match=told):
        residuals(fitted, "nonsense")
