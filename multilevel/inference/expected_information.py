"""Expected information of covariance entries at any covariance of the random effects.

For ``V = sigma^2 (W^-1 + Z G Z')`` and G moving along ``dG_a``,

    I_ab = [tr(P dV_a P dV_b) - tr(P dV_a) tr(P dV_b) / nu] / 2

at sigma = 1, with P = V^-1 for ML and P0 for REML; the second part allows for sigma
being estimated. Unlike the observed information it depends on the response only through
the estimates at which it is evaluated, and it is never indefinite.

References
----------
Harville (1977), JASA 72, 320-338, section 4.
Gilmour, Thompson & Cullis (1995), Biometrics 51, 1440-1450 (average information).

Held by tests/inference/test_expected_information.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.likelihood.linear.dense_factors import DenseFactors
from multilevel.likelihood.linear.dense_system import n_random_effects
from multilevel.likelihood.linear.prepared import LikelihoodPoint
from multilevel.optimize.linear.problem import LinearProblem

MAX_DENSE = 3000
"""Up to so many random effects traces are formed from full matrices."""

_PROBES = 40
_SEED = 19770722  # fixed, so that a p-value is a function of the fit


def expected_information(
    problem: LinearProblem,
    design: ModelDesign,
    lams: Sequence[FloatMatrix],
    directions: Sequence[FloatArray],
    *,
    reml: bool,
    scale_known: bool = False,
) -> FloatMatrix:
    """Expected information along directions of the covariance, (m, m).

    Parameters
    ----------
    problem : LinearProblem
    design : ModelDesign
        What the problem was reduced from.
    lams : one (S, S) for each factor
        Relative covariance factors of the working columns.
    directions : one (m, S, S) for each factor
        Symmetric dG_a of the working columns.
    reml : bool
    scale_known : bool
        Whether sigma is one, as in the working model of a Poisson response.
    """
    prepared, few = problem.prepared, n_random_effects(problem.products) <= MAX_DENSE
    if few and not prepared.has_exact_hessian:
        prepared = DenseFactors.from_products(problem.products)
    point = prepared.point(lams, reml=reml)
    trace = _traces(point, directions)
    both = point.trace_products(directions)
    if both is None:
        both = _drawn_products(problem, design, lams, directions, reml)
    if not scale_known:
        both = both - np.outer(trace, trace) / point.profiled.nu
    return np.asarray(both / 2.0)


def _traces(point: LikelihoodPoint, directions: Sequence[FloatArray]) -> FloatVector:
    """tr(P dV_a), from the gradient less what depends on the response."""
    total = np.zeros(len(directions[0]))
    sigma2 = point.profiled.sigma2
    for gamma, g, dG in zip(point.gradients(), point.score(), directions, strict=True):
        total += np.einsum("ab,mab->m", gamma + g @ g.T / sigma2, dG)
    return total


def _drawn_products(
    problem: LinearProblem,
    design: ModelDesign,
    lams: Sequence[FloatMatrix],
    directions: Sequence[FloatArray],
    reml: bool,
) -> FloatMatrix:
    """tr(P dV_a P dV_b) as the mean of f_a'P f_b over responses drawn from the model.

    For f_a = dV_a P y that is its expectation, sigma being one. A response is drawn by
    its rows: there are no cross-products of it before.
    """
    # Traces by probes, where full matrices would be too large: each is one solve.
    rng = np.random.default_rng(_SEED)
    total = np.zeros((len(directions[0]),) * 2)
    for _ in range(_PROBES):
        y = _drawn_response(problem, design, lams, rng)
        drawn = problem.with_response(y)
        scale = drawn.basis.response_scale
        point = drawn.point(lams, reml=reml)
        if not reml:
            # P = V^-1 projects nothing out: the response is whitened as it was drawn.
            mean = drawn.basis.working_beta(np.zeros(problem.n_fixed))
            profiled = point.profiled.at(mean, point.profiled.sigma2)
            point = replace(point, profiled=profiled)  # type: ignore[type-var]
        quadratic, cross = point.working_products(list(directions))
        if reml:
            along = cross[:, :-1] @ point.profiled.RX_inverse
            quadratic = quadratic - along @ along.T
        total += quadratic * scale**2
    return total / _PROBES


def _drawn_response(
    problem: LinearProblem,
    design: ModelDesign,
    lams: Sequence[FloatMatrix],
    rng: np.random.Generator,
) -> FloatVector:
    """W^-1/2 e + Z b with sigma = 1, (n,)."""
    root = np.ones(len(design.y)) if design.weights is None else design.weights**0.5
    noise = rng.standard_normal(len(root))
    y = np.divide(noise, root, out=np.zeros_like(noise), where=root > 0)
    spherical = [
        rng.standard_normal((factor.n_levels, len(lam))) @ lam.T
        for factor, lam in zip(design.factors, lams, strict=True)
    ]
    for t, term in enumerate(design.terms):
        b = spherical[term.factor_index][:, problem.terms.blocks[t]]
        codes = design.factors[term.factor_index].codes
        y += np.einsum("nk,nk->n", term.columns @ problem.basis.terms[t], b[codes])
    return y
