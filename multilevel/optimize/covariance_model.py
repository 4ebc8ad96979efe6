"""A model of the deviance around one evaluation, minimised over theta.

In theta the deviance has false stationary points (a factor of zero), curved valleys
(rotations of a singular factor) and quartic minima (variances that barely vanish).  In
G = Lam Lam' it has none of these.  So the model is one in G: that of `AlikeLevels`,
with a bounded quadratic term that makes its derivatives at the centre true.  It is
minimised over the factors themselves, which keeps every covariance semidefinite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.covariance.covariance_entries import CovarianceEntries
from multilevel.likelihood.alike_levels import (
    AlikeLevels,
    LocalChange,
    alike_levels,
    bounded_change,
)
from multilevel.likelihood.evaluation import LikelihoodPoint, ScaledDerivatives
from multilevel.likelihood.theta_derivatives import ThetaMap


@dataclass(frozen=True, slots=True)
class Expansion:
    """The model at one theta: its change from the centre, and derivatives in theta."""

    change: float
    gradient: FloatVector
    hessian: FloatMatrix


@dataclass(frozen=True)
class CovarianceModel:
    """Model of the deviance around one evaluation.

    Parameters
    ----------
    entries : CovarianceEntries
    theta_map : ThetaMap
    theta : (m,)
        The centre.
    point : LikelihoodPoint
        The deviance at the centre.
    scaled : ScaledDerivatives
        Its derivatives in X.
    roots : one (S, S) for each factor
        R, triangular, in whose units changes are measured: dG = R X R'.
    inverse_roots : one (S, S) for each factor
    gammas : one (S, S) for each factor
        Derivatives in X.
    slopes : (M,)
        Derivatives in the entries of X.
    curvature : (M, M)
        Second derivatives in the entries of X.
    is_quadratic : bool
        Leave the deviance of levels alike out: where factors are nearly confounded it
        is no guide.
    """

    entries: CovarianceEntries
    theta_map: ThetaMap
    theta: FloatVector
    point: LikelihoodPoint
    scaled: ScaledDerivatives
    roots: tuple[FloatMatrix, ...]
    inverse_roots: tuple[FloatMatrix, ...]
    gammas: tuple[FloatMatrix, ...]
    slopes: FloatVector
    curvature: FloatMatrix
    is_quadratic: bool = False

    @property
    def value(self) -> float:
        """Deviance at the centre."""
        return self.point.profiled.deviance

    @cached_property
    def levels(self) -> AlikeLevels:
        """The deviance as if levels were alike."""
        return alike_levels(self.gammas, self.scaled.score(), self.point.profiled)

    @cached_property
    def _centre(self) -> list[FloatMatrix]:
        """R^-1 G R^-T of each factor."""
        return [half @ half.T for half in self._centre_halves]

    @cached_property
    def _centre_halves(self) -> list[FloatMatrix]:
        return self._halves(self.theta)

    @cached_property
    def _missing(self) -> LocalChange:
        """What derivatives at the centre lack when levels are taken to be alike."""
        zero = [np.zeros_like(G) for G in self._centre]
        own = self.levels.expand(zero, self.entries)
        if own is None:
            raise np.linalg.LinAlgError("Z'V0^-1 Z is not positive definite")
        return LocalChange(
            0.0, self.slopes - own.slopes, self.curvature - own.curvature
        )

    def _halves(self, theta: FloatVector) -> list[FloatMatrix]:
        """R^-1 lambda of each factor."""
        lams = self.theta_map.factors(theta)
        return [inv @ lam for inv, lam in zip(self.inverse_roots, lams, strict=True)]

    def changes(self, theta: FloatVector) -> list[FloatMatrix]:
        """X (S, S) of each factor: G = centre + R X R'."""
        return [
            half @ half.T - centre
            for half, centre in zip(self._halves(theta), self._centre, strict=True)
        ]

    def expand_here(self) -> Expansion:
        """The model at its centre."""
        halves = self._centre_halves
        return self._in_theta(self.theta, halves, 0.0, self.slopes, self.curvature)

    def expand(self, theta: FloatVector) -> Expansion | None:
        """The model at another theta; None outside its domain."""
        halves = self._halves(theta)
        changes = [
            half @ half.T - centre
            for half, centre in zip(halves, self._centre, strict=True)
        ]
        total = self._change(changes)
        if total is None:
            return None
        return self._in_theta(
            theta, halves, total.change, total.slopes, total.curvature
        )

    def predict(self, theta: FloatVector) -> float:
        """Change of the deviance from the centre; infinite outside the domain."""
        total = self._change(self.changes(theta))
        return np.inf if total is None else total.change

    def _change(self, changes: Sequence[FloatMatrix]) -> LocalChange | None:
        x = self.entries.of(changes)
        if self.is_quadratic:
            bend = self.curvature @ x
            change = float((self.slopes + 0.5 * bend) @ x)
            return LocalChange(change, self.slopes + bend, self.curvature)
        near = self.levels.expand(changes, self.entries)
        if near is None:
            return None
        far = bounded_change(self._missing, x)
        return LocalChange(
            near.change + far.change,
            near.slopes + far.slopes,
            near.curvature + far.curvature,
        )

    def _in_theta(
        self,
        theta: FloatVector,
        halves: list[FloatMatrix],
        change: float,
        slopes: FloatVector,
        curvature: FloatMatrix,
    ) -> Expansion:
        """Derivatives in theta from those in the entries of X."""
        jacobians = self._scaled_jacobians(theta)
        gradient = np.zeros(len(theta))
        hessian = np.zeros((len(theta), len(theta)))
        weights, moves = [], []
        for gamma, half, inverse, jacobian in zip(
            self.entries.gammas(slopes),
            halves,
            self.inverse_roots,
            jacobians,
            strict=True,
        ):
            weight = 2.0 * gamma @ half
            flat = jacobian.reshape(len(jacobian), -1)
            gradient += flat @ weight.ravel()
            hessian += 2.0 * (gamma @ jacobian).reshape(len(jacobian), -1) @ flat.T
            move = jacobian @ half.T
            moves.append(move + move.transpose(0, 2, 1))
            weights.append(inverse.T @ weight)
        moved = self.entries.of(moves)
        hessian += moved @ curvature @ moved.T
        hessian += self.theta_map.curvature(theta, weights)
        return Expansion(change, gradient, (hessian + hessian.T) / 2.0)

    @cached_property
    def _units(self) -> FloatMatrix:
        """T (M, M): entries of the change R X R' of G from those of X."""
        moved = [
            R @ basis @ R.T
            for R, basis in zip(self.roots, self.entries.directions, strict=True)
        ]
        return self.entries.of(moved).T

    def corrected(self, learnt: FloatMatrix) -> CovarianceModel:
        """With `learnt` (M, M) added to the second derivatives in the entries of G."""
        added = self._units.T @ learnt @ self._units
        return replace(self, curvature=self.curvature + added)

    def learn(self, learnt: FloatMatrix, trial: CovarianceModel) -> FloatMatrix:
        """Symmetric rank-one update that would have predicted the slopes of `trial`.

        Parameters
        ----------
        learnt : (M, M)
            What is in this model already, in the entries of G.

        References
        ----------
        Nocedal & Wright (2006), Numerical Optimization, section 6.2.
        """
        changes = self.changes(trial.theta)
        expected = self._change(changes)
        if expected is None:
            return learnt
        ratios = [
            inverse @ root
            for inverse, root in zip(trial.inverse_roots, self.roots, strict=True)
        ]
        own = [
            ratio.T @ gamma @ ratio
            for ratio, gamma in zip(ratios, trial.gammas, strict=True)
        ]
        step = self.entries.of(changes)
        missed = self.entries.slopes(own) - expected.slopes
        overlap = float(missed @ step)
        if abs(overlap) < 1e-8 * np.linalg.norm(missed) * np.linalg.norm(step):
            return learnt
        back = np.linalg.solve(self._units.T, missed)
        return learnt + np.outer(back, back) / overlap

    def _scaled_jacobians(self, theta: FloatVector) -> list[FloatArray]:
        """R^-1 dlambda/dtheta (m, S, S) of each factor."""
        jacobians = self.theta_map.jacobians(theta)
        return [
            inverse @ jacobian
            for inverse, jacobian in zip(self.inverse_roots, jacobians, strict=True)
        ]

    def metric(self) -> FloatMatrix:
        """Squared relative length of a change of theta, (m, m)."""
        total = np.zeros((len(self.theta), len(self.theta)))
        for jacobian in self._scaled_jacobians(self.theta):
            flat = jacobian.reshape(len(jacobian), -1)
            total += flat @ flat.T
        return total

    def distance(self, theta: FloatVector) -> float:
        """Relative change of the covariances from the centre, on a log scale."""
        total = 0.0
        for change in self.changes(theta):
            values = np.linalg.eigvalsh(change) if len(change) > 1 else change[0]
            total += float((np.log1p(np.maximum(values, -0.999)) ** 2).sum())
        return float(np.sqrt(total))


def covariance_model(
    point: LikelihoodPoint,
    entries: CovarianceEntries,
    theta_map: ThetaMap,
    theta: FloatVector,
) -> CovarianceModel:
    """Model of the deviance around one evaluation."""
    precisions = point.mean_precisions()
    if not all(np.isfinite(precision).all() for precision in precisions):
        raise np.linalg.LinAlgError("the derivatives of the deviance are not finite")
    roots, inverses = entries.unit_roots(precisions)
    scaled = point.in_units(roots)
    gammas = scaled.gradients()
    slopes = entries.slopes(gammas)
    return CovarianceModel(
        entries,
        theta_map,
        theta,
        point,
        scaled,
        tuple(roots),
        tuple(inverses),
        tuple(gammas),
        slopes,
        scaled.hessian(entries.directions),
    )
