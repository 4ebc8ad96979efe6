"""How many parameters a mixed model uses up, its random effects counted by shrinkage.

Given the covariance of the random effects, the fitted values are H1 y, and

    tr H1 = n - tr(W^-1 P0) = p + sum_k tr( (sum_j [Z'P0 Z]_jj) G_k )

between p, where all variances are zero, and the rank of [X Z]. That the covariance is
estimated from the same response adds, with r^2 = y'P0 y, sigma^2 = r^2 / nu and the
deviance d(theta),

    (2 / sigma^2) sum_ab [d'']^-1_ab ( r_a'W r_b - (r_a'W e)(e'W v_b) / r^2 )

where e = y - fitted, v_a = Z dG_a Z'W e and r_a = v_a less its own fitted values. It is
tr(d fitted / d theta  d theta / d y) by the implicit function theorem. Where sigma is
known there is no second term.

References
----------
Vaida & Blanchard (2005), Biometrika 92, 351-370 (tr H1); Greven & Kneib (2010),
Biometrika 97, 773-789, theorem 3 (the correction); Donohue, Overholser, Xu & Vaida
(2011), Biometrika 98, 685-700 (generalized models).

Held by tests/diagnostics/test_conditional_aic.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.diagnostics.random_variance import working_columns
from multilevel.likelihood.linear.theta_derivatives import covariance_directions
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.optimize.linear.problem import LinearProblem
from multilevel.optimize.linear.theta_hessian import theta_hessian

_FLAT = 1e-9
"""Curvature, relative to the largest, below which theta stays where it is."""


def trace_of_fitted(problem: LinearProblem, lams: Sequence[FloatMatrix]) -> float:
    """tr H1 at relative covariance factors (S, S) of the working columns."""
    point = problem.point(lams, reml=True)  # of which the gradient holds Z'P0 Z
    sigma2, total = point.profiled.sigma2, float(problem.n_fixed)
    for gamma, g, lam in zip(point.gradients(), point.score(), lams, strict=True):
        blocks = gamma + g @ g.T / sigma2
        total += float(np.einsum("ab,ac,bc->", blocks, lam, lam))
    return total


def n_scale_parameters(fitted: FittedModel) -> int:
    """Parameters besides beta and theta: sigma or the shapes, where estimated."""
    return fitted.n_parameters - len(fitted.beta) - len(fitted.fit.theta)


def theta_correction(fitted: LinearFittedModel) -> float:
    """What estimating theta adds to `trace_of_fitted`."""
    problem, theta = fitted.problem, fitted.fit.working_theta
    working, point = problem.working, fitted.point()
    directions = covariance_directions(working.lams(theta), working.jacobians(theta))
    moved = _moved(fitted, directions)
    if not moved.any():  # no variance, so that no theta moves anything
        return 0.0
    left = np.array(
        [
            column - smooth
            for column, smooth in zip(moved, _smoothed(fitted, moved), strict=True)
        ]
    )
    e = fitted.design.y - fitted.eta
    given = fitted.design.weights
    weights = np.ones(len(e)) if given is None else given
    inner = (left * weights) @ left.T
    if n_scale_parameters(fitted):
        r2 = point.profiled.nu * fitted.scale
        inner -= np.outer(left @ (weights * e), moved @ (weights * e)) / r2
    inverse = _curved_inverse(theta_hessian(problem, point, working, theta))
    return float(2.0 / fitted.scale * np.einsum("ab,ab->", inverse, inner))


def _moved(fitted: LinearFittedModel, directions: Sequence[FloatArray]) -> FloatMatrix:
    """v_a = Z dG_a Z'W e, (m, n)."""
    design, terms = fitted.design, fitted.problem.terms
    e = design.y - fitted.eta
    weighted = e if design.weights is None else design.weights * e
    columns = working_columns(fitted)
    moved = np.zeros((len(fitted.fit.working_theta), design.nobs))
    for k, (factor, changes) in enumerate(zip(design.factors, directions, strict=True)):
        own = [t for t, position in enumerate(terms.factor_of_term) if position == k]
        z = np.hstack([columns[t] for t in own])
        g = np.array(
            [np.bincount(factor.codes, c * weighted, factor.n_levels) for c in z.T]
        )
        for a, change in enumerate(changes):
            if change.any():
                effects = change @ g
                moved[a] += np.einsum("ns,sn->n", z, effects[:, factor.codes])
    return moved


def _smoothed(fitted: LinearFittedModel, responses: FloatMatrix) -> FloatMatrix:
    """Fitted values (m, n) of other responses at the same theta."""
    problem, design = fitted.problem, fitted.design
    lams = problem.working.lams(fitted.fit.working_theta)
    columns, out = working_columns(fitted), np.zeros_like(responses)
    usable = [a for a, row in enumerate(responses) if row.any()]
    others = problem.with_responses(responses[usable].T)
    for a, other in zip(usable, others, strict=True):
        point = other.point(lams, reml=fitted.is_restricted)
        out[a] = design.X @ other.basis.user_beta(point.profiled.beta)
        b = other.basis.response_scale
        modes = [b * effects for effects in point.modes()]
        for t, (z, k) in enumerate(
            zip(columns, problem.terms.factor_of_term, strict=True)
        ):
            own = modes[k][problem.terms.blocks[t]]
            out[a] += np.einsum("ns,sn->n", z, own[:, design.factors[k].codes])
    return out


def _curved_inverse(hessian: FloatMatrix) -> FloatMatrix:
    """Inverse in the directions that are curved: along others theta stays put."""
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    keep = values > _FLAT * max(float(values[-1]), 0.0)
    root = vectors[:, keep] / np.sqrt(values[keep]) * scale[:, None]
    return np.asarray(root @ root.T)
