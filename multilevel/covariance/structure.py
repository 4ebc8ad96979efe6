"""What a covariance structure is, and the registry of those that exist.

A structure maps its part of theta to the relative covariance factor of one random
term, ``Cov(b) = sigma^2 factor factor'``.  The likelihood asks for nothing else than
the factor and its first two derivatives, so a new structure is one new file and one
row of the registry.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector

ColumnFreedom = Literal["any", "scale", "none"]
"""Which changes of the random columns the structure is closed under: any invertible
matrix, a scale for each column, or only one common scale."""


class CovarianceStructure(Protocol):
    """The covariance of the `n_effects` random effects of one level."""

    name: ClassVar[str]
    freedom: ClassVar[ColumnFreedom]

    @property
    def n_effects(self) -> int:
        """Number of effects k of a level."""

    @property
    def n_theta(self) -> int:
        """Number of parameters m of the term."""

    def factor(self, theta: FloatVector) -> FloatMatrix:
        """Relative covariance factor (k, k), lower triangular, unit-free."""

    def jacobian(self, theta: FloatVector) -> FloatArray:
        """Derivatives of the factor with respect to theta, (m, k, k)."""

    def curvature(self, theta: FloatVector, weight: FloatMatrix) -> FloatMatrix:
        """Second derivatives of ``sum(weight * factor)`` in theta, (m, m)."""

    def theta_of(self, factor: FloatMatrix) -> FloatVector:
        """Parameters (m,) of a factor of this structure; signs made canonical."""

    def start(self, variances: FloatVector) -> FloatVector:
        """Parameters for given relative variances (k,) and no correlation."""
