"""Tests, degrees of freedom and standard errors know no units and no origins."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import FitError, SingularFitWarning

CHANGES = st.tuples(
    st.sampled_from([0.0, 30.0, -2005.0, 1e5, 2.45e6]),
    st.sampled_from([1e-6, 1e-3, 1.0, 1e4, 1e6]),
)
"""Shift of a column in units of its own, then a factor."""


def _data(seed: int, *, n_groups: int = 14, slope_sd: float = 0.6) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(4, 9, n_groups)
    g = np.repeat(np.arange(n_groups), sizes)
    x, z = rng.normal(size=(2, len(g)))
    y = rng.normal(size=n_groups)[g] + slope_sd * rng.normal(size=n_groups)[g] * x
    f = rng.choice(list("abc"), len(g))
    return pd.DataFrame(
        {"g": g, "x": x, "z": z, "f": f, "y": y + 0.2 * z + rng.normal(size=len(g))}
    )


def _fit(formula: str, data: pd.DataFrame, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return ml.mixedlm(formula, data).fit(**options)


def _joint(result: Any, hypotheses: str) -> list[float]:
    test = result.f_test(hypotheses)
    return [test.df_num, test.df_denom, float(test.fvalue), float(test.pvalue)]


@given(seed=st.integers(0, 10_000), x=CHANGES, z=CHANGES, singular=st.booleans())
def test_units_and_origins_of_columns_change_no_test(
    seed: int, x: tuple[float, float], z: tuple[float, float], singular: bool
) -> None:
    data = _data(seed, slope_sd=0.0 if singular else 0.6)
    moved = data.assign(x=(data.x + x[0]) * x[1], z=(data.z + z[0]) * z[1])
    formula = "y ~ x + z + (x | g)"
    one, other = _fit(formula, data), _fit(formula, moved)
    assert_allclose(other.ddf.iloc[1:], one.ddf.iloc[1:], rtol=2e-4)
    assert_allclose(_joint(other, "x = 0, z = 0"), _joint(one, "x = 0, z = 0"), 2e-4)
    own = one.variance_components.to_frame(se=True)
    theirs = other.variance_components.to_frame(se=True)
    # Rows: sd of the intercept (another one with another origin), of x, their
    # correlation, sigma.
    rows = [1, 3]
    units = np.array([x[1], 1.0])
    se = theirs["se"].to_numpy()[rows] * units
    if not one.is_singular and not other.is_singular:
        assert_allclose(se, own["se"].to_numpy()[rows], rtol=2e-3)


@given(seed=st.integers(0, 10_000), shift=st.sampled_from([0.0, 50.0, 2005.0]))
def test_a_whole_term_is_tested_alike_in_any_coding(seed: int, shift: float) -> None:
    data = _data(seed)
    data["u"] = data.x * 3.0 + shift
    tables = [
        _fit(f"y ~ z + {coding} + (1 | g)", data).wald_test_terms().table.iloc[-1]
        for coding in ("C(f)", "C(f, Sum)", "C(f, Helmert)", "C(f, Treatment('c'))")
    ]
    for table in tables[1:]:
        assert_allclose(
            table.to_numpy(dtype=float), tables[0].to_numpy(dtype=float), rtol=1e-6
        )
    raw = _fit("y ~ u + I(u**2) + I(u**3) + (1 | g)", data)
    poly = _fit("y ~ poly(x, 3) + (1 | g)", data)
    expected = poly.wald_test_terms().table.iloc[-1].to_numpy(dtype=float)
    found = _joint(raw, "u = 0, I(u ** 2) = 0, I(u ** 3) = 0")
    assert_allclose([found[2], found[3], *found[:2]], expected, rtol=1e-4)


def test_a_hypothesis_in_large_units_counts() -> None:
    data = _data(1).assign(income=lambda d: 10_000 * np.exp(d.x))
    small = data.assign(income=data.income / 1e4)
    formula = "y ~ income + z + (1 | g)"
    one, other = (_joint(_fit(formula, d), "income = 0, z = 0") for d in (data, small))
    assert one[0] == 2
    assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("origin", [0.0, 2005.0, 5e5, 2.4e6])
def test_degrees_of_freedom_do_not_jump_far_from_the_origin(origin: float) -> None:
    """A balanced design: one less than the number of groups, wherever x starts."""
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(40), 8), np.tile(np.arange(8.0), 40)
    b = rng.normal(size=(40, 2))
    y = b[g, 0] + 0.5 * b[g, 1] * (x - 3.5) + rng.normal(size=320)
    data = pd.DataFrame({"y": y, "x": x + origin, "g": g})
    result = _fit("y ~ x + (x | g)", data)
    assert_allclose(result.ddf, [39.0, 39.0], rtol=1e-6)
    se = result.variance_components.to_frame(se=True)["se"]
    assert_allclose(se.iloc[[1, 3]], [0.06873923, 0.04418118], rtol=1e-6)


def test_hypotheses_that_follow_from_others_count_once() -> None:
    result = _fit("y ~ x + z + (1 | g)", _data(4))
    twice = _joint(result, "x = 0, z = 0, x - 3 * z = 0, 1e9 * x = 0")
    assert_allclose(twice, _joint(result, "x = 0, z = 0"), rtol=1e-9)
    assert twice[0] == 2


def test_hypotheses_that_contradict_each_other_are_refused() -> None:
    result = _fit("y ~ x + z + (1 | g)", _data(4))
    with pytest.raises(FitError, match="contradict"):
        result.f_test("x = 0, z = 0, x + z = 1")


@given(seed=st.integers(0, 10_000))
def test_coding_of_random_effects_changes_no_test(seed: int) -> None:
    """Levels, treatment and sum contrasts of a factor span the same random effects."""
    data = _data(seed, n_groups=20).assign(two=lambda d: np.where(d.z > 0, "p", "q"))
    fits = [
        _fit(f"y ~ x + two + ({coding} | g)", data)
        for coding in ("0 + two", "two", "C(two, Sum)")
    ]
    # A fit stops when a ten-thousandth of a standard error is left at most; next to a
    # singular one the degrees of freedom notice.
    if any(fit.is_singular for fit in fits):
        return
    for other in fits[1:]:
        assert_allclose(other.ddf, fits[0].ddf, rtol=2e-3)
        assert_allclose(
            _joint(other, "x = 0, two[T.q] = 0"),
            _joint(fits[0], "x = 0, two[T.q] = 0"),
            rtol=2e-3,
        )
        one, two = (
            fit.get_prediction(random="none").summary_frame()
            for fit in (fits[0], other)
        )
        assert_allclose(two, one, rtol=1e-3, atol=1e-5)
