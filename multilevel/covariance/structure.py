"""What a covariance structure of the random effects of a term is.

A structure maps its part of theta to the relative covariance factor of one random
term, ``Cov(b) = sigma^2 factor factor'``.  The likelihood asks for nothing else than
the factor and its first two derivatives; tests, names and formulas ask for what is
said here of the structure itself.  No code looks at a structure's name, so a new one is
one new file and one row of the registry.

Held by tests/covariance/test_new_structure.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.covariance.cone import ConeBlock
from multilevel.errors import ComparisonError

ColumnFreedom = Literal["any", "scale", "none"]
"""Which changes of the random columns the structure is closed under: any invertible
matrix, a scale for each column, or only one common scale."""


@dataclass(frozen=True)
class CovarianceStructure(ABC):
    """The covariance of the random effects of one level.

    Parameters
    ----------
    n_effects : int
        Number of effects k of a level.

    Attributes
    ----------
    name : str
        As in formulas.
    spoken_name : str
        As in messages.
    bar : str
        The bar that asks for it by itself; none for most.
    freedom : {"any", "scale", "none"}
    """

    n_effects: int

    name: ClassVar[str]
    spoken_name: ClassVar[str]
    bar: ClassVar[str] = ""
    freedom: ClassVar[ColumnFreedom]

    # -- from theta to the factor ----------------------------------------------

    @property
    @abstractmethod
    def n_theta(self) -> int:
        """Number of parameters m of the term."""

    @abstractmethod
    def factor(self, theta: FloatVector) -> FloatMatrix:
        """Relative covariance factor (k, k), lower triangular, unit-free."""

    @abstractmethod
    def jacobian(self, theta: FloatVector) -> FloatArray:
        """Derivatives of the factor with respect to theta, (m, k, k)."""

    @abstractmethod
    def curvature(self, theta: FloatVector, weight: FloatMatrix) -> FloatMatrix:
        """Second derivatives of ``sum(weight * factor)`` in theta, (m, m)."""

    @abstractmethod
    def theta_of(self, factor: FloatMatrix) -> FloatVector:
        """Parameters (m,) of a square root (k, k); signs made canonical.

        Of a square root of another structure's covariance: parameters of one near it.
        """

    @abstractmethod
    def start(self, variances: FloatVector) -> FloatVector:
        """Parameters for given relative variances (k,) and no correlation."""

    # -- which covariance matrices there are -----------------------------------

    @property
    def free_entries(self) -> tuple[tuple[int, int], ...]:
        """Entries (row, column) of the lower triangle that are not always zero."""
        size = self.n_effects
        return tuple((row, column) for row in range(size) for column in range(row + 1))

    @property
    def is_tied(self) -> bool:
        """Whether some entries depend on others: there are more than parameters."""
        return self.n_theta < len(self.free_entries)

    @property
    def correlated_pairs(self) -> tuple[tuple[int, int], ...]:
        """Positions (i, j), i < j, of effects whose covariance is not always zero."""
        pairs = ((column, row) for row, column in self.free_entries)
        return tuple(sorted(pair for pair in pairs if pair[0] != pair[1]))

    def moves(self, theta: FloatVector) -> FloatArray:
        """Derivatives of ``factor factor'`` in theta, symmetric, (m, k, k)."""
        half = self.jacobian(theta) @ self.factor(theta).T
        return np.asarray(half + half.transpose(0, 2, 1))

    def directions(self) -> FloatArray:
        """Symmetric matrices (m, k, k) along which covariances lie.

        A unit matrix for each entry where entries are parameters, else how parameters
        move the covariance of unequal variances.
        """
        if self.is_tied:
            return self.moves(self.start(np.linspace(1.0, 2.0, self.n_effects)))
        out = np.zeros((self.n_theta, self.n_effects, self.n_effects))
        rows, columns = np.array(self.free_entries).T
        each = np.arange(self.n_theta)
        out[each, rows, columns] = out[each, columns, rows] = 1.0
        return out

    def cone(self) -> tuple[ConeBlock, ...]:
        """The covariance matrices near zero, as a product of cones.

        Raises
        ------
        ComparisonError
            Unless a structure says so: those near zero need not be convex, and a test
            of zero by another structure's null distribution would be wrong.
        """
        raise ComparisonError(
            f"the null distribution of a test of {self.spoken_name} covariances "
            f"({self.name}) is not known; compare the models by AIC or BIC"
        )

    def without_small(
        self, factor: FloatMatrix, below: float
    ) -> tuple[FloatMatrix, bool]:
        """A square root with directions below a size set to zero, and whether any was.

        Parameters
        ----------
        factor : (k, k)
            Of this structure.
        below : float
        """
        return factor, False
