"""A fit does not depend on row order, labels or units, beyond what algebra says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel as ml
from strategies import grouped_frames, shifts_and_scales

# Small random designs often have a singular or nearly flat optimum: nothing to report.
pytestmark = pytest.mark.filterwarnings(
    "ignore::multilevel.errors.SingularFitWarning",
)
FORMULA = "y ~ x + (x | group)"
# The log-likelihood is flat at its maximum: that is why the estimates agree to less.
LLF, ESTIMATES = 1e-6, 2e-3


def fit(data: pd.DataFrame, formula: str = FORMULA, *, reml: bool = True) -> Any:
    return ml.mixedlm(formula, data).fit(reml=reml)


def assert_same_estimates(one: Any, other: Any) -> None:
    assert_allclose(one.llf, other.llf, rtol=0, atol=LLF)
    atol = ESTIMATES * np.asarray(other.bse)
    assert np.all(np.abs(np.asarray(one.params) - np.asarray(other.params)) <= atol)
    assert_allclose(one.sigma, other.sigma, rtol=ESTIMATES)


@given(data=grouped_frames(), seed=st.integers(0, 1000), reml=st.booleans())
def test_order_of_rows_does_not_matter(
    data: pd.DataFrame, seed: int, reml: bool
) -> None:
    shuffled = data.sample(frac=1, random_state=seed)
    assert_same_estimates(fit(shuffled, reml=reml), fit(data, reml=reml))


@given(data=grouped_frames())
def test_labels_of_groups_do_not_matter(data: pd.DataFrame) -> None:
    labels = {label: -int(label[1:]) for label in data["group"].unique()}
    renamed = fit(data.assign(group=data["group"].map(labels)))
    original = fit(data)
    assert_same_estimates(renamed, original)
    modes = renamed.random_effects["group"].loc[list(labels.values())]
    atol = ESTIMATES * original.sigma
    assert_allclose(
        modes, original.random_effects["group"].loc[list(labels)], atol=atol
    )


@given(data=grouped_frames(), units=shifts_and_scales())
def test_units_of_the_response(data: pd.DataFrame, units: tuple[float, float]) -> None:
    shift, scale = units
    original, changed = fit(data), fit(data.assign(y=shift + scale * data["y"]))
    n_free = len(data) - 2
    assert_allclose(
        changed.llf, original.llf - n_free * np.log(scale), rtol=0, atol=10 * LLF
    )
    expected = scale * original.params + np.array([shift, 0.0])
    assert_allclose(changed.params, expected, atol=ESTIMATES * scale, rtol=1e-9)
    assert_allclose(changed.sigma, scale * original.sigma, rtol=ESTIMATES)


@given(data=grouped_frames(), units=shifts_and_scales())
def test_units_of_a_covariate(data: pd.DataFrame, units: tuple[float, float]) -> None:
    shift, scale = units
    original = fit(data, reml=False)
    changed = fit(data.assign(x=shift + scale * data["x"]), reml=False)
    assert_allclose(changed.llf, original.llf, rtol=0, atol=10 * LLF)
    slope = original.params["x"] / scale
    assert_allclose(
        changed.params["x"], slope, rtol=0, atol=ESTIMATES * original.bse["x"] / scale
    )
    assert_allclose(changed.fittedvalues, original.fittedvalues, atol=1e-2)
