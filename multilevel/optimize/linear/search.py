"""Descents on the profiled deviance of a linear mixed model; which optimizer runs.

Held by tests/optimize/linear/test_fit_lmm.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.errors import FitError
from multilevel.likelihood.linear.dense_system import n_random_effects
from multilevel.likelihood.linear.theta_derivatives import (
    ThetaDerivatives,
    theta_derivatives,
)
from multilevel.optimize.common.counted import Evaluations
from multilevel.optimize.common.singularity import nearest_singular
from multilevel.optimize.common.trust_region import Minimum, minimize
from multilevel.optimize.linear.problem import LinearProblem

MAX_EVALUATIONS = 300
"""For one descent."""

VANISHING = 1e-6
"""A residual variance so small, in the response's mean square, is next to none."""


@dataclass(frozen=True)
class LMMSearch:
    """The profiled deviance of a problem, to be minimised over theta.

    Parameters
    ----------
    problem : LinearProblem
    reml : bool
    evaluations : Evaluations
        Counts those of the objective.
    """

    problem: LinearProblem
    reml: bool
    evaluations: Evaluations = field(default_factory=Evaluations)

    def objective(self, theta: FloatVector) -> ThetaDerivatives:
        """Deviance with first and second derivatives at theta (m,)."""
        self.evaluations.add()
        theta_map = self.problem.working
        point = self.problem.point(theta_map.lams(theta), reml=self.reml)
        return theta_derivatives(point, theta_map, theta)

    @property
    def gain_tolerance(self) -> float:
        """Fall of the deviance that is not worth another step.

        1e-8 of deviance is 1e-4 of a standard error of theta.  With exact second
        derivatives one cheap step more gains all digits.
        """
        return 1e-10 if self.problem.prepared.has_exact_hessian else 1e-8

    def descend(
        self,
        theta: FloatVector,
        *,
        gain_tolerance: float | None = None,
        max_evaluations: int = MAX_EVALUATIONS,
    ) -> Minimum:
        """The minimum that a start leads to.

        Parameters
        ----------
        theta : (m,)
        gain_tolerance : float, optional
        max_evaluations : int

        Raises
        ------
        FitError
            If the deviance cannot be evaluated near the start.
        """
        # What is told is the deviance of the response in its own unit.
        shift = self.problem.deviance_shift(reml=self.reml)

        def on_step(_: int, value: float) -> None:
            self.evaluations.tell(value + shift)

        # Far out digits may be lost; then the start is drawn towards zero.
        for shrinkage in (1.0, 0.1, 1e-2, 1e-3):
            try:
                return minimize(
                    self.objective,
                    shrinkage * theta,
                    gain_tolerance=gain_tolerance or self.gain_tolerance,
                    max_evaluations=max_evaluations,
                    exact_hessian=self.problem.prepared.has_exact_hessian,
                    on_step=on_step,
                )
            except np.linalg.LinAlgError as error:
                reason = str(error)
        raise FitError(
            f"the deviance cannot be evaluated at the starting values: {reason}. Check "
            "the fixed and random columns for values that differ by many orders of "
            "magnitude, and the response for values that the groups determine."
        )

    def prefer_singular(self, minimum: Minimum) -> Minimum:
        """The point on the edge next to the minimum, if the deviance is no higher."""
        theta = nearest_singular(self.problem, minimum.x)
        if theta is None:
            return minimum
        evaluations = minimum.evaluations + 1
        try:
            edge = self.objective(theta)
        except np.linalg.LinAlgError:
            return replace(minimum, evaluations=evaluations)
        # As low but for rounding: then the simpler, singular, fit is the one to report,
        # and `is_singular` does not hang on the last digits of the descent.
        slack = 1e-9 + 8.0 * np.finfo(float).eps * abs(minimum.point.value)
        if edge.value <= minimum.point.value + slack:
            return replace(minimum, x=theta, point=edge, evaluations=evaluations)
        return replace(minimum, evaluations=evaluations)

    def is_unbounded(self, minimum: Minimum) -> bool:
        """Whether the deviance never rises again from here, the residuals vanishing.

        That happens where the effects can fit the response exactly: then log|V| rises
        by twice the number of effects in use for each unit of log theta, and the
        residual term falls by twice the number of rows.
        """
        problem, profiled = self.problem, minimum.point.point.profiled
        n_effects = n_random_effects(problem.products) + problem.n_fixed
        vanishing = profiled.sigma2 < VANISHING
        if n_effects < problem.n_rows and not vanishing:
            return False
        try:
            farther = problem.point(
                problem.working.lams(10.0 * minimum.x), reml=self.reml
            )
        except np.linalg.LinAlgError:
            return vanishing
        # Digits are few out there; at a minimum, 10 theta is higher by far more.
        slack = 0.01 if vanishing else -1e-6
        return farther.profiled.deviance < minimum.point.value + slack
