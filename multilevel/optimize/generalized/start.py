"""Where to start a generalized mixed model, and with which second derivatives.

The score of the pooled model by group, g = Z'l', has covariance A + A G A at small
random effects, A = Z'WZ: its squares give variances without an iteration.

Held by tests/optimize/generalized/test_two_shapes.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.elimination.effect_products import EffectProducts
from multilevel.likelihood.elimination.selected_inverse import inverse_by_level
from multilevel.likelihood.elimination.solve import solve
from multilevel.likelihood.elimination.weighted_rows import weighted_products
from multilevel.likelihood.generalized.pirls import ConditionalModes, find_modes
from multilevel.likelihood.linear.theta_derivatives import (
    ThetaMap,
    covariance_directions,
)
from multilevel.optimize.generalized.estimates import working_params
from multilevel.optimize.generalized.objective import split_parameters
from multilevel.optimize.generalized.pooled import (
    PooledFit,
    best_shapes,
    fit_pooled,
    shape_information,
)
from multilevel.optimize.generalized.problem import GeneralizedProblem
from multilevel.optimize.generalized.rows import eta_inside


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where the descent begins.

    Parameters
    ----------
    x : (d,)
    modes : ConditionalModes
        At x or near it.
    hessian : (d, d)
        Second derivatives of the deviance, roughly; positive definite.
    """

    x: FloatVector
    modes: ConditionalModes
    hessian: FloatMatrix


def starting_point(
    problem: GeneralizedProblem,
    theta: FloatVector | None = None,
    *,
    params: FloatVector | None = None,
) -> StartingPoint:
    """Pooled fit and variances by moments, unless they are given.

    Parameters
    ----------
    problem : GeneralizedProblem
    theta : (m,), optional
        Of the working columns.
    params : (d,), optional
        [beta, theta, shape values] of the user's columns.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the likelihood is not finite there.
    """
    with np.errstate(all="ignore"):
        if params is not None:
            return _point_from(problem, working_params(problem, params))
        try:
            pooled = fit_pooled(problem)
            theta = moment_theta(problem, pooled) if theta is None else theta
            x = np.concatenate([pooled.beta, theta, pooled.shapes])
            return _point_from(problem, x, settle=True)
        except np.linalg.LinAlgError:
            # Groups may be so far apart that no model without effects fits them all.
            return _point_from(problem, _by_each_response(problem), settle=True)


def _point_from(
    problem: GeneralizedProblem, x: FloatVector, *, settle: bool = False
) -> StartingPoint:
    """The modes at x, and shapes that suit them if these are to `settle`."""
    beta, theta, shapes = split_parameters(problem, x)
    base, lams = problem.X @ beta + problem.offset, problem.working.lams(theta)
    modes = find_modes(problem.rows, base, lams, shapes, tolerance=1e-6)
    if problem.n_shapes and settle:
        modes = _settle_shapes(problem, x, modes)
    return StartingPoint(x, modes, rough_hessian(problem, x, modes))


def _by_each_response(problem: GeneralizedProblem) -> FloatVector:
    """beta, theta and shapes by least squares of the responses' own eta."""
    target = eta_inside(problem.family.link, problem.rows.likelihood) - problem.offset
    beta = np.asarray(np.linalg.lstsq(problem.X, target, rcond=None)[0])
    variance = float(np.mean((target - problem.X @ beta) ** 2))
    theta = [
        structure.start(np.full(structure.n_effects, variance))
        for structure in problem.terms.structures
    ]
    return np.concatenate([beta, *theta, np.zeros(problem.n_shapes)])


def _settle_shapes(
    problem: GeneralizedProblem, x: FloatVector, modes: ConditionalModes
) -> ConditionalModes:
    """Set the shapes to those of the modes' residuals, and the modes to fit them.

    Without random effects they take in what these explain, which may be nearly all.
    """
    first = problem.n_fixed + problem.terms.n_theta
    for _ in range(6):
        beta, theta, before = split_parameters(problem, x)
        before = before.copy()
        x[first:] = best_shapes(problem, modes.eta, before)
        # Within a factor of e^2 the descent does the rest.
        if np.abs(x[first:] - before).max() < 2.0:
            break
        base, lams = problem.X @ beta + problem.offset, problem.working.lams(theta)
        try:
            modes = find_modes(
                problem.rows, base, lams, x[first:], start=modes, tolerance=1e-6
            )
        except np.linalg.LinAlgError:
            break
    return modes


def moment_theta(problem: GeneralizedProblem, pooled: PooledFit) -> FloatVector:
    """theta (m,) of the working columns, without correlations."""
    rows, terms = problem.rows, problem.terms
    likelihood = rows.likelihood
    score = likelihood.terms(pooled.eta, pooled.shapes).score
    weight = likelihood.expected_weight(pooled.eta, pooled.shapes)
    products = weighted_products(rows.layout, weight)
    collected = rows.layout.rows.collect(score)
    unit = link_unit(problem, pooled.eta, weight)
    variances = [
        unit**2 * own for own in _moment_variances(products, collected, unit**2)
    ]
    pieces = [
        structure.start(variances[factor][block])
        for structure, factor, block in zip(
            terms.structures, terms.factor_of_term, terms.blocks, strict=True
        )
    ]
    return np.concatenate(pieces)


def _moment_variances(
    products: EffectProducts, scores: list[FloatMatrix], unit: float
) -> list[FloatVector]:
    """Variance of every effect in a unit, (S,) for each factor, kept away from zero.

    Zero is a stationary point of the deviance whatever the data.
    """
    matrix = products.squared_sums()
    information = np.concatenate(
        [np.einsum("aaj->a", block) for block in products.diagonal]
    )
    squares = np.concatenate([(g**2).sum(axis=1) for g in scores])
    scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    solution = (
        scale
        * np.linalg.lstsq(
            matrix * np.outer(scale, scale), (squares - information) * scale, rcond=1e-8
        )[0]
    )
    out, start = [], 0
    for g in scores:
        size, n_levels = g.shape
        own = slice(start, start + size)
        least = 0.2 * n_levels / np.maximum(information[own], 1e-300)
        out.append(np.clip(solution[own] / unit, np.minimum(least / unit, 1.0), 25.0))
        start += size
    return out


def rough_hessian(
    problem: GeneralizedProblem,
    x: FloatVector,
    modes: ConditionalModes,
    *,
    longest: tuple[float, float] = (1e4, 14.0),
    theta_map: ThetaMap | None = None,
) -> FloatMatrix:
    """Second derivatives of the working linear model's deviance, (d, d).

    Fixed effects and covariances are taken as orthogonal, grouping factors too.

    Parameters
    ----------
    problem : GeneralizedProblem
    x : (d,)
    modes : ConditionalModes
        At x.
    longest : (float, float)
        Standard errors in units of the link, for the fixed effects and the rest, of
        what is known less well.
    theta_map : ThetaMap, optional
        What theta in x means; that of the working columns if not given.
    """
    p, m = problem.n_fixed, problem.terms.n_theta
    _, theta, shapes = split_parameters(problem, x)
    jacobians = (problem.working if theta_map is None else theta_map).jacobians(theta)
    hessian = np.zeros((len(x), len(x)))
    hessian[:p, :p] = 2.0 * _fixed_information(problem, modes)
    hessian[p : p + m, p : p + m] = _covariance_information(jacobians, modes)
    known = shape_information(problem.rows.likelihood, modes.eta, shapes, 1e-3)
    values, vectors = np.linalg.eigh(2.0 * known)
    raised = (vectors * np.maximum(values, 1e-2)) @ vectors.T
    hessian[p + m :, p + m :] = raised
    most = np.full(len(x), longest[0])
    most[p:] = longest[1]
    most[: p + m] *= link_unit(problem, modes.eta, modes.terms.weight)
    most[p : p + m] /= largest_entries(jacobians)
    return _bounded_below(hessian, 2.0 / most**2)


def _fixed_information(
    problem: GeneralizedProblem, modes: ConditionalModes
) -> FloatMatrix:
    """X'V^-1 X with V = W^-1 + Z G Z', (p, p)."""
    effects = problem.rows.layout.rows
    weighted = problem.X * modes.terms.weight[:, None]
    information = problem.X.T @ weighted
    collected = [effects.collect(column) for column in weighted.T]
    if collected:
        solved = [solve(modes.elimination, rhs) for rhs in collected]
        information = information - _flat(collected) @ _flat(solved).T
    return np.asarray((information + information.T) / 2.0)


def _flat(vectors: Sequence[Sequence[FloatMatrix]]) -> FloatMatrix:
    """Vectors of random effects (S, J) by factor, one in each row."""
    return np.array([np.concatenate([b.ravel() for b in v]) for v in vectors])


def largest_entries(jacobians: Sequence[FloatArray]) -> FloatVector:
    """By how much a unit of each theta changes the factors at most, (m,)."""
    moved = [np.abs(dlam).max(axis=(1, 2), initial=0.0) for dlam in jacobians]
    return np.asarray(np.maximum(np.max(moved, axis=0), 1e-300))


def _covariance_information(
    jacobians: Sequence[FloatArray], modes: ConditionalModes
) -> FloatMatrix:
    """Sum over levels of tr(D dG_a D dG_b), D = A - A K A by level, (m, m)."""
    shrunken = inverse_by_level(modes.elimination).shrunken
    m = len(jacobians[0])
    total = np.zeros((m, m))
    directions = covariance_directions(modes.elimination.lams, jacobians)
    for blocks, changes in zip(shrunken, directions, strict=True):
        total += _level_traces(blocks, changes)
    return total


def _level_traces(blocks: FloatArray, changes: FloatArray) -> FloatMatrix:
    """Sum over levels of tr(D_j dG_a D_j dG_b): (S, S, J), (m, S, S) -> (m, m)."""
    size, n_levels = len(blocks), blocks.shape[2]
    flat = blocks.reshape(size * size, n_levels)
    tensor = (flat @ flat.T).reshape((size,) * 4).transpose(0, 3, 1, 2)
    directions = changes.reshape(len(changes), -1)
    traces = directions @ tensor.reshape(size**2, size**2) @ directions.T
    return np.asarray((traces + traces.T) / 2.0)


def _bounded_below(hessian: FloatMatrix, least: FloatVector) -> FloatMatrix:
    """Its diagonal at least `least`, eigenvalues in its units at least a hundredth."""
    scale = np.sqrt(np.maximum(np.diag(hessian), least))
    values, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
    # A descent must start with a positive definite matrix, and one near singular sends
    # its first step far along what is hardly known.
    raised = (vectors * np.maximum(values, 1e-2)) @ vectors.T
    return np.asarray(raised * np.outer(scale, scale))


def link_unit(
    problem: GeneralizedProblem, eta: FloatVector, weight: FloatVector
) -> float:
    """A change of eta that is neither small nor large: one, where means are bounded.

    Elsewhere (identity, inverse and power links) eta has the units of the response.
    """
    if problem.family.link.is_bounded:
        return 1.0
    size = float(np.sqrt(np.mean(eta**2)))
    return max(size, _told_by_a_row(weight))


def row_unit(problem: GeneralizedProblem, modes: ConditionalModes) -> float:
    """The standard error of eta from one row: the residuals' size, or less than one."""
    told = _told_by_a_row(modes.terms.weight)
    return min(1.0, told) if problem.family.link.is_bounded else told


def _told_by_a_row(weight: FloatVector) -> float:
    return float(max(float(np.mean(np.abs(weight))), 1e-300) ** -0.5)
