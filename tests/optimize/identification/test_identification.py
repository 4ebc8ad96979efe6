"""Random terms whose variance no data could tell, and honest ones next to them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import DataError, RankDeficiencyWarning


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 6)
    y = rng.normal(size=72) + rng.normal(size=12)[g]
    return pd.DataFrame(
        {
            "y": y,
            "x": rng.normal(size=72),
            "f": rng.choice(list("pqr"), 72),
            "h": np.tile(list("abcdef"), 12),
            "g": [f"g{code}" for code in g],
            "same": g + 100,
            "pair": [f"p{code // 2}" for code in g],
            "two": np.where(g % 2, "u", "v"),
            "three": (g % 3).astype(float),
            "many": rng.normal(size=12)[g],
            "year": 2000.0 + rng.integers(0, 8, 72),
        }
    )


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.parametrize(
    "formula",
    [
        "y ~ many + (1 | g)",
        "y ~ many + (many | g)",
        "y ~ three + (three | g)",
        "y ~ two + (0 + two || g)",
        "y ~ pair + (1 | g)",
        "y ~ 1 + (1 | pair/g)",
        "y ~ x + (0 + x | g)",
        "y ~ g + (0 + x | g)",
        "y ~ g * x + (1 | h)",
        "y ~ h + (1 | g) + (0 + x | g)",
        "y ~ year + (year | g)",
        "y ~ year + (year || g)",
        "y ~ f + (f | g)",
        "y ~ 0 + (1 | g)",
    ],
)
def test_honest_models_are_fitted(frame, formula):
    result = ml.mixedlm(formula, frame).fit()
    assert result.converged
    assert np.isfinite(result.variance_components.to_frame()["vcov"]).all()


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ g + (1 | g)", r"intercept of 'g' .*effect of 'g': .*leave out \(1 \| g"),
        ("y ~ C(g) + (1 | g)", "fixed effect of 'g'"),
        ("y ~ g + x + (x | g)", r"intercept of 'g' .*write \(0 \+ x \| g\) for"),
        ("y ~ x + g:x + (x | g)", r"effect of x of 'g' .*write \(1 \| g\) for \(x"),
        ("y ~ x + g:x + (x || g)", "effect of x of 'g' "),
        ("y ~ g * x + (x | g)", "intercept and effect of x of 'g'"),
        ("y ~ pair * two + (1 | g)", "confounded with the fixed effects: no"),
        ("y ~ h + (1 | g) + (1 | h)", "intercept of 'h' is confounded"),
    ],
)
@pytest.mark.parametrize("reml", [True, False])
def test_effects_that_the_fixed_ones_span_are_refused(frame, formula, message, reml):
    with pytest.raises(DataError, match=message):
        ml.mixedlm(formula, frame).fit(reml=reml)


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.parametrize("slope", ["x", "many"])
def test_factors_that_group_alike_are_named(frame, slope):
    alone = ml.mixedlm(f"y ~ {slope} + ({slope} | g)", frame).fit()
    formula = f"y ~ {slope} + ({slope} | g) + (1 | same)"
    with pytest.warns(RankDeficiencyWarning, match="'g' and 'same' group the rows"):
        result = ml.mixedlm(formula, frame).fit()
    assert_allclose(result.llf, alone.llf, atol=1e-7)


def test_a_slope_of_two_values_between_groups_is_fitted_with_what_to_write(frame):
    advice = r"write \(1 \| g\), or .*\(0 \+ C\(two\) \|\|"
    with pytest.warns(RankDeficiencyWarning, match=advice):
        result = ml.mixedlm("y ~ two + (two | g)", frame).fit()
    plain = ml.mixedlm("y ~ two + (0 + C(two) || g)", frame).fit()
    assert_allclose(result.llf, plain.llf, atol=1e-7)
    assert_allclose(result.params, plain.params, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
def test_columns_that_depend_on_each_other_are_named(frame):
    twice = frame.assign(double=2 * frame["x"], zero=0.0)
    once = ml.mixedlm("y ~ x + (x | g)", frame).fit()
    with pytest.warns(RankDeficiencyWarning, match="x and double of .* depend"):
        result = ml.mixedlm("y ~ x + (x + double | g)", twice).fit()
    assert_allclose(result.llf, once.llf, atol=1e-6)
    with pytest.raises(DataError, match=r"'zero' is 0 in all rows.*\(0 \+ zero \| g\)"):
        ml.mixedlm("y ~ x + (0 + zero | g)", twice).fit()


def test_few_rows_that_cannot_tell_terms_apart_are_refused():
    data = pd.DataFrame({"y": [1.0, 3, 2, 5], "x": [0.0, 1, 0, 2], "g": list("aabb")})
    with pytest.raises(DataError, match="sigma"):
        ml.mixedlm("y ~ x + I(x ** 2) + (1 | g)", data).fit()


def test_confounded_in_data_that_come_with_the_package():
    with pytest.raises(DataError, match="fixed effect of 'school'"):
        ml.mixedlm("math ~ school + (1 | school)", ml.datasets.load("hsb")).fit()
