"""Conditional AIC: brute-force derivatives, full matrices, refits one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from dense_variance import dense_effects, dense_v
from numpy.testing import assert_allclose
from scipy import stats

import multilevel as ml
from multilevel.diagnostics.effective_df import theta_correction
from multilevel.errors import DataError
from small_data import balanced_groups, grouped_responses

pytestmark = pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")

LINEAR = {
    "REML": ("normal ~ x + (1 | g)", True, None),
    "ML": ("normal ~ x + (1 | g)", False, None),
    "singular slopes": ("normal ~ x + (x | g)", True, None),
    "crossed, weights": ("normal ~ x + (1 | g) + (1 | h)", True, "size"),
    "independent": ("normal ~ x + (x || g) + (1 | h)", False, "size"),
    "no fixed effects": ("normal ~ 0 + (1 | g)", True, None),
}


def linear(case: str) -> Any:
    formula, reml, weights = LINEAR[case]
    data = grouped_responses(3, n_groups=8)
    return ml.mixedlm(formula, data, weights=weights).fit(reml=reml)


def followed(fitted: Any) -> float:
    """sum_i d fitted_i / d y_i by refits."""
    y, step, total = fitted.design.y, 1e-2 * np.std(fitted.design.y), 0.0
    for i in range(len(y)):
        up, down = y.copy(), y.copy()
        up[i] += step
        down[i] -= step
        ends = [fitted.with_response(moved).refit().eta[i] for moved in (up, down)]
        total += (ends[0] - ends[1]) / (2 * step)
    return total


@pytest.mark.parametrize("case", LINEAR)
def test_fitted_values_follow_the_response(case: str) -> None:
    result = linear(case)
    found = result.caic()
    assert list(found.index) == ["llf", "df", "caic"]
    assert_allclose(found["df"] - 1.0, followed(result._fitted), rtol=1e-3)
    assert_allclose(found["caic"], -2 * found["llf"] + 2 * found["df"])


@pytest.mark.parametrize("case", LINEAR)
def test_with_known_variances_it_is_a_trace(case: str) -> None:
    result = linear(case)
    design = result._fitted.design
    V, X = dense_v(result), design.X
    w = np.ones(design.nobs) if design.weights is None else design.weights
    inverse = np.linalg.inv(V)
    P = inverse - inverse @ X @ np.linalg.pinv(X.T @ inverse @ X) @ X.T @ inverse
    hat = np.eye(len(V)) - (result.scale / w)[:, None] * P
    found = result.caic("vaida-blanchard")
    assert_allclose(found["df"], np.trace(hat) + 1.0, rtol=1e-8)
    sd = result.sigma / np.sqrt(w)
    expected = stats.norm.logpdf(design.y, result.fittedvalues, sd).sum()
    assert_allclose(found["llf"], expected, rtol=1e-10)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("name", "formula", "reml", "trace", "llf"),
    [
        (
            "sleepstudy",
            "Reaction ~ Days + (Days | Subject)",
            True,
            29.02212395,
            -824.50689106,
        ),
        (
            "penicillin",
            "diameter ~ 1 + (1 | plate) + (1 | sample)",
            False,
            27.46534934,
            -104.49008317,
        ),
    ],
)
def test_traces_agree_with_r(
    name: str, formula: str, reml: bool, trace: float, llf: float
) -> None:
    # lme4 1.1.31: sum(hatvalues(m)); sum(dnorm(y, fitted(m), sigma(m), log = TRUE)).
    result = ml.mixedlm(formula, ml.datasets.load(name)).fit(reml=reml)
    found = result.caic("vaida-blanchard")
    assert_allclose(found["df"] - 1.0, trace, rtol=1e-5)
    assert_allclose(found["llf"], llf, rtol=1e-6)


def test_without_variance_it_is_that_of_least_squares() -> None:
    data = balanced_groups(8, 5, between=0.0)
    result = ml.mixedlm("y ~ 1 + (1 | g)", data).fit(reml=False)
    assert theta_correction(result._fitted) == 0.0
    assert_allclose(result.caic()["df"], 2.0)
    assert_allclose(result.caic()["llf"], result.pooled.llf)


@pytest.mark.parametrize(("shift", "scale"), [(2005.0, 1.0), (5e5, -1e3)])
def test_units_and_origins_change_nothing(shift: float, scale: float) -> None:
    data = grouped_responses(3)
    formula = "normal ~ x + (x | g) + (1 | h)"
    plain = ml.mixedlm(formula, data).fit()
    moved = data.assign(x=shift + scale * data["x"], normal=1e3 * data["normal"])
    other = ml.mixedlm(formula, moved).fit()
    assert_allclose(other.caic()["df"], plain.caic()["df"], rtol=1e-4)
    known = [r.caic("vaida-blanchard")["df"] for r in (other, plain)]
    assert_allclose(*known, rtol=1e-4)


@pytest.mark.parametrize(
    ("formula", "family", "weights"),
    [
        ("count ~ x + (x | g) + (1 | h)", "poisson", None),
        ("yes / size ~ x + (1 | g)", "binomial", "size"),
        ("positive ~ x + (1 | g)", sm.families.Gamma(sm.families.links.Log()), None),
        ("normal ~ x + (1 | g)", "gaussian", "size"),
    ],
)
def test_a_generalized_model_is_the_linear_one_near_its_modes(
    formula: str, family: Any, weights: str | None
) -> None:
    data = grouped_responses(1)
    result = ml.mixedglm(formula, data, family=family, weights=weights).fit()
    fitted = result._fitted
    slope = fitted.link.curve(fitted.eta).first
    variance = fitted.family.traits.variance(fitted.mean, fitted.shape_values).value
    w = np.ones(len(slope)) if weights is None else data[weights].to_numpy()
    W = w * slope**2 / (variance * fitted.scale)
    V = np.diag(1 / W) + sum(dense_effects(result).values())
    X, inverse = fitted.design.X, np.linalg.inv(V)
    P = inverse - inverse @ X @ np.linalg.inv(X.T @ inverse @ X) @ X.T @ inverse
    expected = len(W) - np.trace(P / W[:, None])
    n_shapes = len(fitted.family.shapes)
    assert_allclose(result.caic()["df"], expected + n_shapes, rtol=1e-6)


def test_conditional_loglikelihoods_are_those_of_the_distribution() -> None:
    data = grouped_responses(1)
    counts = ml.mixedglm("count ~ x + (1 | g)", data, family="poisson").fit()
    expected = stats.poisson.logpmf(data["count"], counts.fittedvalues).sum()
    assert_allclose(counts.caic()["llf"], expected)
    shares = ml.mixedglm(
        "yes / size ~ x + (1 | g)", data, family="binomial", weights="size"
    ).fit()
    expected = stats.binom.logpmf(data["yes"], data["size"], shares.fittedvalues).sum()
    assert_allclose(shares.caic()["llf"], expected)


@pytest.mark.parametrize("response", ["count", "binary"])
def test_refits_one_by_one(response: str) -> None:
    data = grouped_responses(2, n_groups=6)
    family = "poisson" if response == "count" else "binomial"
    formula = f"{response} ~ x + (1 | g)"
    result = ml.mixedglm(formula, data, family=family).fit()
    mean, total = np.asarray(result.fittedvalues), 0.0
    for i, value in enumerate(data[response]):
        ends = (value, value - 1) if response == "count" else (1, 0)
        if ends[1] < 0:
            continue
        means = [_mean_of_row(data, formula, family, i, y) for y in ends]
        if response == "count":
            total += value * (np.log(means[0]) - np.log(means[1]))
        else:
            logits = np.log(means) - np.log1p(-np.array(means))
            total += mean[i] * (1 - mean[i]) * (logits[0] - logits[1])
    assert_allclose(result.caic("saefken")["df"], total, rtol=1e-2)


def _mean_of_row(
    data: pd.DataFrame, formula: str, family: str, i: int, value: float
) -> float:
    y = data[formula.split()[0]].to_numpy(dtype=float).copy()
    y[i] = value
    moved = data.assign(**{formula.split()[0]: y})
    result = ml.mixedglm(formula, moved, family=family).fit()
    return float(np.asarray(result.fittedvalues)[i])


def test_rows_that_are_alike_are_refitted_once() -> None:
    data = grouped_responses(2, n_groups=6)[["g", "count"]]
    result = ml.mixedglm("count ~ 1 + (1 | g)", data, family="poisson").fit()
    distinct = data.assign(x=np.linspace(-1e-9, 1e-9, len(data)))
    each = ml.mixedglm("count ~ 0 + I(1 + x) + (1 | g)", distinct, family="poisson")
    found, expected = result.caic("saefken"), each.fit().caic("saefken")
    assert_allclose(found["df"], expected["df"], rtol=1e-2)


def test_words_that_there_are_not_are_refused() -> None:
    data = grouped_responses(1)
    linear = ml.mixedlm("normal ~ x + (1 | g)", data).fit()
    with pytest.raises(DataError, match="method='saefken' is not known for a linear"):
        linear.caic("saefken")
    gamma = ml.mixedglm("positive ~ x + (1 | g)", data, family="gamma").fit()
    with pytest.raises(DataError, match="not for the gamma family"):
        gamma.caic("saefken")
    shares = ml.mixedglm(
        "yes / size ~ x + (1 | g)", data, family="binomial", weights="size"
    ).fit()
    with pytest.raises(DataError, match="with several trials"):
        shares.caic("saefken")
