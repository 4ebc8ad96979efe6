"""Cross-products that stay accurate when random effects explain nearly everything.

Then ``y'V0^-1 y`` is a small difference of large sums.  The rows are walked over again:
an estimate of the fixed effects is taken off the response, and estimates of the random
effects off every fixed column and the response, so that the sums are small themselves.
Neither changes the likelihood, so rough estimates will do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.block_solve import RandomVectors, random_gram_product
from multilevel.likelihood.block_system import BlockSystem, block_system
from multilevel.likelihood.cross_products import ColumnShift, CrossProducts
from multilevel.likelihood.evaluation import PreparedProducts, prepare_products
from multilevel.likelihood.level_blocks import semidefinite_rows, summed_gram
from multilevel.likelihood.level_patterns import FactorPatterns
from multilevel.likelihood.row_products import cross_products, stacked_columns
from multilevel.likelihood.several_factors import several_factors_point
from multilevel.likelihood.single_factor import RotatedLevels, single_factor_point
from multilevel.likelihood.working_rows import WorkingColumn, WorkingRows

CANCELLATION = 1e-3
"""Share of the response's squares left by all effects that calls for a second pass."""
_SD_RATIOS = (30.0, 1e3, 3e4)
"""Each estimate takes some digits off, which makes the next accurate enough."""


def steady_products(
    rows: WorkingRows, patterns: FactorPatterns, factor_of_term: Sequence[int]
) -> tuple[WorkingRows, CrossProducts, PreparedProducts]:
    """Products of the rows, of shifted rows where that saves digits.

    Returns
    -------
    rows : WorkingRows
        With the response that the products are of, and the basis that goes with it.
    products : CrossProducts
    prepared : the same, arranged for elimination
    """
    products = cross_products(rows, patterns, factor_of_term)
    prepared = prepare_products(products)
    if isinstance(prepared, RotatedLevels):
        share = _share_left_single(prepared, float(products.fixed[-1, -1]))
        steady = _steady_single
    else:
        share = _share_left_several(prepared)
        steady = _steady_several
    if share > CANCELLATION:
        return rows, products, prepared
    for ratio in _SD_RATIOS:
        rows, products = steady(rows, products, patterns, factor_of_term, ratio)
        prepared = prepare_products(products)
    return rows, products, prepared


def _steady_single(
    rows: WorkingRows,
    products: CrossProducts,
    patterns: FactorPatterns,
    factor_of_term: Sequence[int],
    ratio: float,
) -> tuple[WorkingRows, CrossProducts]:
    prepared = RotatedLevels.from_products(products)
    lam = ratio * np.eye(prepared.size)
    rows = _without_fixed_part(
        rows, single_factor_point(prepared, lam, reml=False).profiled.beta
    )
    products = cross_products(rows, patterns, factor_of_term)
    effects = _projection(products.diagonal[0], products.rhs[0])
    left = _shifted(rows, patterns, factor_of_term, (effects,))
    _, rotated = semidefinite_rows(products.diagonal[0], left.rhs[0])
    within = left.gram - summed_gram(rotated, rotated)
    return rows, replace(products, within=within)


def _projection(blocks: FloatArray, rhs: FloatArray) -> FloatArray:
    """Coefficients (S, p + 1, J) of [X y] on Z within every level."""
    R, rotated = semidefinite_rows(blocks, rhs)
    effects = np.zeros_like(rotated)
    for k in reversed(range(len(R))):
        pivot = R[k, k]
        left = rotated[k] - np.einsum("bj,brj->rj", R[k, k + 1 :], effects[k + 1 :])
        np.divide(left, pivot, out=effects[k], where=pivot > 0)
    return effects


def _steady_several(
    rows: WorkingRows,
    products: CrossProducts,
    patterns: FactorPatterns,
    factor_of_term: Sequence[int],
    ratio: float,
) -> tuple[WorkingRows, CrossProducts]:
    lams = [ratio * np.eye(len(block)) for block in products.diagonal]
    point = several_factors_point(block_system(products), lams, reml=False)
    rows = _without_fixed_part(rows, point.profiled.beta)
    products = cross_products(rows, patterns, factor_of_term)
    effects = point.column_effects()
    shift = _shifted(rows, patterns, factor_of_term, effects)
    return rows, replace(products, shift=shift)


def _without_fixed_part(rows: WorkingRows, beta: FloatVector) -> WorkingRows:
    """The response less X beta, which the basis adds to the estimates."""
    fixed = rows.fixed.copy(order="F")
    fixed[:, -1] -= fixed[:, :-1] @ beta
    basis = rows.basis
    fit = basis.response_fit + basis.response_scale * beta
    return replace(rows, fixed=fixed, basis=replace(basis, response_fit=fit))


def _shifted(
    rows: WorkingRows,
    patterns: FactorPatterns,
    factor_of_term: Sequence[int],
    effects: tuple[FloatArray, ...],
) -> ColumnShift:
    """Products of [X y] less Z times the effects."""
    left = _rows_less_effects(rows, patterns, factor_of_term, effects)
    # Keys tell columns apart; the shifted ones are no longer those of the terms.
    first = rows.fixed.shape[1]
    random = tuple(
        tuple(replace(column, key=first + column.key) for column in term)
        for term in rows.random
    )
    shifted = replace(rows, fixed=left, fixed_constant=0.0, random=random)
    products = cross_products(shifted, patterns, factor_of_term)
    return ColumnShift(effects, products.rhs, products.fixed)


def _rows_less_effects(
    rows: WorkingRows,
    patterns: FactorPatterns,
    factor_of_term: Sequence[int],
    effects: tuple[FloatArray, ...],
) -> FloatMatrix:
    left = rows.fixed.copy(order="F")
    stacked = stacked_columns(rows, factor_of_term, len(effects))
    for columns, codes, own in zip(stacked, patterns.codes, effects, strict=True):
        for column, effect in zip(columns, own, strict=True):
            for r in range(left.shape[1]):
                left[:, r] -= _column_times(column, effect[r][codes])
    return left


def _column_times(column: WorkingColumn, effect: FloatVector) -> FloatVector:
    return effect * (column.constant if column.values is None else column.values)


def _share_left_single(prepared: RotatedLevels, total: float) -> float:
    """Share of the response's squares left within levels by the fixed columns."""
    within = prepared.within
    beta = np.linalg.lstsq(within[:-1, :-1], within[:-1, -1], rcond=1e-10)[0]
    return float(within[-1, -1] - within[-1, :-1] @ beta) / total


def _share_left_several(system: BlockSystem, *, max_iterations: int = 20) -> float:
    """Share of the response's squares that no effect can explain, roughly.

    By conjugate gradients on the normal equations of fixed and random effects, stopped
    when little more is explained.
    """
    total = float(system.fixed[-1, -1])
    if total <= 0:
        return 1.0
    equations = _NormalEquations(system)
    residual = equations.rhs()
    left, slope = total, 0.0
    step = _plus(residual, residual, -1.0)
    for _ in range(max_iterations):
        scaled = _mapped(lambda a, b: a * b, equations.inverse_diagonal(), residual)
        old_slope, slope = slope, _inner(scaled, residual)
        if slope <= 0:
            break
        step = _plus(scaled, step, slope / old_slope if old_slope > 0 else 0.0)
        product = equations.times(step)
        length = slope / _inner(step, product)
        left -= length * slope
        residual = _plus(residual, product, -length)
        if left < CANCELLATION * total or length * slope < 0.1 * left:
            break
    return left / total


@dataclass(frozen=True)
class _Effects:
    """Fixed effects (p, 1) and random effects (q, 1)."""

    fixed: FloatMatrix
    random: RandomVectors


@dataclass(frozen=True)
class _NormalEquations:
    system: BlockSystem

    @cached_property
    def fixed_columns(self) -> RandomVectors:
        """Z'W X, (q, p)."""
        chain = {c: block[:, :-1] for c, block in self.system.rhs.items()}
        return RandomVectors(chain, self.system.dense_rhs[:, :-1])

    def rhs(self) -> _Effects:
        """[X Z]'W y."""
        chain = {c: block[:, -1:] for c, block in self.system.rhs.items()}
        dense = self.system.dense_rhs[:, -1:]
        return _Effects(self.system.fixed[:-1, -1:], RandomVectors(chain, dense))

    def times(self, effects: _Effects) -> _Effects:
        """[X Z]'W [X Z] times effects."""
        own = self.fixed_columns
        fixed = self.system.fixed[:-1, :-1] @ effects.fixed + own.gram(effects.random)
        chain = {
            c: np.einsum("spj,pr->srj", block, effects.fixed)
            for c, block in own.chain.items()
        }
        spread = RandomVectors(chain, own.dense @ effects.fixed)
        return _Effects(
            fixed,
            _mapped_vectors(
                np.add, random_gram_product(self.system, effects.random), spread
            ),
        )

    def inverse_diagonal(self) -> _Effects:
        """One over the diagonal, zero where that is zero."""
        blocks = self.system.diagonal.items()
        chain = {c: np.einsum("aaj->aj", block)[:, None] for c, block in blocks}
        random = RandomVectors(chain, np.diag(self.system.dense)[:, None])
        diagonal = _Effects(np.diag(self.system.fixed)[:-1, None], random)
        return _mapped(lambda a: 1.0 / np.where(a > 0, a, np.inf), diagonal)


def _mapped_vectors(
    function: Callable[..., FloatArray], *of: RandomVectors
) -> RandomVectors:
    chain = {c: function(*(v.chain[c] for v in of)) for c in of[0].chain}
    return RandomVectors(chain, function(*(v.dense for v in of)))


def _mapped(function: Callable[..., FloatArray], *of: _Effects) -> _Effects:
    """An elementwise function of effects."""
    random = _mapped_vectors(function, *(e.random for e in of))
    return _Effects(function(*(e.fixed for e in of)), random)


def _plus(effects: _Effects, other: _Effects, times: float) -> _Effects:
    return _mapped(lambda a, b: a + times * b, effects, other)


def _inner(left: _Effects, right: _Effects) -> float:
    fixed = float((left.fixed * right.fixed).sum())
    return fixed + float(left.random.gram(right.random)[0, 0])
