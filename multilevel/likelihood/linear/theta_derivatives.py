"""The deviance as a function of theta: value, gradient and Hessian.

With lambda_k = L_k F_k(theta) for each grouping factor and dG_a = dlambda_a lambda' +
lambda dlambda_a', the chain rule gives

    dd/dtheta_a          = sum(Gamma_k dG_a)
    d2d/dtheta_a dtheta_b = H(dG_a, dG_b) + 2 sum(Gamma_k dlambda_a dlambda_b')
                            + 2 sum(Gamma_k lambda d2lambda_ab')

The last two terms are what keeps steps right near a singular covariance, where the
first vanishes.

Held by tests/likelihood/linear/test_dense_likelihood.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.linear.prepared import LikelihoodPoint


class ThetaMap(Protocol):
    """From theta to the relative covariance factors of the working columns."""

    def lams(self, theta: FloatVector) -> list[FloatMatrix]:
        """lambda_k (S, S) for each grouping factor."""

    def jacobians(self, theta: FloatVector) -> list[FloatArray]:
        """dlambda_k/dtheta (m, S, S) for each grouping factor."""

    def curvature(
        self, theta: FloatVector, weights: Sequence[FloatMatrix]
    ) -> FloatMatrix:
        """Second derivatives of sum_k sum(weights_k * lambda_k), (m, m)."""


@dataclass(frozen=True, slots=True)
class ThetaDerivatives:
    """Deviance at theta, gradient (m,), Hessian (m, m) and where they came from."""

    value: float
    gradient: FloatVector
    hessian: FloatMatrix
    point: LikelihoodPoint


def covariance_directions(
    lams: Sequence[FloatMatrix], jacobians: Sequence[FloatArray]
) -> list[FloatArray]:
    """dG_a = dlambda_a lambda' + lambda dlambda_a', (m, S, S) for each factor."""
    half = [dlam @ lam.T for lam, dlam in zip(lams, jacobians, strict=True)]
    return [block + block.transpose(0, 2, 1) for block in half]


def theta_gradient(
    point: LikelihoodPoint, theta_map: ThetaMap, theta: FloatVector
) -> FloatVector:
    """Gradient of the deviance, (m,)."""
    lams, jacobians = theta_map.lams(theta), theta_map.jacobians(theta)
    gammas = point.gradients()
    total = np.zeros(len(theta))
    for gamma, lam, dlam in zip(gammas, lams, jacobians, strict=True):
        total += 2.0 * dlam.reshape(len(dlam), -1) @ (gamma @ lam).ravel()
    return total


def theta_derivatives(
    point: LikelihoodPoint, theta_map: ThetaMap, theta: FloatVector
) -> ThetaDerivatives:
    """Value, gradient and Hessian of the profiled deviance."""
    lams, jacobians = theta_map.lams(theta), theta_map.jacobians(theta)
    gammas = point.gradients()
    gradient = np.zeros(len(theta))
    hessian = point.hessian(covariance_directions(lams, jacobians))
    weights = []
    for gamma, lam, dlam in zip(gammas, lams, jacobians, strict=True):
        weight = 2.0 * gamma @ lam
        weights.append(weight)
        flat = dlam.reshape(len(dlam), -1)
        gradient += flat @ weight.ravel()
        hessian = hessian + 2.0 * (gamma @ dlam).reshape(len(dlam), -1) @ flat.T
    # Zero for structures that are linear in theta.
    hessian = hessian + theta_map.curvature(theta, weights)
    return ThetaDerivatives(
        value=point.profiled.deviance,
        gradient=gradient,
        hessian=(hessian + hessian.T) / 2.0,
        point=point,
    )
