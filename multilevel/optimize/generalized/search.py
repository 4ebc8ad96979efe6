"""The descent of the approximate deviance to a proved optimum; which optimizer runs.

Held by tests/optimize/generalized/test_glmm_limits.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.errors import FitError
from multilevel.likelihood.generalized.pirls import ConditionalModes
from multilevel.optimize.common.counted import Evaluations
from multilevel.optimize.common.quasi_newton import minimize_bfgs
from multilevel.optimize.common.singularity import nearest_singular
from multilevel.optimize.generalized.joint_hessian import JointHessian, joint_hessian
from multilevel.optimize.generalized.objective import GlmObjective, GlmPoint
from multilevel.optimize.generalized.problem import GeneralizedProblem
from multilevel.optimize.generalized.start import (
    StartingPoint,
    link_unit,
    rough_hessian,
    row_unit,
)

GAIN = 1e-9
"""Expected fall of the deviance at which the descent ends."""

POLISH = 1e-7
"""Expected fall, by the Hessian of the end point, for which it goes on."""

NEAR_THE_EDGE = 1e-2
"""Standard deviation, in units of what a row tells, next to which zero is tried."""

MAX_EVALUATIONS = 1000
"""Of a whole search, but for the last line search and Hessian."""


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """Where the search ended.

    Parameters
    ----------
    point : GlmPoint
    hessian : JointHessian
        Of the approximate deviance there.
    expected_gain : float
        By how much the deviance could still fall, by this Hessian.
    evaluations : int
    """

    point: GlmPoint
    hessian: JointHessian
    expected_gain: float
    evaluations: int


@dataclass(frozen=True, kw_only=True)
class ApproximateSearch:
    """A search for the lowest approximate deviance.

    Parameters
    ----------
    problem : GeneralizedProblem
    n_nodes : int
        Quadrature nodes for each effect; one is the Laplace approximation.
    evaluations : Evaluations
        Counts those of the deviance.
    """

    problem: GeneralizedProblem
    n_nodes: int
    evaluations: Evaluations

    def value_at(self, first: StartingPoint) -> float:
        """The approximate deviance at a start; infinite where it cannot be had."""
        point = self._objective(self.n_nodes, first.modes)(first.x)
        return np.inf if point is None else point.value

    def run(self, first: StartingPoint) -> SearchEnd:
        """Descend, try the edge nearby, and make sure of the optimum."""
        inverse = np.asarray(np.linalg.inv(first.hessian))
        # By Laplace first whatever is wanted: an evaluation costs a fraction of one
        # with many nodes, and the optimum is near.
        point, inverse = self._descend(first.x, inverse, 1, first)
        if self.n_nodes > 1:
            again = replace(first, modes=point.modes)
            point, _ = self._descend(point.x, inverse, self.n_nodes, again)
        return self._polish(self._on_the_edge(point), first)

    def _descend(
        self, x: FloatVector, inverse: FloatMatrix, n_nodes: int, first: StartingPoint
    ) -> tuple[GlmPoint, FloatMatrix]:
        before = self.evaluations.made
        objective = self._objective(n_nodes, first.modes)
        point = objective(x)
        if point is None:
            raise FitError(
                "the approximate deviance cannot be evaluated at the starting values. "
                "Check that the link suits the response."
            )

        def told(_: int, value: float) -> None:
            # The Laplace approximation is only a start for the quadrature.
            if n_nodes == self.n_nodes:
                self.evaluations.tell(value)

        descent = minimize_bfgs(
            objective,
            x,
            point,
            inverse,
            gain_tolerance=GAIN,
            reach=self._reach(first),
            max_evaluations=max(MAX_EVALUATIONS - before, 0),
            on_step=told,
        )
        assert isinstance(descent.point, GlmPoint)
        return descent.point, descent.inverse_hessian

    def _objective(self, n_nodes: int, modes: ConditionalModes) -> GlmObjective:
        return GlmObjective(self.problem, n_nodes, self.evaluations, start=modes)

    def _reach(self, first: StartingPoint) -> FloatVector:
        """How far each parameter may go in a step, however well it is known, (d,)."""
        problem = self.problem
        reach = np.full(
            problem.n_parameters,
            link_unit(problem, first.modes.eta, first.modes.terms.weight),
        )
        reach[problem.n_fixed + problem.terms.n_theta :] = 1.0
        return reach

    def _on_the_edge(self, point: GlmPoint) -> GlmPoint:
        """The point on the edge nearby, if the deviance is no higher there."""
        p, m = self.problem.n_fixed, self.problem.terms.n_theta
        below = NEAR_THE_EDGE * row_unit(self.problem, point.modes)
        theta = nearest_singular(self.problem, point.x[p : p + m], below=below)
        if theta is None:
            return point
        x = point.x.copy()
        # Nothing else is moved: the deviance is even in a factor's column, so the other
        # parameters change by the square of what is set to zero.
        x[p : p + m] = theta
        edge = self._objective(self.n_nodes, point.modes)(x)
        slack = 1e-8 + 16.0 * np.finfo(float).eps * abs(point.value)
        return edge if edge is not None and edge.value <= point.value + slack else point

    def _polish(self, point: GlmPoint, first: StartingPoint) -> SearchEnd:
        """Newton's steps until the Hessian of the point itself promises no more."""
        for _ in range(4):
            hessian = self._hessian(point)
            gain = hessian.expected_gain(point.gradient)
            x = self._off_the_saddle(point, hessian)
            # BFGS judges by what it has learnt; the Hessian of
            # the end point judges it anew.
            settled = gain < POLISH and x is point.x
            if settled or self.evaluations.made >= MAX_EVALUATIONS:
                break
            again = replace(first, modes=point.modes)
            inverse = hessian.positive_inverse()
            try:
                other, _ = self._descend(x, inverse, self.n_nodes, again)
            except FitError:
                # Its modes were found from elsewhere, at the edge of a link's domain.
                break
            if other.value >= point.value:
                break
            point = self._on_the_edge(other)
        return SearchEnd(
            point=point,
            hessian=hessian,
            expected_gain=gain,
            evaluations=self.evaluations.made,
        )

    def _off_the_saddle(self, point: GlmPoint, hessian: JointHessian) -> FloatVector:
        """x, moved to where the deviance is lower if its curvature is negative.

        So is a covariance of zero left, which is stationary whatever the data.
        """
        direction = hessian.falling_direction()
        if direction is None:
            return point.x
        objective = self._objective(self.n_nodes, point.modes)
        found = [objective(point.x + way * direction) for way in (1.0, -1.0)]
        lower = [other for other in found if other is not None]
        best = min([point, *lower], key=lambda other: other.value)
        return best.x

    def _hessian(self, point: GlmPoint) -> JointHessian:
        guess = rough_hessian(self.problem, point.x, point.modes, longest=(300.0, 1.0))
        self.evaluations.add(2 * len(guess))
        try:
            return joint_hessian(self.problem, point, guess, n_nodes=self.n_nodes)
        except np.linalg.LinAlgError:
            root = np.asarray(np.linalg.cholesky(guess))
            return JointHessian(np.eye(len(guess)), root, np.inf)
