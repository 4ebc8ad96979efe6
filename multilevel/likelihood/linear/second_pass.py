"""Cross-products that stay accurate when random effects explain nearly everything.

Then ``y'V0^-1 y`` is a small difference of large sums.  The rows are walked over again:
an estimate of the fixed effects is taken off the response, and estimates of the random
effects off every fixed column and the response, so that the sums are small themselves.
Neither changes the likelihood, so rough estimates will do.

Held by tests/likelihood/linear/test_huge_ratios.py and
tests/likelihood/linear/test_dense_likelihood.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.linear.evaluation import prepare_products
from multilevel.likelihood.linear.prepared import LikelihoodPoint, Prepared
from multilevel.likelihood.products.cross_products import CrossProducts, SecondPass
from multilevel.likelihood.products.level_patterns import FactorPatterns
from multilevel.likelihood.products.row_products import (
    cross_products,
    source_products,
    stacked_columns,
)
from multilevel.likelihood.rows.row_source import RowSource
from multilevel.likelihood.rows.working_rows import (
    WorkingBasis,
    WorkingColumn,
    WorkingRows,
)

CANCELLATION = 1e-3
"""Share of the response's squares left by all effects that calls for a second pass."""
_SD_RATIOS = (30.0, 1e3)
"""Each estimate takes some digits off, which makes the next accurate enough."""


def accurate_products(
    source: RowSource, patterns: FactorPatterns, factor_of_term: Sequence[int]
) -> tuple[WorkingBasis, CrossProducts, Prepared]:
    """Products of the rows, by a second pass over them where that saves digits.

    Returns
    -------
    basis : WorkingBasis
        That goes with the response that the products are of.
    products : CrossProducts
    prepared : the same, arranged for elimination
    """
    products = source_products(source, patterns, factor_of_term)
    prepared = prepare_products(products)
    return second_pass_if_needed(source, patterns, factor_of_term, products, prepared)


def second_pass_if_needed(
    source: RowSource,
    patterns: FactorPatterns,
    factor_of_term: Sequence[int],
    products: CrossProducts,
    prepared: Prepared,
) -> tuple[WorkingBasis, CrossProducts, Prepared]:
    """What single-pass products of these rows become, as `accurate_products` gives it.

    They are returned as they are unless the effects explain nearly all of the response.
    """
    if prepared.share_left(enough=CANCELLATION) > CANCELLATION:
        return source.basis, products, prepared
    rows = source.rows()
    reached = source.basis, products, prepared
    sizes = [len(block) for block in products.diagonal]
    guesses = [[ratio * np.eye(size) for size in sizes] for ratio in _SD_RATIOS]
    try:
        # Anew, as full matrices up to more effects: their triangular solves keep digits
        # that inverses of blocks lose.
        arranged = prepare_products(products, for_second_pass=True)
        for lams in guesses:
            point = arranged.point(lams, reml=False)
            rows, products = _second_pass(rows, point, patterns, factor_of_term)
            arranged = prepare_products(products)
            reached = rows.basis, products, arranged
        # Where effects vary in few directions only, the fixed effects must be right in
        # the others: so last with covariances near the estimates.
        lams = covariance_roots(arranged.point(guesses[-1], reml=False))
        point = arranged.point(lams, reml=False)
        rows, products = _second_pass(rows, point, patterns, factor_of_term)
        reached = rows.basis, products, prepare_products(products)
    except np.linalg.LinAlgError:  # what has been reached must do
        pass
    return reached


def covariance_roots(point: LikelihoodPoint) -> list[FloatMatrix]:
    """Square roots (S, S) of relative covariances, from random effects, by factor.

    A step of the EM algorithm. From a large start it is all but the estimate where
    random effects explain nearly all of the response, which moments miss by far.

    References
    ----------
    Laird & Ware (1982), Biometrics 38, 963-974.
    """
    roots = []
    for b, blocks in zip(point.modes(), point.conditional_blocks(), strict=True):
        squares = b @ b.T / point.profiled.sigma2
        covariance = (squares + blocks.sum(axis=2)) / b.shape[1]
        values, vectors = np.linalg.eigh(covariance)
        # Any square root will do; a triangle would need a regular matrix.
        roots.append(vectors * np.sqrt(np.maximum(values, 0.0)))
    return roots


def _second_pass(
    rows: WorkingRows,
    point: LikelihoodPoint,
    patterns: FactorPatterns,
    factor_of_term: Sequence[int],
) -> tuple[WorkingRows, CrossProducts]:
    """The rows less X beta, their products, and those of the rows less all effects."""
    rows = _without_fixed_part(rows, point.profiled.beta)
    products = cross_products(rows, patterns, factor_of_term)
    left = _less_effects(rows, patterns, factor_of_term, point.column_effects())
    return rows, replace(products, second_pass=left)


def _without_fixed_part(rows: WorkingRows, beta: FloatVector) -> WorkingRows:
    """The response less X beta, which the basis adds to the estimates."""
    Xy = rows.Xy.copy(order="F")
    Xy[:, -1] -= Xy[:, :-1] @ beta
    basis = rows.basis
    fit = basis.response_fit + basis.response_scale * beta
    return replace(rows, Xy=Xy, basis=replace(basis, response_fit=fit))


def _less_effects(
    rows: WorkingRows,
    patterns: FactorPatterns,
    factor_of_term: Sequence[int],
    effects: tuple[FloatArray, ...],
) -> SecondPass:
    """Products of [X y] less Z times the effects."""
    left = _rows_less_effects(rows, patterns, factor_of_term, effects)
    # Keys tell columns apart; those with effects off are no longer those of the terms.
    first = rows.Xy.shape[1]
    random = tuple(
        tuple(replace(column, key=first + column.key) for column in term)
        for term in rows.random
    )
    less = replace(rows, Xy=left, constant=0.0, random=random)
    products = cross_products(less, patterns, factor_of_term)
    return SecondPass(effects, products.ZtXy, products.XytXy)


def _rows_less_effects(
    rows: WorkingRows,
    patterns: FactorPatterns,
    factor_of_term: Sequence[int],
    effects: tuple[FloatArray, ...],
) -> FloatMatrix:
    left = rows.Xy.copy(order="F")
    stacked = stacked_columns(rows, factor_of_term, len(effects))
    for columns, codes, own in zip(stacked, patterns.codes, effects, strict=True):
        for column, effect in zip(columns, own, strict=True):
            for r in range(left.shape[1]):
                left[:, r] -= _column_times(column, effect[r][codes])
    return left


def _column_times(column: WorkingColumn, effect: FloatVector) -> FloatVector:
    return effect * (column.constant if column.values is None else column.values)
