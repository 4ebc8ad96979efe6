"""The products of several grouping factors with few effects in all, as full matrices.

With some hundred effects a handful of LAPACK calls is faster than block algebra, every
step is a triangular solve, and the exact Hessian costs no more than the gradient.

Held by tests/likelihood/linear/test_dense_likelihood.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.products.cross_products import CrossProducts, SecondPass

MAX_EFFECTS = 200
"""Above this many random effects, blocks are eliminated one after another instead."""

MAX_SECOND_PASS_EFFECTS = 800
"""The same where effects explain nearly all of the response and a level has several:
then inverses of blocks are not accurate enough."""


@dataclass(frozen=True, slots=True)
class DenseSecondPass:
    """Products of C' = [X y] - Z B0, see `SecondPass`.

    Parameters
    ----------
    effects : (q, p + 1)
        B0.
    ZtXy : (q, p + 1)
        Z'W C'.
    XytXy : (p + 1, p + 1)
        C''W C'.
    """

    effects: FloatMatrix
    ZtXy: FloatMatrix
    XytXy: FloatMatrix

    @classmethod
    def of(cls, products: SecondPass) -> DenseSecondPass:
        """The same with the factors one below the other."""
        effects, ZtXy = map(stack_factors, (products.effects, products.ZtXy))
        return cls(effects, ZtXy, products.XytXy)


@dataclass(frozen=True, slots=True)
class DenseSystem:
    """Full products; effect s of level j of factor k is row ``starts[k] + j S_k + s``.

    Parameters
    ----------
    ZtZ : (q, q)
        Z'W Z.
    ZtXy : (q, p + 1)
        Z'W [X y].
    XytXy : (p + 1, p + 1)
    n_rows : int
    sizes, levels : tuple of int
        Effects a level and levels of each factor.
    starts : tuple of int
        First row of each factor, and last q.
    second_pass : DenseSecondPass or None
    """

    ZtZ: FloatMatrix
    ZtXy: FloatMatrix
    XytXy: FloatMatrix
    n_rows: int
    sizes: tuple[int, ...]
    levels: tuple[int, ...]
    starts: tuple[int, ...]
    second_pass: DenseSecondPass | None

    def with_response(self, products: CrossProducts) -> DenseSystem:
        """The same Z'W Z with the other products of another response."""
        ZtXy = stack_factors(products.ZtXy)
        return replace(self, ZtXy=ZtXy, XytXy=products.XytXy, second_pass=None)

    def times_lams(
        self, matrix: FloatMatrix, lams: Sequence[FloatMatrix]
    ) -> FloatMatrix:
        """matrix (c, q) times Lam = blockdiag(I x lambda), (c, q)."""
        out = np.empty_like(matrix, order="C")
        for k, lam in enumerate(lams):
            part = slice(self.starts[k], self.starts[k + 1])
            if self.sizes[k] == 1:
                np.multiply(matrix[:, part], lam[0, 0], out=out[:, part])
            else:
                blocks = matrix[:, part].reshape(-1, self.sizes[k])
                out[:, part] = (blocks @ lam).reshape(len(matrix), -1)
        return out

    def by_factor(self, vectors: FloatMatrix) -> list[FloatArray]:
        """Vectors (q, r) as (S, r, J) for each factor."""
        out = []
        for k, size in enumerate(self.sizes):
            rows = vectors[self.starts[k] : self.starts[k + 1]]
            blocks = rows.reshape(self.levels[k], size, vectors.shape[1])
            out.append(blocks.transpose(1, 2, 0))
        return out


def n_random_effects(products: CrossProducts) -> int:
    """q."""
    return sum(block.shape[0] * block.shape[2] for block in products.diagonal)


def has_several_effects(products: CrossProducts) -> bool:
    """Whether some factor has more than one effect a level."""
    return any(block.shape[0] > 1 for block in products.diagonal)


def dense_system(products: CrossProducts) -> DenseSystem:
    """Arrange cross-products as full matrices."""
    sizes = tuple(block.shape[0] for block in products.diagonal)
    levels = tuple(block.shape[2] for block in products.diagonal)
    counts = [s * j for s, j in zip(sizes, levels, strict=True)]
    starts = tuple(np.cumsum([0, *counts]).tolist())
    A = np.zeros((starts[-1], starts[-1]))
    for k, block in enumerate(products.diagonal):
        first = starts[k] + np.arange(levels[k]) * sizes[k]
        _place(A, first, first, block)
    for (k, m), pair in products.pairs.items():
        rows = starts[k] + pair.rows * sizes[k]
        cols = starts[m] + pair.cols * sizes[m]
        _place(A, rows, cols, pair.blocks)
        _place(A, cols, rows, np.swapaxes(pair.blocks, 0, 1))
    again = products.second_pass
    return DenseSystem(
        ZtZ=A,
        ZtXy=stack_factors(products.ZtXy),
        XytXy=products.XytXy,
        n_rows=products.n_rows,
        sizes=sizes,
        levels=levels,
        starts=starts,
        second_pass=None if again is None else DenseSecondPass.of(again),
    )


def _place(
    A: FloatMatrix, rows: FloatArray, cols: FloatArray, blocks: FloatArray
) -> None:
    """Write blocks (S, T, n) with their first entries at (rows, cols)."""
    for a in range(blocks.shape[0]):
        for b in range(blocks.shape[1]):
            A[rows + a, cols + b] = blocks[a, b]


def stack_factors(blocks: Sequence[FloatArray]) -> FloatMatrix:
    """Arrays (S, r, J) of the factors as one (q, r), inverse of `by_factor`."""
    return np.concatenate(
        [b.transpose(2, 0, 1).reshape(-1, b.shape[1]) for b in blocks]
    )
