"""A = Z'WZ for given row weights, kept in the cells that a layout found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.elimination.penalized_layout import (
    CrossLayout,
    PenalizedLayout,
)


@dataclass(frozen=True, slots=True)
class WeightedProducts:
    """A = Z'WZ.

    Parameters
    ----------
    layout : PenalizedLayout
    diagonal : one (S, S, J) for each factor
    upward : {(c, b): (S_c, S_b, J_c)}
        For chain factors c finer than b.
    cross : {c: (S_c, nnz_c)}
        Chain factors with the dense columns.
    dense : (m, m)
    """

    layout: PenalizedLayout
    diagonal: Sequence[FloatArray]
    upward: Mapping[tuple[int, int], FloatArray]
    cross: Mapping[int, FloatMatrix]
    dense: FloatMatrix

    def times(self, effects: Sequence[FloatMatrix]) -> list[FloatMatrix]:
        """A b, (S, J) for each factor."""
        layout = self.layout
        out = [
            block_times(block, own)
            for block, own in zip(self.diagonal, effects, strict=True)
        ]
        for (c, b), blocks in self.upward.items():
            parent = layout.plan.parents[c, b]
            out[c] += block_times(blocks, effects[b][:, parent])
            down = transposed_block_times(blocks, effects[c])
            out[b] += sum_by_parent(down, layout, c, b)
        if layout.plan.rest:
            dense_effects = to_dense(layout, effects)
            dense_out = self.dense @ dense_effects
            for c, values in self.cross.items():
                for s, entries in enumerate(values):
                    matrix = layout.cross[c].matrix(entries)
                    out[c][s] += matrix @ dense_effects
                    dense_out += matrix.T @ effects[c][s]
            for k, block in from_dense(layout, dense_out).items():
                out[k] = block
        return out


def block_times(blocks: FloatArray, vectors: FloatMatrix) -> FloatMatrix:
    """B_j v_j for every level: (a, s, J), (s, J) -> (a, J)."""
    if blocks.shape[:2] == (1, 1):
        return np.asarray(blocks[0] * vectors)
    return np.asarray(np.einsum("asj,sj->aj", blocks, vectors))


def transposed_block_times(blocks: FloatArray, vectors: FloatMatrix) -> FloatMatrix:
    """B_j' v_j for every level: (s, a, J), (s, J) -> (a, J)."""
    if blocks.shape[:2] == (1, 1):
        return np.asarray(blocks[0] * vectors)
    return np.asarray(np.einsum("saj,sj->aj", blocks, vectors))


def sum_by_parent(
    values: FloatArray, layout: PenalizedLayout, c: int, b: int
) -> FloatArray:
    """Sum the last axis (J_c) into the levels of b."""
    parent, n_parents = layout.plan.parents[c, b], layout.levels[b]
    flat = values.reshape(-1, values.shape[-1])
    sums = np.empty((len(flat), n_parents))
    for row, out in zip(flat, sums, strict=True):
        out[:] = np.bincount(parent, weights=row, minlength=n_parents)
    return sums.reshape(*values.shape[:-1], n_parents)


def to_dense(layout: PenalizedLayout, vectors: Sequence[FloatMatrix]) -> FloatVector:
    """The dense factors' parts of a vector of random effects, (m,)."""
    return np.concatenate([vectors[k].T.reshape(-1) for k in layout.plan.rest])


def from_dense(layout: PenalizedLayout, vector: FloatVector) -> dict[int, FloatMatrix]:
    """The reverse of `to_dense`: (S, J) for each dense factor."""
    plan = layout.plan
    bounds = zip(plan.rest, plan.offsets, plan.offsets[1:], strict=False)
    return {
        k: vector[start:end].reshape(-1, layout.sizes[k]).T for k, start, end in bounds
    }


def weighted_products(
    layout: PenalizedLayout, weights: FloatVector
) -> WeightedProducts:
    """Z'WZ for row weights (n,) of any sign."""
    diagonal = [factor.weighted_blocks(weights) for factor in layout.rows.factors]
    upward = {}
    for (c, b), columns in layout.upward.items():
        index = layout.rows.factors[c].index
        blocks = np.empty((layout.sizes[c], layout.sizes[b], layout.levels[c]))
        for (s, t), product in columns.items():
            blocks[s, t] = index.sums(_weighted(weights, product))
        upward[c, b] = blocks
    cross = {
        c: _cross_values(part, layout.sizes, c, weights)
        for c, part in layout.cross.items()
    }
    return WeightedProducts(
        layout, diagonal, upward, cross, _dense_block(layout, diagonal, weights)
    )


def _weighted(weights: FloatVector, product: FloatVector | None) -> FloatVector:
    return weights if product is None else weights * product


def _cross_values(
    cross: CrossLayout, sizes: Sequence[int], c: int, weights: FloatVector
) -> FloatMatrix:
    values = np.zeros((sizes[c], cross.n_entries))
    for part in cross.parts:
        for (s, t), product in part.columns.items():
            sums = part.index.sums(_weighted(weights, product))
            values[s, part.entry + t] = sums
    return values


def _dense_block(
    layout: PenalizedLayout, diagonal: Sequence[FloatArray], weights: FloatVector
) -> FloatMatrix:
    dense = np.zeros((layout.n_dense, layout.n_dense))
    for k in layout.plan.rest:
        start = layout.dense_rows(k)
        for a in range(layout.sizes[k]):
            for b in range(layout.sizes[k]):
                dense[start + a, start + b] = diagonal[k][a, b]
    for part in layout.rest:
        for (a, b), product in part.columns.items():
            sums = part.index.sums(_weighted(weights, product))
            dense[part.rows + a, part.cols + b] = sums
            dense[part.cols + b, part.rows + a] = sums
    return dense


def squared_sums(products: WeightedProducts) -> FloatMatrix:
    """Sum of the squares of Z_a'WZ_b for every two effects a, b of all factors.

    Returns
    -------
    (sum of S, sum of S)
    """
    layout = products.layout
    begin = np.cumsum([0, *layout.sizes])
    out = np.zeros((begin[-1], begin[-1]))
    for k, block in enumerate(products.diagonal):
        out[begin[k] : begin[k + 1], begin[k] : begin[k + 1]] = (block**2).sum(axis=2)
    for (c, b), blocks in products.upward.items():
        _put_squares(out, begin[c], begin[b], (blocks**2).sum(axis=2))
    for c, cross in layout.cross.items():
        for part in cross.parts:
            squares = np.zeros((layout.sizes[c], layout.sizes[part.rest]))
            for s, t in part.columns:
                entries = products.cross[c][s][part.entry + t]
                squares[s, t] = entries @ entries
            _put_squares(out, begin[c], begin[part.rest], squares)
    for pair in layout.rest:
        squares = np.zeros((layout.sizes[pair.first], layout.sizes[pair.second]))
        for a, b in pair.columns:
            cells = products.dense[pair.rows + a, pair.cols + b]
            squares[a, b] = cells @ cells
        _put_squares(out, begin[pair.first], begin[pair.second], squares)
    return out


def _put_squares(out: FloatMatrix, row: int, col: int, block: FloatMatrix) -> None:
    out[row : row + len(block), col : col + block.shape[1]] = block
    out[col : col + block.shape[1], row : row + len(block)] = block.T
