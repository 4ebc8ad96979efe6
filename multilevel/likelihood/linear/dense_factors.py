"""Several grouping factors with few effects in all, evaluated by full matrices.

Held by tests/likelihood/linear/test_prepared.py and
tests/likelihood/linear/test_dense_likelihood.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.linear.block_factors import BlockFactors
from multilevel.likelihood.linear.dense_point import DensePoint, dense_point
from multilevel.likelihood.linear.dense_system import DenseSystem, dense_system
from multilevel.likelihood.linear.share_left import NormalEquations, share_left_of
from multilevel.likelihood.products.cross_products import CrossProducts


@dataclass(frozen=True, slots=True)
class DenseFactors:
    """A `Prepared` for some hundred random effects.

    Parameters
    ----------
    products : CrossProducts
    system : DenseSystem
        The same as full matrices.
    """

    products: CrossProducts
    system: DenseSystem

    has_exact_hessian = True

    @classmethod
    def from_products(cls, products: CrossProducts) -> DenseFactors:
        """Arrange the products of several grouping factors as full matrices."""
        return cls(products, dense_system(products))

    @property
    def n_dense(self) -> int:
        """All random effects, q."""
        return len(self.system.ZtZ)

    @property
    def independent_factor(self) -> int | None:
        """The coarsest of nested factors; None if no partition of the rows is free."""
        return self._blocks().independent_factor

    def point(self, lams: Sequence[FloatMatrix], *, reml: bool) -> DensePoint:
        """Profiled deviance at relative covariance factors (S, S), one a factor."""
        return dense_point(self.system, lams, reml=reml)

    def share_left(self, *, enough: float) -> float:
        """Residual sum of squares of all effects, fitted freely, as a share of y'Wy."""
        total = float(self.system.XytXy[-1, -1])
        return share_left_of(_equations(self.system), total, enough=enough)

    def with_response(self, products: CrossProducts) -> DenseFactors:
        """The same matrix of random columns for another response."""
        return DenseFactors(products, self.system.with_response(products))

    def level_log_dets(self, lams: Sequence[FloatMatrix]) -> FloatVector:
        """log|M| of every level of the independent factor, (J,)."""
        return self._blocks().level_log_dets(lams)

    def _blocks(self) -> BlockFactors:
        """By blocks, in which levels keep apart what a full matrix does not."""
        return BlockFactors.from_products(self.products)


def _equations(system: DenseSystem) -> NormalEquations:
    ZtX = system.ZtXy[:, :-1]
    matrix = np.block([[system.XytXy[:-1, :-1], ZtX.T], [ZtX, system.ZtZ]])
    rhs = np.concatenate([system.XytXy[:-1, -1], system.ZtXy[:, -1]])
    return NormalEquations(matrix.__matmul__, np.diag(matrix), rhs)
