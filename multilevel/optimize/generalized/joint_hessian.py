"""Second derivatives of the approximate deviance, by differences of its gradient.

The differences are taken along directions that an analytic guess of the Hessian makes
independent of one another and of unit curvature. So no unit, origin or amount of
information matters, and the asymmetry of what is found measures its error: where it is
large, longer steps are taken and their leading error is removed by extrapolation.

References
----------
Ridders (1982), Advances in Engineering Software 4, 75-76 (extrapolated differences).

Held by tests/optimize/generalized/test_joint_hessian.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.errors import FitError
from multilevel.optimize.common.differences import central_differences
from multilevel.optimize.generalized.objective import GlmPoint, evaluate_at
from multilevel.optimize.generalized.problem import GeneralizedProblem

STEP = 1e-3
"""Of a difference, in units of a direction's own standard error, roughly."""

SHORT_STEP = 1e-5
"""Where the likelihood cannot be had a step away."""

LONG_STEP = 0.03
"""Of extrapolated differences, where rounding spoils the short ones."""

TOLERATED = 1e-4
"""Error of a Hessian of unit size for which longer steps are taken."""

FLAT = 1e-10
"""Least curvature of a whitened fixed effect or shape that is inverted."""

CONVERGED = 1e-19
"""Decrement of the modes: errors of the gradient are divided by the step."""


@dataclass(frozen=True, slots=True)
class JointHessian:
    """Hessian of the approximate deviance, whitened.

    Parameters
    ----------
    whitened : (d, d)
        ``root^-1 H root^-T``; near the identity where the guess was good.
    root : (d, d)
        Lower Cholesky factor of the guess, block-diagonal by beta, theta, shapes.
    error : float
        Largest asymmetry of the whitened differences.
    """

    whitened: FloatMatrix
    root: FloatMatrix
    error: float

    @property
    def matrix(self) -> FloatMatrix:
        """H, (d, d), symmetric."""
        return np.asarray(self.root @ self.whitened @ self.root.T)

    def unwhitened(self, covariance: FloatMatrix) -> FloatMatrix:
        """A covariance of x from that of the whitened parameters, (d, d)."""
        return self.shift(self.shift(covariance).T)

    def slopes(self, gradient: FloatVector) -> FloatVector:
        """A gradient (d,), or one a column, along the whitened directions."""
        return np.asarray(np.linalg.solve(self.root, gradient))

    def shift(self, direction: FloatVector) -> FloatVector:
        """A change (d,), or one a column, of the whitened parameters as one of x."""
        return np.asarray(np.linalg.solve(self.root.T, direction))

    def expected_gain(self, gradient: FloatVector) -> float:
        """By how much the deviance could fall, by this Hessian."""
        slopes = self.slopes(gradient)
        return 0.5 * float(slopes @ pseudo_inverse(self.whitened) @ slopes)

    def positive_inverse(self) -> FloatMatrix:
        """Inverse (d, d) with the eigenvalues made positive, for a descent."""
        values, vectors = np.linalg.eigh(self.whitened)
        # Along negative curvature as far as along positive curvature of that size,
        # and not for ever along none.
        inverse = (vectors / np.maximum(np.abs(values), 1e-4)) @ vectors.T
        return self.unwhitened(inverse)

    def falling_direction(self) -> FloatVector | None:
        """Direction (d,) of clearly negative curvature; None if there is none."""
        values, vectors = np.linalg.eigh(self.whitened)
        if values[0] > -max(1e-4, 10.0 * self.error) * max(values[-1], 1e-300):
            return None
        direction = vectors[:, 0]
        return self.shift(0.1 * direction / np.abs(direction).max())


def joint_hessian(
    problem: GeneralizedProblem,
    point: GlmPoint,
    guess: FloatMatrix,
    *,
    n_nodes: int = 1,
) -> JointHessian:
    """Hessian of the approximate deviance at a point, symmetrized.

    Parameters
    ----------
    problem : GeneralizedProblem
    point : GlmPoint
    guess : (d, d)
        The Hessian, roughly; positive definite, block-diagonal.
    n_nodes : int

    Raises
    ------
    numpy.linalg.LinAlgError
        If the deviance cannot be evaluated next to the point.
    """

    def gradient_at(x: FloatVector, *, steady: bool = False) -> FloatVector:
        return evaluate_at(
            problem,
            x,
            n_nodes=n_nodes,
            start=point.modes,
            tolerance=CONVERGED,
            steady=steady,
        ).gradient

    return differenced_hessian(
        gradient_at, point.x, guess, partial(gradient_at, steady=True)
    )


def differenced_hessian(
    gradient_at: Callable[[FloatVector], FloatVector],
    x: FloatVector,
    guess: FloatMatrix,
    steady_at: Callable[[FloatVector], FloatVector] | None = None,
) -> JointHessian:
    """Hessian at x by central differences of a gradient, symmetrized.

    Parameters
    ----------
    gradient_at : callable
    x : (d,)
    guess : (d, d)
        The Hessian, roughly; positive definite.
    steady_at : callable, optional
        The gradient with less rounding, where that spoils the differences.
    """
    empty = JointHessian(guess, np.asarray(np.linalg.cholesky(guess)), np.inf)
    try:
        found = _differenced(gradient_at, x, empty, STEP)
    except (np.linalg.LinAlgError, FitError):
        # Next to the edge of a link's domain.
        return _differenced(gradient_at, x, empty, SHORT_STEP)
    if found.error <= TOLERATED * max(1.0, np.abs(found.whitened).max(initial=0.0)):
        return found
    try:
        if steady_at is not None:
            gradient_at = steady_at
            steady = _differenced(gradient_at, x, empty, STEP)
            found = steady if steady.error < found.error else found
        near = _differenced(gradient_at, x, empty, LONG_STEP / 2.0)
        far = _differenced(gradient_at, x, empty, LONG_STEP)
    except (np.linalg.LinAlgError, FitError):
        return found
    # The error of central differences is of second order in the step.
    whitened = (4.0 * near.whitened - far.whitened) / 3.0
    truncation = np.abs(whitened - near.whitened).max()
    # Asymmetry does not see an error that is symmetric, as truncation may be.
    error = max(near.error, 0.1 * truncation)
    return (
        replace(found, whitened=whitened, error=error)
        if (error < found.error)
        else found
    )


def _differenced(
    gradient_at: Callable[[FloatVector], FloatVector],
    x: FloatVector,
    frame: JointHessian,
    step: float,
) -> JointHessian:
    """Central differences of one length along the whitened directions."""
    steps = frame.shift(step * np.eye(len(x))).T
    differences = np.array(central_differences(gradient_at, x, steps))
    rows = frame.slopes(differences.T).T / step
    error = float(np.abs(rows - rows.T).max(initial=0.0))
    return JointHessian((rows + rows.T) / 2.0, frame.root, error)


@dataclass(frozen=True, slots=True)
class ParameterCovariance:
    """Covariance of the working parameters and what the data do not tell of.

    Parameters
    ----------
    matrix : (d, d)
    unknown : (d, r)
        Directions of [beta, shapes] whose curvature is lost in rounding; their
        variance is huge.
    """

    matrix: FloatMatrix
    unknown: FloatMatrix


def parameter_covariance(
    problem: GeneralizedProblem, hessian: JointHessian
) -> ParameterCovariance:
    """Covariance of the working parameters: twice the inverse Hessian.

    Directions of theta without curvature are the rotations of a singular covariance
    factor, which change nothing: they get no variance. Elsewhere a lack of curvature
    means that nothing is known: the variance is huge.

    Parameters
    ----------
    problem : GeneralizedProblem
    hessian : JointHessian
    """
    p, m = problem.n_fixed, problem.terms.n_theta
    white = hessian.whitened
    inner = np.arange(p, p + m)
    outer = np.concatenate([np.arange(p), np.arange(p + m, len(white))])
    theta_inverse = pseudo_inverse(white[np.ix_(inner, inner)])
    # By blocks, theta eliminated first: its flat directions are harmless and are left
    # out, those of the rest mean that an estimate is not known and must show.
    across = white[np.ix_(outer, inner)] @ theta_inverse
    own = white[np.ix_(outer, outer)] - across @ white[np.ix_(inner, outer)]
    outer_inverse, flat = _floored_inverse(own)
    covariance = np.empty_like(white)
    covariance[np.ix_(outer, outer)] = outer_inverse
    covariance[np.ix_(outer, inner)] = -outer_inverse @ across
    covariance[np.ix_(inner, outer)] = covariance[np.ix_(outer, inner)].T
    covariance[np.ix_(inner, inner)] = theta_inverse + across.T @ outer_inverse @ across
    unknown = np.zeros((len(white), flat.shape[1]))
    unknown[outer] = flat
    return ParameterCovariance(
        2.0 * hessian.unwhitened(covariance), np.asarray(hessian.shift(unknown))
    )


def _floored_inverse(matrix: FloatMatrix) -> tuple[FloatMatrix, FloatMatrix]:
    """The inverse, and the directions (d, r) that had to be held up for it."""
    if not len(matrix):
        return matrix, matrix
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2.0)
    inverse = (vectors / np.maximum(values, FLAT)) @ vectors.T
    return np.asarray(inverse), vectors[:, values <= FLAT]


def pseudo_inverse(hessian: FloatMatrix) -> FloatMatrix:
    """Inverse over the directions in which the Hessian is safely positive."""
    if not len(hessian):
        return hessian
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    # In units of each parameter's own curvature: flat is flat whatever is measured in.
    kept = values > 1e-9 * max(values[-1], 1e-300)
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    return np.asarray(inverse * np.outer(scale, scale))
