"""Fits of generalized models against the results of R."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose

from generalized_fits import fitted, sds
from multilevel.likelihood.elimination.selected_inverse import inverse_by_level
from multilevel.optimize.generalized.likelihood import modes_of
from reference_cases import ReferenceCase, load_references


def is_ours(case: ReferenceCase) -> bool:
    """Laplace with the observed information, by ML: not all of lme4's are."""
    if not case["engine"].startswith("lme4"):
        return True
    if case["family"] not in ("binomial", "poisson"):
        return False
    canonical = (case["family"], case["link"]) in (
        ("binomial", "logit"),
        ("poisson", "log"),
    )
    return canonical or case["nAGQ"] > 1


REFERENCES = [case for case in load_references("glmm") if is_ours(case)]
FAMILIES = {"nbinom2": "negativebinomial", "Gamma": "gamma"}


@cache
def reference_fit(case: ReferenceCase):
    frame = case.frame()
    weights = case["weights"]
    family = FAMILIES.get(case["family"], case["family"])
    return fitted(
        case.formula,
        frame,
        family,
        link=case["link"],
        nagq=case["nAGQ"],
        weights=None if weights is None else frame.eval(weights).to_numpy(float),
    )


references = pytest.mark.parametrize(
    "case", REFERENCES, ids=[case.id for case in REFERENCES]
)


@pytest.mark.reference
@references
def test_log_likelihood_agrees_with_r(case):
    _, fit = reference_fit(case)
    expected = case.record.get("logLik_full") or case["logLik"]
    assert_allclose(fit.llf, expected, rtol=0, atol=1e-6)
    assert fit.report.converged


@pytest.mark.reference
@references
def test_fixed_effects_agree_with_r(case):
    _, fit = reference_fit(case)
    errors = np.sqrt(np.diag(fit.cov_beta))
    order = np.argsort(case["fixef"]["estimate"])
    expected = np.array(case["fixef"]["estimate"])[order]
    found = np.argsort(fit.beta)
    assert_allclose((fit.beta[found] - expected) / errors[found], 0.0, atol=1e-4)


def standard_errors(case):
    """All that R's engines say of them, each (p,) in ascending order."""
    table = case["fixef"]
    found = [table.get(key) for key in ("se", "se_hessian", "se_lme4_hessian")]
    check = case.record.get("crosscheck_glmmTMB")
    if check and check["same_approximation"]:
        found.append(check["fixef"]["se"])
    return [np.sort(errors) for errors in found if errors]


@pytest.mark.reference
@references
def test_standard_errors_agree_with_r(case):
    """R's are numerical differences, at times rough: one of them must agree well."""
    _, fit = reference_fit(case)
    own = np.sort(np.sqrt(np.diag(fit.cov_beta)))
    distances = [np.abs(own / other - 1.0).max() for other in standard_errors(case)]
    assert max(distances) < 5e-3
    # glmmTMB alone fitted this one, whose age^2 is badly scaled.
    rough = case.id == "contraception_cloglog_tmb"
    assert min(distances) < (5e-3 if rough else 2e-5)


@pytest.mark.reference
@references
def test_variances_agree_with_r(case):
    _, fit = reference_fit(case)
    expected = [sd for term in case["varcorr"] for sd in np.atleast_1d(term["sd"])]
    assert_allclose(np.sort(sds(fit)), np.sort(expected), rtol=1e-4)
    if case["family"] == "nbinom2":
        assert_allclose(fit.dispersion, case["dispersion"], rtol=1e-4)
    elif case["family"] == "Gamma":
        # glmmTMB's sigma is the square root of phi.
        assert_allclose(np.sqrt(fit.dispersion), case["dispersion"], rtol=1e-4)


@pytest.mark.reference
@pytest.mark.parametrize("name", ["cbpp_laplace", "contraception_nested"])
def test_conditional_modes_and_covariances_agree_with_lme4(name):
    case = next(case for case in REFERENCES if case.id == name)
    problem, fit = reference_fit(case)
    inverse = inverse_by_level(modes_of(problem, fit).elimination)
    blocks = problem.working_terms.user_covariances(inverse.blocks)
    for group, entry in case["ranef"].items():
        wanted = set(group.split(":"))
        k = [set(f.split(":")) for f in problem.factor_names].index(wanted)
        t = problem.terms.factor_of_term.index(k)
        squares = (fit.modes[t] ** 2).sum(axis=0)
        assert_allclose(squares, entry["sum_of_squares"], rtol=1e-4)
        own = np.sqrt(blocks[k][:, 0, 0])
        for condsd in np.ravel(entry["condsd"]):
            assert np.abs(own / condsd - 1.0).min() < 1e-4
