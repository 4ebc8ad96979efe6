"""R squared and intraclass correlations: full matrices, R, closed forms, invariance."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from dense_variance import dense_effects
from hypothesis import given, settings
from hypothesis import strategies as st
from invariance.written_otherwise import WRITINGS, Writing, fit, grouped_frame
from numpy.testing import assert_allclose
from scipy.special import polygamma
from scipy.stats import norm

import multilevel as ml
from multilevel.diagnostics.explained_variance import (
    intraclass_correlations,
    parts_covariance,
    variance_parts,
)
from multilevel.diagnostics.null_model import null_mean, null_model
from multilevel.errors import DataError, SingularFitWarning
from reference_cases import ReferenceCase, load_references
from small_data import balanced_groups, grouped_responses

# Small random designs often have a singular optimum: nothing to report.
pytestmark = pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
LINKS = sm.families.links


@pytest.mark.reference
@pytest.mark.parametrize(
    "case",
    [case for case in load_references("inference") if case["type"] == "r2_icc"],
    ids=lambda case: case.id,
)
def test_shares_agree_with_r(case: ReferenceCase) -> None:
    result, expected = case.fitted(), case["result"]
    wanted = [expected["R2_marginal"], expected["R2_conditional"]]
    assert_allclose(result.r2()[["marginal", "conditional"]], wanted, atol=2e-6)
    adjusted, unadjusted = result.icc().loc["all"]
    assert_allclose(adjusted, expected["ICC_adjusted"], atol=2e-6)
    assert_allclose(unadjusted, expected["ICC_unadjusted"], atol=2e-6)
    parts = variance_parts(result._fitted)
    found = [parts.fixed, parts.random.sum(), parts.residual.value]
    wanted = [expected[f"var_{name}"] for name in ("fixed", "random", "residual")]
    assert_allclose(found, wanted, rtol=5e-6)


@pytest.mark.parametrize(
    ("formula", "weights"),
    [
        ("normal ~ x + (1 | g)", None),
        ("normal ~ x + (x | g) + (1 | h)", None),
        ("normal ~ x + (x || g) + (1 | h)", "size"),
        ("normal ~ 0 + (1 | h/g)", None),
        ("normal ~ x + I(2 * x) + (1 | g)", "size"),
    ],
)
@pytest.mark.filterwarnings("ignore::multilevel.errors.RankDeficiencyWarning")
def test_shares_are_those_of_full_matrices(formula: str, weights: str | None) -> None:
    data = grouped_responses(3)
    result = ml.mixedlm(formula, data, weights=weights).fit()
    e = result.scale * (1.0 if weights is None else (1 / data[weights]).mean())
    f = np.var(result.predict(random="none"), ddof=1)
    r = {name: np.diag(V).mean() for name, V in dense_effects(result).items()}
    total = f + e + sum(r.values())
    assert_allclose(result.r2(), [f / total, 1 - e / total], rtol=1e-9)
    icc = result.icc()
    assert list(icc.columns) == ["adjusted", "unadjusted"]
    assert list(icc.index) == [*r, "all"]
    assert_allclose(icc["unadjusted"][:-1], [v / total for v in r.values()])
    assert_allclose(icc["adjusted"][:-1], [v / (total - f) for v in r.values()])
    assert_allclose(icc.loc["all"], icc.iloc[:-1].sum())


def test_an_offset_is_no_part_of_it() -> None:
    data = grouped_responses(3)
    plain = ml.mixedlm("normal ~ x + (1 | g)", data).fit()
    moved = data.assign(normal=data["normal"] + 5 * data["size"])
    other = ml.mixedlm("normal ~ x + (1 | g) + offset(5 * size)", moved).fit()
    assert_allclose(other.r2(), plain.r2(), rtol=1e-6)


def test_a_singular_fit_has_no_share_between_groups() -> None:
    data = balanced_groups(8, 5, between=0.0)
    data["x"] = np.random.default_rng(1).normal(size=len(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        result = ml.mixedlm("y ~ x + (1 | g)", data).fit()
    assert result.is_singular
    marginal, conditional = result.r2()
    assert marginal == conditional
    table = result.icc(se=True)
    assert (table[["adjusted", "unadjusted"]] == 0).all(axis=None)
    assert table.drop(columns=["adjusted", "unadjusted"]).isna().all(axis=None)


def test_limits_of_balanced_groups_have_a_closed_form() -> None:
    n_groups, size = 30, 6
    data = balanced_groups(n_groups, size, between=0.5)
    result = ml.mixedlm("y ~ 1 + (1 | g)", data).fit()
    row = result.icc(se=True).loc["g"]
    # F = MSB / MSW, Var log F = 2/(J - 1) + 2/(J (m - 1)), rho = (F - 1)/(F - 1 + m).
    rho = row["adjusted"]
    f = 1 + size * rho / (1 - rho)
    spread = np.sqrt(2 / (n_groups - 1) + 2 / (n_groups * (size - 1)))
    se = f * size / (f - 1 + size) ** 2 * spread
    assert_allclose(row["adjusted_se"], se, rtol=1e-5)
    width = norm.ppf(0.975) * se / (rho * (1 - rho))
    ends = 1 / (1 + np.exp(-(np.log(rho / (1 - rho)) + width * np.array([-1, 1]))))
    assert_allclose(row[["adjusted_lower", "adjusted_upper"]], ends, rtol=1e-5)
    wide = result.icc(se=True, alpha=0.01).loc["g"]
    assert wide["adjusted_lower"] < row["adjusted_lower"] < rho


CASES = {
    "poisson": ("count ~ x + (x | g) + (1 | h)", "poisson"),
    "binomial": ("binary ~ x + (1 | g)", "binomial"),
    "size": ("overdispersed ~ x + (1 | g)", "negativebinomial"),
    "scale": ("positive ~ x + (1 | g)", sm.families.Gamma(LINKS.Log())),
    "scale and mean": ("wald ~ x + (1 | g)", sm.families.InverseGaussian(LINKS.Log())),
    "sigma": ("normal ~ x + (1 | g)", "gaussian"),
}


@pytest.mark.parametrize("case", CASES)
def test_covariances_of_the_parts_are_by_their_derivatives(case: str) -> None:
    formula, family = CASES[case]
    fitted = ml.mixedglm(formula, grouped_responses(1), family=family).fit()._fitted
    params = np.concatenate(
        [fitted.fit.beta, fitted.fit.theta, fitted.fit.shape_values]
    )
    mean = null_mean(fitted, "typical")
    slopes = []
    for position in range(len(params)):
        ends = []
        for step in (1e-4, -1e-4):
            moved = params.copy()
            moved[position] *= 1.0 + step
            ends.append(_parts_at(fitted, moved, mean))
        slopes.append((ends[0] - ends[1]) / (2e-4 * params[position]))
    expected = np.transpose(slopes) @ fitted.fit.cov_params @ slopes
    found = parts_covariance(fitted, variance_parts(fitted))
    assert_allclose(found, expected, rtol=1e-4, atol=1e-8)


def _parts_at(fitted: Any, params: np.ndarray, mean: float) -> np.ndarray:
    """The parts at other parameters; that mean of the null model is kept."""
    fit = fitted.fit
    beta, theta, shapes = np.split(params, np.cumsum([len(fit.beta), len(fit.theta)]))
    factors = fitted.design.stacked_terms.term_factors(theta)
    eta = np.full_like(fit.eta, fitted.link.eta(np.array([mean]))[0])
    eta[0] += 1e-9  # so that the null model is not asked
    other = replace(
        fit, beta=beta, theta=theta, shape_values=shapes, factors=tuple(factors)
    )
    moved = replace(fitted, fit=replace(other, mu=np.full_like(fit.mu, mean), eta=eta))
    return variance_parts(moved).values


MU, PHI, SIZE = 2.5, 0.3, 1.7
P = 0.2


@pytest.mark.parametrize(
    ("response", "family", "method", "expected"),
    [
        ("count", "poisson", "delta", 1 / MU),
        ("count", "poisson", "lognormal", np.log(1 + 1 / MU)),
        ("count", "poisson", "trigamma", polygamma(1, MU)),
        ("count", sm.families.Poisson(LINKS.Sqrt()), "delta", 0.25),
        ("overdispersed", "negativebinomial", "delta", 1 / MU + 1 / SIZE),
        (
            "overdispersed",
            "negativebinomial",
            "lognormal",
            np.log(1 + 1 / MU + 1 / SIZE),
        ),
        (
            "overdispersed",
            "negativebinomial",
            "trigamma",
            polygamma(1, 1 / (1 / MU + 1 / SIZE)),
        ),
        ("positive", sm.families.Gamma(LINKS.Log()), "delta", PHI),
        ("positive", sm.families.Gamma(LINKS.Log()), "lognormal", np.log(1 + PHI)),
        ("positive", sm.families.Gamma(LINKS.Log()), "trigamma", polygamma(1, 1 / PHI)),
        ("positive", "gamma", "delta", PHI / MU**2),
        ("wald", sm.families.InverseGaussian(LINKS.Log()), "delta", PHI * MU),
        ("normal", "gaussian", "delta", PHI),
        ("binary", "binomial", "theoretical", np.pi**2 / 3),
        ("binary", "binomial", "delta", 1 / (P * (1 - P))),
        ("binary", sm.families.Binomial(LINKS.Probit()), "theoretical", 1.0),
        (
            "binary",
            sm.families.Binomial(LINKS.Probit()),
            "delta",
            2 * np.pi * P * (1 - P) * np.exp(norm.ppf(P) ** 2),
        ),
        ("binary", sm.families.Binomial(LINKS.CLogLog()), "theoretical", np.pi**2 / 6),
        (
            "binary",
            sm.families.Binomial(LINKS.CLogLog()),
            "delta",
            P / ((1 - P) * np.log(1 - P) ** 2),
        ),
    ],
)
def test_variances_of_responses_are_those_of_the_paper(
    response: str, family: Any, method: str, expected: float
) -> None:
    model = ml.mixedglm(
        f"{response} ~ 1 + (1 | g)", grouped_responses(1), family=family
    )
    fitted = model.fit()._fitted
    mean = P if fitted.family.traits.has_trials else MU
    eta = fitted.link.eta(np.array([mean]))
    value = SIZE if response == "overdispersed" else PHI
    fit = replace(
        fitted.fit, beta=eta, shape_values=np.full(fitted.problem.n_shapes, value)
    )
    found = variance_parts(replace(fitted, fit=fit), method=method)
    assert_allclose(found.residual.value, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("response", "family", "expected"),
    [
        ("count", "poisson", "lognormal"),
        ("count", sm.families.Poisson(LINKS.Sqrt()), "delta"),
        ("binary", "binomial", "theoretical"),
        ("binary", sm.families.Binomial(LINKS.Cauchy()), "delta"),
        ("positive", "gamma", "delta"),
        ("normal", "gaussian", "delta"),
    ],
)
def test_auto_is_the_first_that_the_link_can_have(
    response: str, family: Any, expected: str
) -> None:
    data = grouped_responses(1)
    result = ml.mixedglm(f"{response} ~ x + (1 | g)", data, family=family).fit()
    assert_allclose(result.r2(), result.r2(expected), rtol=1e-12)


def test_the_null_model_is_that_without_covariates() -> None:
    data = grouped_responses(1).assign(hours=lambda d: 1.0 + d["size"] / 4)
    formula = "count ~ {} + offset(log(hours)) + (x | g)"
    fitted = ml.mixedglm(formula.format("x"), data, family="poisson").fit()._fitted
    null = ml.mixedglm(formula.format("1"), data, family="poisson").fit()
    found = null_model(fitted)
    assert_allclose(found.llf, null.llf, rtol=1e-8)
    assert_allclose(found.beta, null.params, rtol=1e-4)
    assert null_model(null._fitted) is null._fitted
    eta = null.params["Intercept"] + np.log(data["hours"]).mean()
    assert_allclose(null_mean(fitted, "typical"), np.exp(eta), rtol=1e-4)
    x, cov = data["x"].to_numpy(), null.cov_re["g"].to_numpy()
    columns = np.column_stack([np.ones_like(x), x])
    spread = np.einsum("ij,jk,ik->i", columns, cov, columns).mean()
    population = np.exp(eta + spread / 2)
    assert_allclose(null_mean(fitted, "population"), population, rtol=1e-3)


def test_the_unit_of_an_exposure_changes_nothing() -> None:
    data = grouped_responses(1).assign(hours=lambda d: 1.0 + d["size"] / 4)
    formula = "count ~ x + offset(log({} * hours)) + (1 | g)"
    hours, minutes = (
        ml.mixedglm(formula.format(unit), data, family="poisson").fit()
        for unit in (1, 60)
    )
    assert_allclose(minutes.r2(), hours.r2(), rtol=1e-5)


def test_case_weights_are_rows_many_times() -> None:
    data = grouped_responses(1)
    number = np.random.default_rng(1).integers(1, 4, len(data))
    formula = "count ~ x + (x | g)"
    once = ml.mixedglm(
        formula, data.assign(n=number), family="poisson", weights="n"
    ).fit()
    many = ml.mixedglm(formula, data.loc[data.index.repeat(number)], family="poisson")
    other = many.fit()
    assert_allclose(once.r2(), other.r2(), rtol=1e-4)
    assert_allclose(once.icc(se=True), other.icc(se=True), rtol=1e-3)
    assert_allclose(once.design_effect(), other.design_effect(), rtol=1e-4)


MODELS = {
    "slopes and crossed": ("y ~ {x} + {f} + ({x} | g) + (1 | h)", "gaussian"),
    "logistic slopes": ("y ~ {x} + {f} + ({x} | g)", "binomial"),
    "poisson": ("y ~ {x} + {f} + (1 | g) + (1 | h)", "poisson"),
    "gamma slopes": ("y ~ {x} + {f} + ({x} | g)", "gamma"),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("writing", WRITINGS)
@settings(max_examples=2)
@given(seed=st.integers(0, 200))
def test_shares_do_not_depend_on_the_writing(
    model: str, writing: str, seed: int
) -> None:
    text, family = MODELS[model]
    frame = grouped_frame(seed, family)
    found, expected = (
        fit(frame, text, way, family) for way in (WRITINGS[writing], Writing())
    )
    # The likelihood is flat: two optima agree to some 1e-4 of a standard error.
    near = {"rtol": 5e-3, "atol": 1e-3}
    assert_allclose(found.r2(), expected.r2(), **near)
    assert_allclose(found.icc(se=True), expected.icc(se=True), **near)
    assert_allclose(found.design_effect(), expected.design_effect(), **near)
    assert_allclose(found.caic(), expected.caic(), **near)


@settings(max_examples=5)
@given(unit=st.sampled_from([1e-6, 0.1, -3.0, 1e5]), seed=st.integers(0, 200))
def test_shares_do_not_depend_on_the_unit_of_the_response(
    unit: float, seed: int
) -> None:
    frame, text = grouped_frame(seed), MODELS["slopes and crossed"][0]
    found, expected = (
        fit(other, text, Writing(), "gaussian")
        for other in (frame.assign(y=7.0 + unit * frame["y"]), frame)
    )
    assert_allclose(found.r2(), expected.r2(), atol=1e-4)
    assert_allclose(found.icc(se=True), expected.icc(se=True), rtol=5e-3, atol=1e-3)
    of_params = found.design_effect("params")
    assert_allclose(of_params, expected.design_effect("params"), rtol=1e-3)


@pytest.mark.slow
def test_limits_cover() -> None:
    rng, covered, n_draws = np.random.default_rng(11), 0, 300
    n_groups, size, rho = 40, 6, 0.3
    data = balanced_groups(n_groups, size, between=0.4)
    start = ml.mixedlm("y ~ 1 + (1 | g)", data).fit()._fitted
    codes = np.repeat(np.arange(n_groups), size)
    for _ in range(n_draws):
        effects = rng.normal(scale=np.sqrt(rho), size=n_groups)
        y = effects[codes] + rng.normal(scale=np.sqrt(1 - rho), size=len(codes))
        row = _limits_of(start.with_response(y).refit())
        covered += row["adjusted_lower"] < rho < row["adjusted_upper"]
    assert 0.92 <= covered / n_draws <= 0.98


def _limits_of(fitted: Any) -> pd.Series:
    return intraclass_correlations(fitted, se=True).loc["g"]


def test_words_that_there_are_not_are_refused() -> None:
    data = grouped_responses(1)
    linear = ml.mixedlm("normal ~ x + (1 | g)", data).fit()
    logistic = ml.mixedglm("binary ~ x + (1 | g)", data, family="binomial").fit()
    with pytest.raises(DataError, match=r"method='lognorm'.*did you mean 'lognormal'"):
        linear.r2("lognorm")
    with pytest.raises(DataError, match=r"for models with log link.*method=\"delta\""):
        logistic.icc("trigamma")
    with pytest.raises(DataError, match=r"logit, probit, cloglog or loglog link"):
        linear.r2("theoretical")
    with pytest.raises(DataError, match=r"at='mean'.*'typical' or 'population'"):
        logistic.r2(at="mean")
    gamma = ml.mixedglm("positive ~ x + (1 | g)", data, family="gamma").fit()
    with pytest.raises(DataError, match='has no expectation.*use at="typical"'):
        gamma.r2(at="population")
    with pytest.raises(DataError, match="se='yes' is neither True nor False"):
        linear.icc(se="yes")
    with pytest.raises(DataError, match="alpha=95"):
        linear.icc(alpha=95)
