"""Singular fits: the direction lost in any units, and simpler models that fit."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.diagnostics.simpler_formulas import _rewritten
from multilevel.diagnostics.singularity import SingularFit
from multilevel.errors import SingularFitWarning
from multilevel.formula.parse import parse_formula

quiet = pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")


def small_groups(seed: int = 3) -> pd.DataFrame:
    """Ten groups of six; `flat` does not vary by group, `one` in one direction only."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(10), 6)
    x, z, b = rng.normal(size=60), rng.normal(size=60), rng.normal(size=10)
    noise = rng.normal(size=60)
    # Groups alike to the last digit.
    balanced = np.tile([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0], 10)
    own = np.column_stack([np.ones(6), balanced[:6]])
    even = noise.reshape(10, 6) @ (np.eye(6) - own @ np.linalg.pinv(own))
    even = even.ravel()
    return pd.DataFrame(
        {
            "g": g,
            "h": np.arange(60) % 7,
            "f": np.array(list("abc"))[np.arange(60) % 3],
            "x": x,
            "z": z,
            "balanced": balanced,
            "flat": 1 + x + rng.normal(size=60),
            "even": even,
            "one": x + b[g] * (1 + 0.5 * x) + 0.3 * noise,
            "some": b[g] + even,
            "count": rng.poisson(2, size=60),
        }
    )


def fit(formula: str, data: pd.DataFrame, **options: object) -> ml.MixedLMResults:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return ml.mixedlm(formula, data, **options).fit()


def words(told: SingularFit) -> str:
    return " ".join(str(told).split())


def test_an_intercept_without_variance() -> None:
    told = fit("even ~ x + (1 | g)", small_groups()).explain_singular()
    assert [term.without_variance for term in told.terms] == [("Intercept",)]
    assert told.terms[0].rank == 0
    assert told.formulas == ()
    assert "the intercept has no variance between the levels of g" in words(told)
    assert "result.pooled" in str(told)


def test_a_correlation_of_one() -> None:
    data = small_groups()
    result = fit("flat ~ x + (x | g) + (1 | h)", data)
    told = result.explain_singular()
    (term,) = told.terms
    assert term.without_variance == ()
    weights = term.combinations[0]
    assert_allclose([weights["Intercept"], weights["x"]], [0.5**0.5, -(0.5**0.5)])
    assert "1: where the first is larger, the second is larger" in words(told)
    assert told.formulas == (
        "flat ~ x + (1 + x || g) + (1 | h)",
        "flat ~ x + (1 | g) + (1 | h)",
    )
    for formula in told.formulas:
        assert fit(formula, data).llf <= result.llf + 1e-6


def test_a_combination_of_three_effects_has_no_variance() -> None:
    result = fit("one ~ x + z + (x + z | g)", small_groups())
    (term,) = result.explain_singular().terms
    assert term.rank == 2
    (weights,) = term.combinations
    cov = result.cov_re["g"]
    sd = np.sqrt(np.diag(cov))
    c = np.array([weights.get(name, 0.0) for name in cov]) / sd
    assert_allclose(np.sum(np.square(c * sd)), 1.0)
    assert abs(c @ cov.to_numpy() @ c) < 1e-6
    assert "(each effect in units of its own" in words(result.explain_singular())


def test_an_effect_without_variance_is_left_out_at_no_cost() -> None:
    data = small_groups()
    result = fit("some ~ balanced + (balanced || g)", data)
    told = result.explain_singular()
    assert told.terms[0].without_variance == ("balanced",)
    assert told.formulas[0] == "some ~ balanced + (1 | g)"
    assert_allclose(fit(told.formulas[0], data).llf, result.llf, atol=1e-6)


def test_a_fit_that_is_not_singular_says_so() -> None:
    data = ml.datasets.load("sleepstudy")
    told = ml.mixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    assert not told.explain_singular()
    assert "not singular: every random effect varies" in str(told.explain_singular())


@quiet
def test_generalized_models_weights_and_offsets() -> None:
    data = small_groups()
    formula = "count ~ x + offset(np.log(h + 1.0)) + (x | g)"
    data["count"] = np.repeat([[2, 3, 2, 1, 3, 2]], 10, axis=0).ravel()
    result = ml.mixedglm("count ~ x + (x | g)", data, family="poisson").fit()
    assert result.explain_singular().terms[0].without_variance == ("Intercept", "x")
    result = ml.mixedglm(formula, data, family="poisson").fit()
    for text in result.explain_singular().formulas:
        assert "offset(np.log(h + 1.0))" in text
        ml.mixedglm(text, data, family="poisson").fit()
    weighted = fit("flat ~ x + (x | g)", data, weights=1.0 + data["h"])
    for text in weighted.explain_singular().formulas:
        fit(text, data, weights=1.0 + data["h"])


def test_models_given_as_arrays_have_words_but_no_formula() -> None:
    data = small_groups()
    X = np.column_stack([np.ones(60), data["x"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        term = ml.RandomTerm(data["g"], name="g")
        told = ml.MixedLM(data["even"], X, random=[term]).fit().explain_singular()
    assert told
    assert told.formulas == ()


def test_categories_keep_what_their_coding_rests_on() -> None:
    data = small_groups()
    told = fit("even ~ f + (f | g)", data).explain_singular()
    for text in told.formulas:
        fit(text, data)
        assert "(0 + f" not in text


@pytest.mark.parametrize(
    ("formula", "new"),
    [
        ("y ~ x + (x | a / b) + (1|c)", "y ~ x + (1 | a) + (1 + x | a:b) + (1|c)"),
        (
            "log(y) ~ 0 + x + diag(x | a) + offset(w)",
            "log(y) ~ 0 + x + (1 | a) + offset(w)",
        ),
        ("y ~ (x | a) - 1", "y ~ -1 + (1 | a)"),
    ],
)
def test_the_rest_of_the_formula_is_kept(formula: str, new: str) -> None:
    parsed = parse_formula(formula)
    text = _rewritten(parsed, {0: "(1 | a)"})
    assert text == new
    again = parse_formula(text)
    assert (again.response, again.offsets) == (parsed.response, parsed.offsets)
    assert len(again.random) == len(parsed.random)


@given(
    x_unit=st.sampled_from([1e-4, 1.0, 1e5]),
    y_unit=st.sampled_from([1e-6, 1.0, 1e4]),
    seed=st.integers(0, 5),
)
def test_units_and_order_do_not_matter(x_unit: float, y_unit: float, seed: int) -> None:
    data = small_groups()
    plain = fit("one ~ x + z + (x + z | g)", data).explain_singular()
    moved = data.assign(x=x_unit * data["x"], one=y_unit * data["one"])
    moved = moved.sample(frac=1.0, random_state=seed)
    other = fit("one ~ x + z + (x + z | g)", moved).explain_singular()
    assert other.formulas == plain.formulas
    (first,), (second,) = plain.terms[0].combinations, other.terms[0].combinations
    assert first.keys() == second.keys()
    assert_allclose(list(first.values()), list(second.values()), atol=2e-3)
