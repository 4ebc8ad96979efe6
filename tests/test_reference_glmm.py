"""Generalized mixed models against lme4 1.1-31 and glmmTMB 1.1.5 (glmm.json).

lme4's Laplace approximation has the expected information, ours and glmmTMB's the
observed one: they are the same for canonical links, elsewhere glmmTMB is the reference.
lme4's Gamma and negative binomial fits maximise something else.
"""

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

CANONICAL = {("binomial", "logit"), ("poisson", "log")}


def is_comparable(case: ReferenceCase) -> bool:
    """Whether R's engine maximises the same approximation."""
    if case["engine"] == "glmmTMB":
        return True
    family, link = case["family"], case["link"]
    if family not in ("binomial", "poisson"):
        return False
    return case["nAGQ"] > 1 or (family, link) in CANONICAL


CASES = [case for case in load_references("glmm") if is_comparable(case)]


def log_likelihood(case: ReferenceCase, result: Any) -> None:
    assert_allclose(result.llf, case["logLik_full"], rtol=0, atol=1e-5)


def standard_errors_in_r(case: ReferenceCase) -> list[tuple[list[float], float]]:
    """R's standard errors, and how far each of these can be trusted."""
    fixef, checked = case["fixef"], case.record.get("crosscheck_glmmTMB") or {}
    if case["engine"] == "glmmTMB":
        # Differences of the gradient with one step, whatever the column's scale.
        return [(fixef["se_hessian"], 3e-3)]
    found = []
    if checked.get("same_approximation"):
        found.append((checked["fixef"]["se"], 1e-4))
    if fixef.get("se_hessian"):
        found.append((fixef["se_hessian"], 1e-4))
    return found or [(fixef["se_lme4_hessian"], 2e-3)]


def fixed_effects(case: ReferenceCase, result: Any) -> None:
    names, (errors, _) = case["fixef"]["names"], standard_errors_in_r(case)[0]
    ours = by_name(result.params, result.params.index)
    own_error = by_name(errors, names)
    for key, estimate in by_name(case["fixef"]["estimate"], names).items():
        assert_allclose(ours.pop(key), estimate, rtol=0, atol=2e-4 * own_error[key])
    assert ours == {}


def standard_errors(case: ReferenceCase, result: Any) -> None:
    # R differentiates numerically; a column is right if one of the two engines has it.
    ours = by_name(result.bse, result.bse.index)
    apart = {key: [] for key in ours}
    for errors, rtol in standard_errors_in_r(case):
        for key, se in by_name(errors, case["fixef"]["names"]).items():
            apart[key].append(abs(ours[key] / se - 1.0) / rtol)
    assert max(min(distances) for distances in apart.values()) < 1.0


def terms(case: ReferenceCase, result: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """R's terms, each with our covariance matrix of the same effects in its order."""
    for term in case["varcorr"]:
        ours = result.cov_re[factor_of(term["group"], result.cov_re)]
        keys = [canonical(poly_aligned(name)) for name in ours]
        order = [keys.index(canonical(name)) for name in term["names"]]
        yield term, ours.to_numpy()[np.ix_(order, order)]


def standard_deviations(case: ReferenceCase, result: Any) -> None:
    for term, cov in terms(case, result):
        assert_allclose(np.sqrt(np.diag(cov)), np.atleast_1d(term["sd"]), rtol=1e-4)


def correlations(case: ReferenceCase, result: Any) -> None:
    for term, cov in terms(case, result):
        sd = np.sqrt(np.diag(cov))
        if len(sd) > 1:
            wanted = np.array(term["corr"], dtype=float)
            assert_allclose(cov / np.outer(sd, sd), wanted, atol=2e-4)


def conditional_modes(case: ReferenceCase, result: Any) -> None:
    spread = {
        (term["group"], name): sd
        for term in case["varcorr"]
        for name, sd in zip(term["names"], np.atleast_1d(term["sd"]), strict=True)
    }
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
            assert_allclose(mine, values, rtol=0, atol=2e-4 * spread[group, column])


def conditional_deviations(case: ReferenceCase, result: Any) -> None:
    if (case["family"], case["link"]) not in CANONICAL:
        return  # lme4's are by the expected information
    for group, entry in case["ranef"].items():
        if "condsd" not in entry:
            continue
        factor = factor_of(group, result.random_effects)
        ours = result.random_effects[factor]
        labels = [our_label(str(level), group, factor) for level in entry["levels"]]
        rows = ours.index.astype(str).get_indexer(labels)
        blocks = result.random_effects_cov[factor][rows]
        keys = [canonical(poly_aligned(name)) for name in ours]
        order = [keys.index(canonical(column)) for column in entry["columns"]]
        mine = np.sqrt(np.einsum("jkk->jk", blocks))[:, order]
        wanted = np.reshape(entry["condsd"], mine.shape)
        assert_allclose(mine, wanted, rtol=2e-4)


def dispersion(case: ReferenceCase, result: Any) -> None:
    wanted = case.record.get("dispersion")
    if case["family"] == "nbinom2":
        assert_allclose(result.dispersion, wanted, rtol=1e-4)
    elif case["family"] == "Gamma":
        # glmmTMB's sigma of a gamma is the coefficient of variation.
        assert_allclose(result.sigma, wanted, rtol=1e-4)
    else:
        assert result.dispersion == result.scale == 1.0


def fitted_values(case: ReferenceCase, result: Any) -> None:
    assert_allclose(
        np.asarray(result.fittedvalues)[:5], case["fitted_first5"], rtol=2e-4
    )


def counts(case: ReferenceCase, result: Any) -> None:
    assert result.nobs == case["nobs"]
    assert result.df_model == case["npar"]
    ours = {frozenset(name.split(":")): n for name, n in result.ngroups.items()}
    theirs = case.record.get("ngroups", {})
    for group, n in theirs.items():
        assert ours[frozenset(group.split(":"))] == n


def optimum(case: ReferenceCase, result: Any) -> None:
    assert result.converged
    assert not result.is_singular


QUANTITIES = (
    log_likelihood,
    fixed_effects,
    standard_errors,
    standard_deviations,
    correlations,
    conditional_modes,
    conditional_deviations,
    dispersion,
    fitted_values,
    counts,
    optimum,
)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: quantity.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_agrees_with_r(case: ReferenceCase, quantity: Any) -> None:
    quantity(case, case.fitted())


def test_the_other_cases_are_other_approximations() -> None:
    left_out = {case.id for case in load_references("glmm") if not is_comparable(case)}
    assert left_out == {
        "cbpp_probit",
        "cbpp_log_link",
        "contraception_probit",
        "contraception_cloglog",
        "epil_glmer_nb",
        "owls_glmer_nb",
        "sleep_gamma_lme4",
    }
