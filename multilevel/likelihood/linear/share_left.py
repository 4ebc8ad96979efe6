"""How much of the response is left when all effects are fitted freely, roughly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.likelihood.elimination.block_solve import (
    RandomVectors,
    random_gram_product,
)
from multilevel.likelihood.elimination.block_system import BlockSystem
from multilevel.likelihood.linear.dense_system import DenseSystem
from multilevel.likelihood.linear.single_factor import RotatedLevels


def share_left(
    prepared: RotatedLevels | BlockSystem | DenseSystem,
    total: float,
    *,
    enough: float,
) -> float:
    """Residual sum of squares of fixed and random effects, as a share of `total`.

    Parameters
    ----------
    prepared : the products, arranged for evaluation
    total : float
        Sum of squares of the response.
    enough : float
        A smaller share need not be known any better.
    """
    if total <= 0:
        return 1.0
    if isinstance(prepared, RotatedLevels):
        within = prepared.within
        beta = np.linalg.lstsq(within[:-1, :-1], within[:-1, -1], rcond=1e-10)[0]
        return float(within[-1, -1] - within[-1, :-1] @ beta) / total
    if isinstance(prepared, DenseSystem):
        equations = _dense_equations(prepared)
    else:
        equations = _block_equations(prepared)
    return _conjugate_gradients(equations, total, enough=enough)


@dataclass(frozen=True)
class _NormalEquations:
    """[X Z]'W [X Z] as an operator with its diagonal, and [X Z]'W y."""

    times: Callable[[FloatVector], FloatVector]
    diagonal: FloatVector
    rhs: FloatVector


def _conjugate_gradients(
    equations: _NormalEquations, total: float, *, enough: float, limit: int = 20
) -> float:
    """Share left when little more is explained by another step."""
    scale = 1.0 / np.where(equations.diagonal > 0, equations.diagonal, np.inf)
    residual, step = equations.rhs.copy(), np.zeros_like(equations.rhs)
    left, slope = total, np.inf
    for _ in range(limit):
        scaled = scale * residual
        old_slope, slope = slope, float(scaled @ residual)
        if slope <= 0:
            break
        step = scaled + slope / old_slope * step
        product = equations.times(step)
        length = slope / float(step @ product)
        left -= length * slope
        residual -= length * product
        if left < enough * total or length * slope < 0.01 * left:
            break
    return left / total


def _dense_equations(system: DenseSystem) -> _NormalEquations:
    ZtX = system.ZtXy[:, :-1]
    matrix = np.block([[system.XytXy[:-1, :-1], ZtX.T], [ZtX, system.ZtZ]])
    rhs = np.concatenate([system.XytXy[:-1, -1], system.ZtXy[:, -1]])
    return _NormalEquations(matrix.__matmul__, np.diag(matrix), rhs)


def _block_equations(system: BlockSystem) -> _NormalEquations:
    n_fixed = len(system.XytXy) - 1
    columns = RandomVectors(
        {c: block[:, :-1] for c, block in system.ZtXy.items()},
        system.ZtXy_rest[:, :-1],
    )
    response = RandomVectors(
        {c: block[:, -1:] for c, block in system.ZtXy.items()},
        system.ZtXy_rest[:, -1:],
    )
    squares = RandomVectors(
        {c: np.einsum("aaj->aj", b)[:, None] for c, b in system.diagonal.items()},
        np.diag(system.dense)[:, None],
    )

    def times(effects: FloatVector) -> FloatVector:
        beta, random = effects[:n_fixed], _unflatten(effects[n_fixed:], response)
        fixed = system.XytXy[:-1, :-1] @ beta + columns.gram(random)[:, 0]
        spread = np.concatenate(
            [
                *(
                    np.einsum("spj,p->sj", b, beta).ravel()
                    for b in columns.chain.values()
                ),
                columns.dense @ beta,
            ]
        )
        own = _flatten(random_gram_product(system, random))
        return np.concatenate([fixed, own + spread])

    return _NormalEquations(
        times,
        np.concatenate([np.diag(system.XytXy)[:-1], _flatten(squares)]),
        np.concatenate([system.XytXy[:-1, -1], _flatten(response)]),
    )


def _flatten(vectors: RandomVectors) -> FloatVector:
    return np.concatenate(
        [*(block.ravel() for block in vectors.chain.values()), vectors.dense.ravel()]
    )


def _unflatten(flat: FloatVector, like: RandomVectors) -> RandomVectors:
    chain, start = {}, 0
    for c, block in like.chain.items():
        chain[c] = flat[start : start + block.size].reshape(block.shape)
        start += block.size
    return RandomVectors(chain, flat[start:].reshape(like.dense.shape))
