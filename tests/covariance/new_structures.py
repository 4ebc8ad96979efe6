"""Two structures that the package does not have, to try what a new one must do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import expit, logit

from multilevel.covariance.cone import ConeBlock
from multilevel.covariance.structure import ColumnFreedom, CovarianceStructure


@dataclass(frozen=True)
class CompoundSymmetry(CovarianceStructure):
    """theta: a standard deviation for each effect, then the correlation of any two.

    The correlation is ``-c + (1 + c) expit(z)`` with c = 1 / (k - 1) and z in theta.
    """

    name: ClassVar[str] = "cs"
    spoken_name: ClassVar[str] = "compound symmetric"
    freedom: ClassVar[ColumnFreedom] = "scale"

    @property
    def n_theta(self):
        return self.n_effects + 1

    @property
    def _least(self):
        return -1.0 / (self.n_effects - 1)

    def _sds(self, theta):
        return theta[:-1]

    def _spread(self):
        """d(standard deviations)/d(their parameters), (m - 1, k)."""
        return np.eye(self.n_effects)

    def _root(self, z):
        rho = self._least + (1.0 - self._least) * expit(z)
        whole = np.full((self.n_effects,) * 2, rho)
        np.fill_diagonal(whole, 1.0)
        return np.linalg.cholesky(whole)

    def _slope(self, z):
        """dC = C lower(C^-1 dR C^-T), half of the diagonal."""
        C = self._root(z)
        step = (1.0 - self._least) * expit(z) * expit(-z)
        move = step * (1.0 - np.eye(self.n_effects))
        inner = np.linalg.solve(C, np.linalg.solve(C, move).T)
        return C @ (np.tril(inner) - np.diag(np.diag(inner)) / 2.0)

    def factor(self, theta):
        return self._sds(theta)[:, None] * self._root(theta[-1])

    def jacobian(self, theta):
        rows = self._spread()[:, :, None] * self._root(theta[-1])
        last = self._sds(theta)[:, None] * self._slope(theta[-1])
        return np.concatenate([rows, last[None]])

    def curvature(self, theta, weight):
        out = np.zeros((self.n_theta,) * 2)
        slope = (weight * self._slope(theta[-1])).sum(axis=1)
        out[:-1, -1] = out[-1, :-1] = self._spread() @ slope
        step = 1e-5
        second = self._slope(theta[-1] + step) - self._slope(theta[-1] - step)
        second = (weight * second).sum(axis=1) / (2.0 * step)
        out[-1, -1] = self._sds(theta) @ second
        return out

    def _z(self, covariance):
        sds = np.sqrt(np.diag(covariance))
        unit = covariance / np.outer(sds, sds).clip(1e-300)
        rho = unit[np.tril_indices(self.n_effects, -1)].mean()
        share = (rho - self._least) / (1.0 - self._least)
        return logit(np.clip(share, 1e-9, 1.0 - 1e-9))

    def theta_of(self, factor):
        covariance = factor @ factor.T
        return np.append(np.sqrt(np.diag(covariance)), self._z(covariance))

    def start(self, variances):
        return np.append(np.sqrt(variances), logit(-self._least / (1.0 - self._least)))


@dataclass(frozen=True)
class EqualCompoundSymmetry(CompoundSymmetry):
    """One standard deviation for all effects: a J + b I, whose cone is known."""

    name: ClassVar[str] = "homcs"
    spoken_name: ClassVar[str] = "equal compound symmetric"
    freedom: ClassVar[ColumnFreedom] = "none"

    @property
    def n_theta(self):
        return 2

    def _sds(self, theta):
        return np.full(self.n_effects, theta[0])

    def _spread(self):
        return np.ones((1, self.n_effects))

    def theta_of(self, factor):
        covariance = factor @ factor.T
        return np.array([np.sqrt(np.diag(covariance).mean()), self._z(covariance)])

    def start(self, variances):
        return np.append(np.sqrt(variances.mean()), super().start(variances)[-1])

    def cone(self):
        k = self.n_effects
        mean = np.full((k, k), 1.0 / k)
        every = tuple(range(k))
        return (ConeBlock(every, mean), ConeBlock(every, np.eye(k) - mean))
