"""The approximate deviance as a function of all parameters of the working columns.

x = [beta (p), theta (m), shapes (s)], the latter logarithms.

Held by tests/optimize/generalized/test_joint_hessian.py and
tests/optimize/generalized/test_glmm_limits.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatVector
from multilevel.likelihood.elimination.solve import solve
from multilevel.likelihood.generalized.laplace import (
    DevianceSlopes,
    laplace_deviance,
    laplace_slopes,
)
from multilevel.likelihood.generalized.pirls import (
    TIGHT,
    ConditionalModes,
    find_modes,
    inner_product,
)
from multilevel.likelihood.generalized.quadrature import quadrature_deviance
from multilevel.likelihood.linear.theta_derivatives import ThetaMap
from multilevel.optimize.common.counted import Evaluations
from multilevel.optimize.generalized.problem import GeneralizedProblem

FARTHEST = 80.0
"""Largest logarithm of a shape parameter that is tried."""


@dataclass(frozen=True, slots=True)
class GlmPoint:
    """The approximate deviance and its gradient at x.

    Parameters
    ----------
    x : (d,)
    value : float
        -2 times the approximate log-likelihood, all constants included.
    gradient : (d,)
    modes : ConditionalModes
    """

    x: FloatVector
    value: float
    gradient: FloatVector
    modes: ConditionalModes


def split_parameters(
    problem: GeneralizedProblem, x: FloatVector
) -> tuple[FloatVector, FloatVector, FloatVector]:
    """beta (p,), theta (m,) and shapes (s,)."""
    p, m = problem.n_fixed, problem.terms.n_theta
    return x[:p], x[p : p + m], x[p + m :]


def evaluate_at(
    problem: GeneralizedProblem,
    x: FloatVector,
    *,
    n_nodes: int = 1,
    start: ConditionalModes | None = None,
    tolerance: float = TIGHT,
    theta_map: ThetaMap | None = None,
    steady: bool = False,
) -> GlmPoint:
    """Approximate deviance and gradient.

    Parameters
    ----------
    problem : GeneralizedProblem
    x : (d,)
        [beta, theta, shapes].
    n_nodes : int
        Quadrature nodes for each effect; one is the Laplace approximation.
    start : ConditionalModes, optional
        At parameters nearby.
    tolerance : float
        Decrement at which the modes are taken for converged.
    theta_map : ThetaMap, optional
        What theta means; that of the working columns if not given.
    steady : bool
        Take the gradient of the Laplace approximation without the rounding of huge
        scores, which costs a solution for each fixed column.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the likelihood is not finite or its modes cannot be found.
    """
    beta, theta, shapes = split_parameters(problem, x)
    if np.abs(shapes).max(initial=0.0) > FARTHEST:
        raise np.linalg.LinAlgError("a shape parameter is out of bounds")
    theta_map = problem.working if theta_map is None else theta_map
    base = problem.X @ beta + problem.offset
    with np.errstate(all="ignore"):
        modes = find_modes(
            problem.rows,
            base,
            theta_map.lams(theta),
            shapes,
            start=start,
            tolerance=tolerance,
        )
        if n_nodes == 1:
            point = laplace_deviance(problem.rows, modes, shapes)
            slopes = laplace_slopes(problem.rows, point)
        else:
            point, slopes = quadrature_deviance(
                problem.rows, base, modes, shapes, n_nodes
            )
        gradient = _gradient(problem, theta_map.jacobians(theta), slopes)
        if steady and n_nodes == 1:
            gradient[: len(beta)] = _steady_slopes(problem, modes, slopes)
    if not (np.isfinite(point.value) and np.isfinite(gradient).all()):
        raise np.linalg.LinAlgError("the approximate deviance is not finite")
    return GlmPoint(x=x, value=point.value, gradient=gradient, modes=modes)


def _gradient(
    problem: GeneralizedProblem,
    jacobians: Sequence[FloatArray],
    slopes: DevianceSlopes,
) -> FloatVector:
    p, m = problem.n_fixed, problem.terms.n_theta
    gradient = np.zeros(problem.n_parameters)
    gradient[:p] = problem.X.T @ slopes.eta
    for slope, jacobian in zip(slopes.lams, jacobians, strict=True):
        gradient[p : p + m] += jacobian.reshape(m, -1) @ slope.ravel()
    gradient[p + m :] = slopes.shapes
    return gradient


def _steady_slopes(
    problem: GeneralizedProblem, modes: ConditionalModes, slopes: DevianceSlopes
) -> FloatVector:
    """Derivatives in beta (p,) where the sums of the scores are lost in rounding.

    At the modes Z'l' = v, so that x'l' = (x - Z c)'l' + c'v whatever c is; with the
    c of the weighted regression little of x is left over.
    """
    effects, score = problem.rows.layout.rows, modes.terms.score
    rest = slopes.eta + 2.0 * score
    out = np.empty(problem.n_fixed)
    for j, column in enumerate(problem.X.T):
        c = solve(modes.elimination, effects.collect(modes.terms.weight * column))
        left = column - effects.spread(c)
        out[j] = column @ rest - 2.0 * (left @ score + inner_product(c, modes.slopes))
    return out


class GlmObjective:
    """Evaluations that start from the modes of the last one.

    Parameters
    ----------
    problem : GeneralizedProblem
    n_nodes : int
        Quadrature nodes for each effect; one is the Laplace approximation.
    evaluations : Evaluations
        Counts them.
    start : ConditionalModes, optional
    """

    def __init__(
        self,
        problem: GeneralizedProblem,
        n_nodes: int,
        evaluations: Evaluations,
        *,
        start: ConditionalModes | None = None,
    ) -> None:
        self._problem = problem
        self._n_nodes = n_nodes
        self._modes = start
        self._evaluations = evaluations

    def __call__(self, x: FloatVector) -> GlmPoint | None:
        """Evaluate at x; None where that is not possible."""
        self._evaluations.add()
        try:
            point = evaluate_at(
                self._problem, x, n_nodes=self._n_nodes, start=self._modes
            )
        except np.linalg.LinAlgError:
            return None
        self._modes = point.modes
        return point
