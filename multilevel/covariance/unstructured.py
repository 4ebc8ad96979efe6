"""Unstructured covariance: every variance and correlation is free.

Held by tests/covariance/test_structures.py and tests/covariance/test_new_structure.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.covariance.cone import ConeBlock
from multilevel.covariance.structure import ColumnFreedom, CovarianceStructure
from multilevel.covariance.triangular import lower_factor, triangle_indices


@dataclass(frozen=True)
class Unstructured(CovarianceStructure):
    """theta holds the lower triangle of the factor, column by column.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.covariance.unstructured import Unstructured
    >>> Unstructured(2).factor(np.array([2.0, 1.0, 0.5]))
    array([[2. , 0. ],
           [1. , 0.5]])
    """

    name: ClassVar[str] = "us"
    spoken_name: ClassVar[str] = "unstructured"
    bar: ClassVar[str] = "|"
    freedom: ClassVar[ColumnFreedom] = "any"

    @property
    def n_theta(self) -> int:
        """k (k + 1) / 2."""
        return self.n_effects * (self.n_effects + 1) // 2

    def factor(self, theta: FloatVector) -> FloatMatrix:
        """Lower-triangular factor (k, k)."""
        factor = np.zeros((self.n_effects, self.n_effects))
        factor[triangle_indices(self.n_effects)] = theta
        return factor

    def jacobian(self, theta: FloatVector) -> FloatArray:
        """One unit matrix for each entry of the triangle, (m, k, k)."""
        rows, columns = triangle_indices(self.n_effects)
        jacobian: FloatArray = np.zeros((self.n_theta, *(self.n_effects,) * 2))
        jacobian[np.arange(self.n_theta), rows, columns] = 1.0
        return jacobian

    def curvature(self, theta: FloatVector, weight: FloatMatrix) -> FloatMatrix:
        """Zero: the factor is linear in theta."""
        return np.zeros((self.n_theta, self.n_theta))

    def theta_of(self, factor: FloatMatrix) -> FloatVector:
        """Parameters of the lower-triangular factor of ``factor factor'``."""
        return lower_factor(factor)[triangle_indices(self.n_effects)]

    def start(self, variances: FloatVector) -> FloatVector:
        """Square roots of the variances on the diagonal, zero below."""
        return np.diag(np.sqrt(variances))[triangle_indices(self.n_effects)]

    def cone(self) -> tuple[ConeBlock, ...]:
        """Any semidefinite matrix."""
        return (ConeBlock(tuple(range(self.n_effects))),)

    def without_small(
        self, factor: FloatMatrix, below: float
    ) -> tuple[FloatMatrix, bool]:
        """Axes of the covariance below a size set to zero, and whether any was above.

        Any rotation of the columns of the factor is the same covariance: the singular
        values are its standard deviations along its own axes.
        """
        axes, values, _ = np.linalg.svd(factor)
        small = values < below
        return axes * np.where(small, 0.0, values), bool((small & (values > 0)).any())
