"""A fitted model as a value: the numbers of a fit on one scale, and the fit again."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import multilevel as ml
from small_data import grouped_responses
from strategies import grouped_frames

FRAME = grouped_responses()
WEIGHTS = np.linspace(0.5, 2.0, len(FRAME))


def generalized(response: str, family: str, random: str = "(1 | g)", **options: int):
    return ml.mixedglm(f"{response} ~ x + {random}", FRAME, family=family).fit(
        **options
    )


FITS = {
    "linear": lambda: ml.mixedlm("normal ~ x + (x | g)", FRAME).fit(),
    "weighted": lambda: ml.mixedlm("normal ~ x + (x | g)", FRAME, weights=WEIGHTS).fit(
        reml=False
    ),
    "crossed": lambda: ml.mixedlm("normal ~ x + (1 | g) + (1 | h)", FRAME).fit(),
    "normal": lambda: generalized("normal", "gaussian"),
    "poisson": lambda: generalized("count", "poisson", "(x | g)"),
    "quadrature": lambda: generalized("binary", "binomial", nagq=5),
    "gamma": lambda: generalized("positive", "gamma"),
    "size": lambda: generalized("overdispersed", "negativebinomial"),
}


@pytest.fixture(scope="module", params=FITS)
def results(request):
    return FITS[request.param]()


def test_estimates_are_those_of_the_results(results):
    fitted = results._fitted
    assert_array_equal(fitted.beta, results.fe_params)
    assert_allclose(fitted.fixed_root @ fitted.fixed_root.T, fitted.cov_beta, rtol=1e-8)
    assert_array_equal(fitted.params, results.full_params)
    assert_allclose([fitted.scale, fitted.sigma], [results.scale, results.sigma])
    for factor, table in results.random_effects.items():
        position = fitted.design.factor_names.index(factor)
        own = [
            b
            for term, b in zip(fitted.design.terms, fitted.modes, strict=True)
            if term.factor_index == position
        ]
        assert_array_equal(np.hstack(own), table)


def test_covariances_of_effects_have_the_units_of_the_linear_predictor(results):
    components = results.variance_components
    for term, factor in zip(
        results._fitted.design.terms, results._fitted.effect_factors, strict=True
    ):
        name = results._fitted.design.factors[term.factor_index].name
        assert_allclose(factor @ factor.T, components.cov(name), rtol=1e-12)


def test_information_of_rows_makes_the_conditional_covariances(results):
    """(Z'W Z + (F F')^-1)^-1, level by level, where there is one factor."""
    fitted = results._fitted
    design = fitted.design
    if len(design.factors) > 1:
        pytest.skip("levels of crossed factors are not independent")
    term, factor, codes = design.terms[0], fitted.effect_factors[0], design.factors[0]
    prior = np.linalg.inv(factor @ factor.T)
    for level, found in enumerate(fitted.conditional_covariances()[0][:4]):
        Z = term.columns[codes.codes == level]
        w = fitted.row_information()[codes.codes == level]
        expected = np.linalg.inv(Z.T @ (Z * w[:, None]) + prior)
        assert_allclose(found, expected, rtol=1e-6)


def test_refit_stays_where_it_is(results):
    again = results._fitted.refit()
    assert again.criterion == results.criterion
    assert_allclose(again.fit.llf, results.llf, rtol=1e-10)
    assert_allclose(again.beta, results.fe_params, rtol=1e-4, atol=1e-5)


def test_another_offset_is_that_of_a_fresh_fit(results):
    fitted = results._fitted
    moved = fitted.with_offset(0.3 * fitted.design.X[:, 1]).refit()
    if results.criterion != "AGQ(5)":
        assert_allclose(moved.fit.llf, results.llf, rtol=1e-8)
    assert_allclose(fitted.beta[1] - moved.beta[1], 0.3, rtol=1e-3)
    assert fitted.design.offset is None


def test_a_fitted_model_cannot_be_changed(results):
    with pytest.raises(FrozenInstanceError):
        results._fitted.ddf = "residual"
    response = results._fitted.design.y.copy()
    results._fitted.with_response(response)
    response[0] = 0.0  # still the caller's


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@settings(max_examples=8)
@given(grouped_frames(min_groups=6), st.booleans(), st.integers(0, 99))
def test_another_response_is_a_fresh_fit(frame, reml, seed):
    y = np.random.default_rng(seed).permutation(frame["y"].to_numpy()) + frame["x"]
    formula = "y ~ x + (1 | group)"
    fitted = ml.mixedlm(formula, frame).fit(reml=reml)._fitted
    fresh = ml.mixedlm(formula, frame.assign(y=y)).fit(reml=reml)
    again = fitted.with_response(y).refit()
    assert_allclose(again.fit.llf, fresh.llf, rtol=1e-9)
    assert_allclose(again.beta, fresh.fe_params, rtol=1e-4, atol=1e-5)
    both = list(fitted.with_responses(np.column_stack([frame["y"], y])))
    assert_allclose(both[1].refit().fit.llf, fresh.llf, rtol=1e-9)
    assert_allclose(both[0].refit().fit.llf, fitted.llf, rtol=1e-9)


@pytest.mark.parametrize("options", [{}, {"nagq": 3}], ids=["laplace", "quadrature"])
def test_another_count_response_is_a_fresh_fit(options):
    rng, codes = np.random.default_rng(4), FRAME["g"].factorize()[0]
    y = rng.poisson(np.exp(rng.normal(size=20))[codes]).astype(float)
    formula = "count ~ x + (1 | g)"
    fitted = ml.mixedglm(formula, FRAME, family="poisson").fit(**options)._fitted
    fresh = ml.mixedglm(formula, FRAME.assign(count=y), family="poisson")
    again = fitted.with_response(y).refit()
    assert_allclose(again.fit.llf, fresh.fit(**options).llf, rtol=1e-9)


def test_another_response_keeps_the_offset():
    offset = np.linspace(-2.0, 2.0, len(FRAME))
    y = FRAME["normal"] + np.random.default_rng(8).normal(scale=0.5, size=len(FRAME))
    formula = "normal ~ x + (x | g) + (1 | h)"
    fitted = ml.mixedlm(formula, FRAME).fit()._fitted
    expected = ml.mixedlm(formula, FRAME.assign(normal=y), offset=offset).fit().llf
    again = next(
        fitted.with_offset(offset).with_responses(y.to_numpy()[:, None])
    ).refit()
    assert_allclose(again.fit.llf, expected, rtol=1e-9)
    other = fitted.with_response(y).with_offset(offset).refit()
    assert_allclose(other.fit.llf, expected, rtol=1e-9)
