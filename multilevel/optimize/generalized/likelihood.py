"""The approximate log-likelihood in the user's parameters, [beta, theta, shape values].

`theta` holds the entries of the covariance factors of the user's columns, with
Cov(b) = F F'. The shape values are those that the family has to estimate: phi, or the
size of a negative binomial, or none.

Held by tests/optimize/generalized/test_fit_glmm.py and
tests/optimize/generalized/test_two_shapes.py.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.errors import FitError
from multilevel.likelihood.elimination.effect_products import sum_by_coarsest
from multilevel.likelihood.generalized.pirls import ConditionalModes
from multilevel.likelihood.generalized.quadrature import level_log_integrals
from multilevel.optimize.generalized.estimates import (
    refuse_impossible_shapes,
    theta_jacobian,
    working_params,
)
from multilevel.optimize.generalized.fit_record import GLMMFit
from multilevel.optimize.generalized.joint_hessian import CONVERGED, differenced_hessian
from multilevel.optimize.generalized.objective import (
    GlmPoint,
    evaluate_at,
    split_parameters,
)
from multilevel.optimize.generalized.problem import GeneralizedProblem
from multilevel.optimize.generalized.start import largest_entries, rough_hessian


def check_params(problem: GeneralizedProblem, params: FloatVector) -> FloatVector:
    """params (d,) as an array.

    Raises
    ------
    FitError
        If the length is wrong or a shape parameter is not positive.
    """
    params = np.asarray(params, dtype=float)
    p, m, d = problem.n_fixed, problem.terms.n_theta, problem.n_parameters
    if params.shape != (d,):
        last = "".join(f" and the {shape.name}" for shape in problem.family.shapes)
        raise FitError(
            f"params has shape {params.shape}; this model has {p} fixed effects, "
            f"{m} covariance parameters theta{last}: {d} in all"
        )
    refuse_impossible_shapes(problem, params, "params")
    return params


def point_at(
    problem: GeneralizedProblem,
    params: FloatVector,
    *,
    nagq: int = 1,
    start: ConditionalModes | None = None,
    steady: bool = False,
) -> GlmPoint:
    """Approximate deviance at params; its gradient is in the user's parameters.

    Parameters
    ----------
    problem : GeneralizedProblem
    params : (d,)
        [beta, theta, shape values].
    nagq : int
    start : ConditionalModes, optional
        At parameters nearby.
    steady : bool
        As for `evaluate_at`.

    Raises
    ------
    FitError
        If params do not fit the model.
    FitError
        If the likelihood cannot be evaluated there.
    """
    params = check_params(problem, params)
    p, m = problem.n_fixed, problem.terms.n_theta
    # The Laplace approximation depends on the covariance only, whatever its factor.
    by_covariance = nagq == 1
    x = working_params(problem, params)
    if by_covariance:
        x[p : p + m] = params[p : p + m]
    try:
        point = evaluate_at(
            problem,
            x,
            n_nodes=nagq,
            start=start,
            tolerance=CONVERGED,
            theta_map=problem.user if by_covariance else None,
            steady=steady,
        )
    except np.linalg.LinAlgError as error:
        raise FitError(
            f"the approximate likelihood cannot be evaluated there: {error}"
        ) from error
    gradient = point.gradient.copy()
    gradient[:p] = np.linalg.solve(problem.fixed_transform.T, gradient[:p])
    if not by_covariance:
        jacobian = theta_jacobian(
            problem.working_terms.working_theta,
            params[p : p + m],
            1.0 / largest_entries(problem.user.jacobians(params[p : p + m])),
        )
        gradient[p : p + m] = jacobian.T @ gradient[p : p + m]
    # From the logarithms, in which the search moves, to the values themselves.
    gradient[p + m :] /= params[p + m :]
    return GlmPoint(x=params, value=point.value, gradient=gradient, modes=point.modes)


def loglike(
    problem: GeneralizedProblem, params: FloatVector, *, nagq: int = 1
) -> float:
    """Approximate log-likelihood at params (d,), all constants included."""
    return -0.5 * point_at(problem, params, nagq=nagq).value


def score(
    problem: GeneralizedProblem, params: FloatVector, *, nagq: int = 1
) -> FloatVector:
    """Gradient of the approximate log-likelihood, (d,)."""
    return np.asarray(-0.5 * point_at(problem, params, nagq=nagq).gradient)


def hessian(
    problem: GeneralizedProblem, params: FloatVector, *, nagq: int = 1
) -> FloatMatrix:
    """Second derivatives, (d, d), by central differences of the exact score.

    Along directions that the working linear model makes independent and of unit
    curvature: the steps have the parameters' own units, of whatever size.
    """
    params = check_params(problem, params)
    centre = point_at(problem, params, nagq=nagq)

    def gradient_at(moved: FloatVector, *, steady: bool = False) -> FloatVector:
        return point_at(
            problem, moved, nagq=nagq, start=centre.modes, steady=steady
        ).gradient

    guess = _rough_hessian(problem, params, centre.modes)
    steady_at = partial(gradient_at, steady=True)
    found = differenced_hessian(gradient_at, params, guess, steady_at)
    # A curvature far above one means that the steps were far too long for it.
    known = np.maximum(np.abs(np.diag(found.whitened)), 1.0)
    if known.max(initial=1.0) > 4.0:
        # Where a variance is zero the guess knows nothing of its curvature.
        guess = (found.root * known) @ found.root.T
        found = differenced_hessian(gradient_at, params, guess, steady_at)
    return -0.5 * found.matrix


def _rough_hessian(
    problem: GeneralizedProblem, params: FloatVector, modes: ConditionalModes
) -> FloatMatrix:
    """The working linear model's Hessian in the user's parameters, (d, d)."""
    p, m = problem.n_fixed, problem.terms.n_theta
    x = working_params(problem, params)
    x[p : p + m] = params[p : p + m]
    change = np.eye(len(x))
    change[:p, :p] = np.linalg.inv(problem.fixed_transform)
    change[p + m :, p + m :] = np.diag(1.0 / params[p + m :])
    with np.errstate(all="ignore"):
        guess = rough_hessian(
            problem, x, modes, longest=(300.0, 1.0), theta_map=problem.user
        )
    guess = change.T @ guess @ change
    return np.asarray((guess + guess.T) / 2.0)


def modes_of(problem: GeneralizedProblem, fit: GLMMFit) -> ConditionalModes:
    """The converged modes at a fit's estimates."""
    point = evaluate_at(problem, fit.working_params, tolerance=CONVERGED)
    return point.modes


def loglike_groups(problem: GeneralizedProblem, fit: GLMMFit) -> FloatVector:
    """Log-likelihood of each independent group at the estimates; they add up to llf.

    Returns
    -------
    (J,)
        By level of the problem's independent factor.

    Raises
    ------
    FitError
        If grouping factors are crossed.
    """
    k = problem.independent_factor()
    modes = modes_of(problem, fit)
    rows = problem.rows
    _, _, shapes = split_parameters(problem, fit.working_params)
    index = rows.layout.rows.factors[k].index
    normalizer = index.sums(rows.likelihood.normalizer(shapes))
    if fit.n_nodes > 1:
        base = problem.X @ fit.working_params[: problem.n_fixed] + problem.offset
        return normalizer + level_log_integrals(rows, base, modes, shapes, fit.n_nodes)
    # D(u-hat) and log|M| are sums over rows and over levels, so by group as well;
    # levels of finer factors add what is theirs to the level that they lie in.
    density, _ = rows.likelihood.density(modes.eta, shapes)
    by_level = {
        c: step.log_det + (modes.effects[c] * modes.slopes[c]).sum(axis=0)
        for c, step in modes.elimination.absorbed.items()
    }
    own = sum_by_coarsest(rows.layout.pattern.plan, by_level)
    return np.asarray(normalizer + index.sums(density) - 0.5 * own)
