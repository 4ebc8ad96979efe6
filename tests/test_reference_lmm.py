"""Linear mixed models against lme4 1.1-31 (tests/reference/lmm.json)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from reference_cases import (
    ReferenceCase,
    by_name,
    canonical,
    factor_of,
    load_references,
    our_label,
    poly_aligned,
)

pytestmark = pytest.mark.reference

CASES = load_references("lmm")
# lme4's "||" keeps a factor's columns correlated and adds an intercept that they span
# already; ours is fitted with a single bar: same likelihood, other components.
SAME_LIKELIHOOD_ONLY = {"machines_double_bar_reml"}


def log_likelihood(case: ReferenceCase, result: Any) -> None:
    assert_allclose(result.llf, case["logLik"], rtol=0, atol=1e-6)


def information_criteria(case: ReferenceCase, result: Any) -> None:
    if case.id in SAME_LIKELIHOOD_ONLY:
        return
    assert_allclose([result.aic, result.bic], [case["AIC"], case["BIC"]], atol=2e-6)
    assert result.df_model == case["npar"]


def fixed_effects(case: ReferenceCase, result: Any) -> None:
    wanted = case["fixef"]
    ours = by_name(result.params, result.params.index)
    errors = by_name(wanted["se"], wanted["names"])
    for key, estimate in by_name(wanted["estimate"], wanted["names"]).items():
        assert_allclose(ours.pop(key), estimate, rtol=0, atol=1e-5 * errors[key])
    # What is left are the aliased columns, which R drops.
    assert all(np.isnan(value) for value in ours.values())
    assert len(ours) == len(np.atleast_1d(case["dropped_columns"] or []))


def standard_errors(case: ReferenceCase, result: Any) -> None:
    ours = by_name(result.bse, result.bse.index)
    for key, se in by_name(case["fixef"]["se"], case["fixef"]["names"]).items():
        assert_allclose(ours[key], se, rtol=1e-5)


def residual_deviation(case: ReferenceCase, result: Any) -> None:
    assert_allclose(result.sigma, case["sigma"], rtol=1e-4)


def terms(case: ReferenceCase, result: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """R's terms, each with our covariance matrix of the same effects in its order."""
    for term in case["varcorr"]:
        ours = result.cov_re[factor_of(term["group"], result.cov_re)]
        keys = [canonical(poly_aligned(name)) for name in ours]
        order = [keys.index(canonical(name)) for name in term["names"]]
        yield term, ours.to_numpy()[np.ix_(order, order)]


def standard_deviations(case: ReferenceCase, result: Any) -> None:
    # A singular fit's smallest directions are known to less than the criterion shows.
    tolerance = 1e-3 if case["is_singular"] else 1e-4
    for term, cov in terms(case, result):
        assert_allclose(
            np.sqrt(np.diag(cov)),
            np.atleast_1d(term["sd"]),
            rtol=tolerance,
            atol=tolerance * case["sigma"],
        )


def correlations(case: ReferenceCase, result: Any) -> None:
    tolerance = 1e-3 if case["is_singular"] else 1e-4
    for term, cov in terms(case, result):
        sd = np.sqrt(np.diag(cov))
        if len(sd) > 1 and sd.min() > 1e-3 * case["sigma"]:
            wanted = np.array(term["corr"], dtype=float)
            assert_allclose(cov / np.outer(sd, sd), wanted, atol=tolerance)


def conditional_modes(case: ReferenceCase, result: Any) -> None:
    spread = {(term["group"], name): sd for term, name, sd in named_deviations(case)}
    for group, entry in case["ranef"].items():
        factor = factor_of(group, result.random_effects)
        ours = result.random_effects[factor]
        assert len(ours) == entry["n_levels"]
        labels = [our_label(str(level), group, factor) for level in entry["levels"]]
        rows = ours.set_axis(ours.index.astype(str)).loc[labels]
        for column, values in zip(
            entry["columns"], np.transpose(entry["values"]), strict=True
        ):
            keys = [canonical(poly_aligned(name)) for name in ours]
            mine = rows.iloc[:, keys.index(canonical(column))]
            sd = max(spread[group, column], 1e-3 * case["sigma"])
            assert_allclose(mine, values, rtol=0, atol=1e-4 * sd)


def named_deviations(
    case: ReferenceCase,
) -> Iterator[tuple[dict[str, Any], str, float]]:
    for term in case["varcorr"]:
        for name, sd in zip(term["names"], np.atleast_1d(term["sd"]), strict=True):
            yield term, name, float(sd)


def fitted_values(case: ReferenceCase, result: Any) -> None:
    fitted = np.asarray(result.fittedvalues)[:5]
    assert_allclose(
        fitted, case["fitted_first5"], rtol=0, atol=1e-4 * np.std(result.model.endog)
    )


def counts(case: ReferenceCase, result: Any) -> None:
    assert result.nobs == case["nobs"]
    assert result.n_dropped == case["rows_in_data"] - case["nobs"]
    ours = {frozenset(name.split(":")): n for name, n in result.ngroups.items()}
    theirs = {frozenset(name.split(":")): n for name, n in case["ngroups"].items()}
    assert ours == theirs


def optimum(case: ReferenceCase, result: Any) -> None:
    assert result.converged
    if case.id not in SAME_LIKELIHOOD_ONLY:
        assert result.is_singular == case["is_singular"]


QUANTITIES = (
    log_likelihood,
    information_criteria,
    fixed_effects,
    standard_errors,
    residual_deviation,
    fitted_values,
    counts,
    optimum,
)
OF_THE_COVARIANCE = (standard_deviations, correlations)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: quantity.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_agrees_with_lme4(case: ReferenceCase, quantity: Any) -> None:
    quantity(case, case.fitted())


@pytest.mark.parametrize(
    "quantity", OF_THE_COVARIANCE, ids=lambda quantity: quantity.__name__
)
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.id not in SAME_LIKELIHOOD_ONLY],
    ids=lambda case: case.id,
)
def test_covariance_agrees_with_lme4(case: ReferenceCase, quantity: Any) -> None:
    quantity(case, case.fitted())


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.id not in SAME_LIKELIHOOD_ONLY and not c["is_singular"]],
    ids=lambda case: case.id,
)
def test_conditional_modes_agree_with_lme4(case: ReferenceCase) -> None:
    conditional_modes(case, case.fitted())
