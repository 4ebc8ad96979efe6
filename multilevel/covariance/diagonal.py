"""Diagonal covariance: a variance for every effect, no correlation.

Held by tests/covariance/test_structures.py and tests/covariance/test_new_structure.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.covariance.cone import ConeBlock
from multilevel.covariance.structure import ColumnFreedom, CovarianceStructure


@dataclass(frozen=True)
class Diagonal(CovarianceStructure):
    """theta holds the relative standard deviations of the k effects.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.covariance.diagonal import Diagonal
    >>> Diagonal(2).factor(np.array([2.0, 0.5]))
    array([[2. , 0. ],
           [0. , 0.5]])
    """

    name: ClassVar[str] = "diag"
    spoken_name: ClassVar[str] = "diagonal"
    bar: ClassVar[str] = "||"
    freedom: ClassVar[ColumnFreedom] = "scale"

    @property
    def n_theta(self) -> int:
        """k."""
        return self.n_effects

    def factor(self, theta: FloatVector) -> FloatMatrix:
        """Diagonal factor (k, k)."""
        return np.diag(np.asarray(theta, dtype=float))

    def jacobian(self, theta: FloatVector) -> FloatArray:
        """One unit matrix for each diagonal entry, (k, k, k)."""
        jacobian = np.zeros((self.n_effects,) * 3)
        positions = np.arange(self.n_effects)
        jacobian[positions, positions, positions] = 1.0
        return jacobian

    def curvature(self, theta: FloatVector, weight: FloatMatrix) -> FloatMatrix:
        """Zero: the factor is linear in theta."""
        return np.zeros((self.n_effects, self.n_effects))

    def theta_of(self, factor: FloatMatrix) -> FloatVector:
        """Absolute values of the diagonal."""
        return np.abs(np.diag(factor)).copy()

    def start(self, variances: FloatVector) -> FloatVector:
        """Square roots of the variances."""
        return np.sqrt(variances)

    @property
    def free_entries(self) -> tuple[tuple[int, int], ...]:
        """The variances."""
        return tuple((i, i) for i in range(self.n_effects))

    def cone(self) -> tuple[ConeBlock, ...]:
        """A half-line for each variance."""
        return tuple(ConeBlock((i,)) for i in range(self.n_effects))

    def without_small(
        self, factor: FloatMatrix, below: float
    ) -> tuple[FloatMatrix, bool]:
        """Standard deviations below a size set to zero, and whether any was above."""
        sds = np.diag(factor)
        small = np.abs(sds) < below
        return np.diag(np.where(small, 0.0, sds)), bool((small & (sds != 0)).any())
