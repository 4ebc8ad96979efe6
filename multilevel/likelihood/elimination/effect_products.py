"""A = Z'WZ, kept where a pattern says.

Held by tests/likelihood/elimination/test_eliminate.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.likelihood.algebra.dense_inverse import symmetric_product
from multilevel.likelihood.algebra.level_blocks import level_gram, level_product
from multilevel.likelihood.elimination.full_rows import FullRows
from multilevel.likelihood.elimination.paired_rows import (
    MAX_COLUMNS,
    MAX_PAIRS,
    paired_rows,
)
from multilevel.likelihood.elimination.pattern import CellPattern, EffectPattern
from multilevel.likelihood.elimination.plan import EliminationPlan
from multilevel.likelihood.elimination.sparse_rows import SparseRows
from multilevel.likelihood.elimination.vectors import EffectVectors

Blocks = Mapping[tuple[int, int], FloatArray]


@dataclass(frozen=True, slots=True)
class EffectProducts:
    """A = Z'WZ of all random effects.

    Parameters
    ----------
    pattern : EffectPattern
    diagonal : one (S, S, J) for each factor
    upward : {(c, b): (S_c, S_b, J_c)}
        For chain factors c finer than b.
    cross : {c: SparseRows}
        Chain factors with the dense columns.
    dense : (m, m)
        Fortran order.
    """

    pattern: EffectPattern
    diagonal: Sequence[FloatArray]
    upward: Blocks
    cross: Mapping[int, SparseRows]
    dense: FloatMatrix

    def times(self, vectors: EffectVectors) -> EffectVectors:
        """A b, (q, r)."""
        plan, levels = self.pattern.plan, self.pattern.levels
        chain = {
            c: level_product(self.diagonal[c], vectors.chain[c]) for c in plan.chain
        }
        for (c, b), blocks in self.upward.items():
            parent = plan.parents[c, b]
            chain[c] += level_product(blocks, vectors.chain[b][:, :, parent])
            down = level_gram(blocks, vectors.chain[c])
            chain[b] += sum_by_parent(down, parent, levels[b])
        dense = symmetric_product(self.dense, vectors.dense)
        for c, rows in self.cross.items():
            chain[c] += rows.times(vectors.dense)
            dense += rows.transposed_times(vectors.chain[c])
        return EffectVectors(chain, dense)

    def times_vector(self, effects: Sequence[FloatMatrix]) -> list[FloatMatrix]:
        """A b for one vector, (S, J) for each factor."""
        b = EffectVectors.of(self.pattern, [own[:, None] for own in effects])
        return [own[:, 0] for own in self.times(b).by_factor(self.pattern)]

    def squared_sums(self) -> FloatMatrix:
        """Sum of the squares of Z_a'WZ_b for every two effects a, b of all factors.

        Returns
        -------
        (sum of S, sum of S)
        """
        begin = np.cumsum([0, *self.pattern.sizes])
        own = [slice(a, b) for a, b in zip(begin, begin[1:], strict=False)]
        out = np.zeros((begin[-1], begin[-1]))
        for k, blocks in enumerate(self.diagonal):
            out[own[k], own[k]] = (blocks**2).sum(axis=2)
        cross = {c: rows.values for c, rows in self.cross.items()}
        stored = PairBlocks(
            pattern=self.pattern, upward=self.upward, cross=cross, dense=self.dense
        )
        for k, other in stored.factors_that_meet():
            squares = (stored.between(k, other) ** 2).sum(axis=2)
            out[own[k], own[other]] = squares
            out[own[other], own[k]] = squares.T
        return out


@dataclass(frozen=True, slots=True)
class PairBlocks:
    """A symmetric matrix of random effects where rows meet.

    Parameters
    ----------
    pattern : EffectPattern
    upward : {(c, b): (S_c, S_b, J_c)}
    cross : {c: (S_c, nnz_c)}
    dense : (m, m)
    """

    pattern: EffectPattern
    upward: Blocks
    cross: Mapping[int, FloatMatrix]
    dense: FloatMatrix

    def factors_that_meet(self) -> list[tuple[int, int]]:
        """Every two factors, in elimination order."""
        pattern = self.pattern
        return [*pattern.plan.parents, *pattern.entries, *pattern.corners]

    def between(self, first: int, second: int) -> FloatArray:
        """Its blocks for two factors, (S, T, J) or (S, T, n_pairs).

        By level of the first factor if it is nested in the second, else by pair.
        """
        pattern = self.pattern
        if (first, second) in self.upward:
            return self.upward[first, second]
        effects = np.arange(pattern.sizes[second])[:, None]
        if (first, second) in pattern.entries:
            return self.cross[first][:, pattern.entries[first, second] + effects]
        rows, cols = pattern.corners[first, second]
        own = np.arange(pattern.sizes[first])[:, None, None]
        return np.asarray(self.dense[rows + own, cols + effects])


def effect_products(
    pattern: EffectPattern, diagonal: Sequence[FloatArray], between: Blocks
) -> EffectProducts:
    """Put products where the pattern says.

    Parameters
    ----------
    pattern : EffectPattern
    diagonal : one (S, S, J) for each factor
    between : {(k, l): (S_k, S_l, J_k) or (S_k, S_l, n_pairs)}
        Every two factors in elimination order, arranged as by `PairBlocks.between`.
    """
    return EffectProducts(
        pattern=pattern,
        diagonal=diagonal,
        upward={key: between[key] for key in pattern.plan.parents},
        cross={c: _cross_rows(pattern, c, between) for c in pattern.cells},
        dense=_dense_products(pattern, diagonal, between),
    )


def _cross_rows(pattern: EffectPattern, c: int, between: Blocks) -> SparseRows:
    values = np.zeros((pattern.sizes[c], pattern.cells[c].n_entries))
    for k in pattern.plan.rest:
        blocks, entry = between[c, k], pattern.entries[c, k]
        for t in range(pattern.sizes[k]):
            values[:, entry + t] = blocks[:, t]
    # Only the finest factor's products stay the same throughout an elimination.
    again = pattern.reused and c == pattern.plan.chain[0]
    return _arranged(pattern.cells[c], values, reused=again)


def _arranged(cells: CellPattern, values: FloatMatrix, *, reused: bool) -> SparseRows:
    if cells.keys is None:
        return FullRows(cells, values)
    n_products = cells.n_pairs * len(values) * (len(values) + 1) // 2
    if reused and n_products <= MAX_PAIRS and cells.n_columns <= MAX_COLUMNS:
        return paired_rows(cells, values)
    return SparseRows(cells, values)


def _dense_products(
    pattern: EffectPattern, diagonal: Sequence[FloatArray], between: Blocks
) -> FloatMatrix:
    dense = np.zeros((pattern.n_dense, pattern.n_dense), order="F")
    for k in pattern.plan.rest:
        start, size = pattern.first_columns(k), pattern.sizes[k]
        for a in range(size):
            for b in range(size):
                dense[start + a, start + b] = diagonal[k][a, b]
    for key, (rows, cols) in pattern.corners.items():
        for a, blocks in enumerate(between[key]):
            for b, values in enumerate(blocks):
                dense[rows + a, cols + b] = values
                dense[cols + b, rows + a] = values
    return dense


def sum_by_coarsest(
    plan: EliminationPlan, by_level: Mapping[int, FloatVector]
) -> FloatVector:
    """Numbers (J_c,) of nested factors, summed into the levels of the coarsest."""
    *finer, coarsest = plan.chain
    total = by_level[coarsest].copy()
    for c in finer:
        total += sum_by_parent(by_level[c], plan.parents[c, coarsest], len(total))
    return total


def sum_by_parent(values: FloatArray, parent: IntVector, n_parents: int) -> FloatArray:
    """Sum the last axis (J_child) into the parents' levels."""
    flat = values.reshape(-1, values.shape[-1])
    sums = np.empty((len(flat), n_parents))
    for row, out in zip(flat, sums, strict=True):
        out[:] = np.bincount(parent, weights=row, minlength=n_parents)
    return sums.reshape(*values.shape[:-1], n_parents)
