"""Which slice of theta belongs to which random term, and which terms share a factor.

Held by tests/covariance/test_structures.py and tests/covariance/test_new_structure.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.covariance.structure import CovarianceStructure


@dataclass(frozen=True)
class StackedTerms:
    """Random terms in formula order, stacked into one block for each grouping factor.

    Parameters
    ----------
    structures : one covariance structure for each term
    factor_of_term : for each term, the position of its grouping factor
    n_factors : number of grouping factors
    """

    structures: tuple[CovarianceStructure, ...]
    factor_of_term: tuple[int, ...]
    n_factors: int

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """The slice of theta of each term."""
        ends = np.cumsum([0] + [s.n_theta for s in self.structures]).tolist()
        return tuple(slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True))

    @cached_property
    def blocks(self) -> tuple[slice, ...]:
        """For each term, its rows and columns inside the block of its factor."""
        # Terms on one factor lie side by side in formula order: the order of theta and
        # of the working columns relies on it.
        filled = [0] * self.n_factors
        blocks = []
        for structure, factor in zip(self.structures, self.factor_of_term, strict=True):
            blocks.append(slice(filled[factor], filled[factor] + structure.n_effects))
            filled[factor] += structure.n_effects
        return tuple(blocks)

    @cached_property
    def block_sizes(self) -> tuple[int, ...]:
        """Number of effects S of each grouping factor."""
        sizes = [0] * self.n_factors
        for structure, factor in zip(self.structures, self.factor_of_term, strict=True):
            sizes[factor] += structure.n_effects
        return tuple(sizes)

    @property
    def n_theta(self) -> int:
        """Length m of theta."""
        return sum(structure.n_theta for structure in self.structures)

    @property
    def cone_sizes(self) -> tuple[int, ...]:
        """Orders of the semidefinite matrices that are all covariances near zero."""
        cones = (structure.cone() for structure in self.structures)
        return tuple(block.size for blocks in cones for block in blocks)

    def term_factors(self, theta: FloatVector) -> list[FloatMatrix]:
        """One factor (k, k) for each term, formula order."""
        return [
            structure.factor(theta[part])
            for structure, part in zip(self.structures, self.slices, strict=True)
        ]

    def stack(self, term_matrices: Sequence[FloatMatrix]) -> list[FloatMatrix]:
        """Block-diagonal (S, S) matrices by grouping factor from those by term."""
        stacked = [np.zeros((size, size)) for size in self.block_sizes]
        for matrix, factor, block in zip(
            term_matrices, self.factor_of_term, self.blocks, strict=True
        ):
            stacked[factor][block, block] = matrix
        return stacked

    def jacobians(self, theta: FloatVector) -> list[FloatArray]:
        """For each grouping factor, d(stacked factor)/dtheta, (m, S, S)."""
        out = [np.zeros((self.n_theta, size, size)) for size in self.block_sizes]
        for structure, factor, block, part in zip(
            self.structures, self.factor_of_term, self.blocks, self.slices, strict=True
        ):
            out[factor][part, block, block] = structure.jacobian(theta[part])
        return out

    def curvature(
        self, theta: FloatVector, weights: Sequence[FloatMatrix]
    ) -> FloatMatrix:
        """Second derivatives of ``sum_k sum(weights_k * factor_k)``, (m, m)."""
        out = np.zeros((self.n_theta, self.n_theta))
        for structure, factor, block, part in zip(
            self.structures, self.factor_of_term, self.blocks, self.slices, strict=True
        ):
            weight = weights[factor][block, block]
            out[part, part] = structure.curvature(theta[part], weight)
        return out

    def theta_of(self, term_matrices: Sequence[FloatMatrix]) -> FloatVector:
        """theta (m,) of given term factors."""
        pieces = [
            structure.theta_of(matrix)
            for structure, matrix in zip(self.structures, term_matrices, strict=True)
        ]
        return np.concatenate(pieces) if pieces else np.zeros(0)
