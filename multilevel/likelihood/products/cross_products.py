"""The cross-products that a linear mixed model sees of its data.

With the fixed columns X, the response y and the random columns Z_k of grouping
factor k, all weighted, the products are A_kl = Z_k'W Z_l, B_k = Z_k'W [X y] and
C = [X y]'W [X y].  A_kk is block-diagonal and A_kl is held at the pairs of levels
that occur together.  Products of disjoint sets of rows add up, so rows may come in
pieces.

Held by tests/likelihood/products/test_cross_products.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector


@dataclass(frozen=True, slots=True)
class PairProducts:
    """A_kl at the pairs of levels that occur together.

    Parameters
    ----------
    rows, cols : (n_pairs,)
        Level of factor k and of factor l of each pair, sorted by row, then column.
    blocks : (S_k, S_l, n_pairs)
    """

    rows: IntVector
    cols: IntVector
    blocks: FloatArray

    def __add__(self, other: PairProducts) -> PairProducts:
        """Union of the pairs; blocks of pairs in both are added."""
        # Slices of one data set share the pattern of the whole: nothing to look up.
        if self.rows is other.rows and self.cols is other.cols:
            return PairProducts(self.rows, self.cols, self.blocks + other.blocks)
        n_cols = 1 + max(self.cols.max(initial=0), other.cols.max(initial=0))
        keys = [pair.rows * n_cols + pair.cols for pair in (self, other)]
        union, inverse = np.unique(np.concatenate(keys), return_inverse=True)
        blocks = np.zeros((*self.blocks.shape[:2], len(union)))
        blocks[:, :, inverse[: len(keys[0])]] = self.blocks
        blocks[:, :, inverse[len(keys[0]) :]] += other.blocks
        return PairProducts(union // n_cols, union % n_cols, blocks)


@dataclass(frozen=True, slots=True)
class SecondPass:
    """Products of C' = [X y] - Z B0, the rows less given effects of every level.

    Parameters
    ----------
    effects : one (S_k, p + 1, J_k) for each factor
        B0.
    ZtXy : one (S_k, p + 1, J_k) for each factor
        Z_k'W C'.
    XytXy : (p + 1, p + 1)
        C''W C'.
    """

    effects: tuple[FloatArray, ...]
    ZtXy: tuple[FloatArray, ...]
    XytXy: FloatMatrix

    def __add__(self, other: SecondPass) -> SecondPass:
        """Products of the rows of both.

        Raises
        ------
        ValueError
            If other effects were taken off the other rows.
        """
        if not all(map(np.array_equal, self.effects, other.effects)):
            raise ValueError(
                "different effects were taken off the rows, so their products do not "
                "add up: take the same effects off all rows"
            )
        return SecondPass(
            self.effects,
            tuple(a + b for a, b in zip(self.ZtXy, other.ZtXy, strict=True)),
            self.XytXy + other.XytXy,
        )


@dataclass(frozen=True, slots=True)
class ResponseProducts:
    """Products of one response with all columns and itself.

    Parameters
    ----------
    Zty : one (S_k, J_k) for each factor
    Xty : (p,)
    yty : float
    """

    Zty: tuple[FloatMatrix, ...]
    Xty: FloatVector
    yty: float

    def __add__(self, other: ResponseProducts) -> ResponseProducts:
        """Products of the rows of both."""
        return ResponseProducts(
            tuple(a + b for a, b in zip(self.Zty, other.Zty, strict=True)),
            self.Xty + other.Xty,
            self.yty + other.yty,
        )


@dataclass(frozen=True, slots=True)
class CrossProducts:
    """Products of one data set, or of one part of it.

    Parameters
    ----------
    n_rows : int
    sum_log_weights : float
        Sum of log(w_i), zero without prior weights.
    diagonal : one (S_k, S_k, J_k) for each factor
        Blocks of A_kk by level, the level index last.
    pairs : {(k, l): PairProducts}, k < l
    ZtXy : one (S_k, p + 1, J_k) for each factor
        Rows of B_k by level; the response is the last column.
    XytXy : (p + 1, p + 1)
        C.
    second_pass : SecondPass or None
        Where random effects explain nearly all of the response.
    """

    n_rows: int
    sum_log_weights: float
    diagonal: tuple[FloatArray, ...]
    pairs: Mapping[tuple[int, int], PairProducts]
    ZtXy: tuple[FloatArray, ...]
    XytXy: FloatMatrix
    second_pass: SecondPass | None = None

    def __add__(self, other: CrossProducts) -> CrossProducts:
        """Products of the rows of both; columns and levels must be the same.

        Raises
        ------
        ValueError
            If a second pass was made over the rows of one only, or not the same one.
        """
        keys = sorted({*self.pairs, *other.pairs})
        pairs = {
            key: self.pairs[key] + other.pairs[key]
            if key in self.pairs and key in other.pairs
            else self.pairs.get(key, other.pairs.get(key))
            for key in keys
        }
        return CrossProducts(
            n_rows=self.n_rows + other.n_rows,
            sum_log_weights=self.sum_log_weights + other.sum_log_weights,
            diagonal=tuple(
                a + b for a, b in zip(self.diagonal, other.diagonal, strict=True)
            ),
            pairs={key: pair for key, pair in pairs.items() if pair is not None},
            ZtXy=tuple(a + b for a, b in zip(self.ZtXy, other.ZtXy, strict=True)),
            XytXy=self.XytXy + other.XytXy,
            second_pass=_over_both(self.second_pass, other.second_pass),
        )

    def with_response(self, response: ResponseProducts) -> CrossProducts:
        """Products of the same columns with another response, by a single pass."""
        ZtXy = tuple(block.copy() for block in self.ZtXy)
        for block, own in zip(ZtXy, response.Zty, strict=True):
            block[:, -1] = own
        XytXy = self.XytXy.copy()
        XytXy[-1, :-1] = XytXy[:-1, -1] = response.Xty
        XytXy[-1, -1] = response.yty
        return replace(self, ZtXy=ZtXy, XytXy=XytXy, second_pass=None)


def _over_both(one: SecondPass | None, other: SecondPass | None) -> SecondPass | None:
    if one is not None and other is not None:
        return one + other
    if one is not other:
        raise ValueError(
            "a second pass was made over some of the rows only, so its products do not "
            "add up: add products of single passes, then make one over all rows"
        )
    return None
