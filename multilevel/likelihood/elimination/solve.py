"""Solutions of the mixed-model equations from an elimination.

Held by tests/likelihood/elimination/test_eliminate.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.likelihood.algebra.level_blocks import level_gram, level_product
from multilevel.likelihood.elimination.effect_products import sum_by_parent
from multilevel.likelihood.elimination.eliminate import AbsorbedFactor, Elimination
from multilevel.likelihood.elimination.vectors import EffectVectors


def absorb_columns(elimination: Elimination, columns: EffectVectors) -> EffectVectors:
    """Products of r further columns with every factor at its absorption.

    Parameters
    ----------
    elimination : Elimination
    columns : EffectVectors
        Their products with Z before any elimination.
    """
    pattern = elimination.pattern
    current, dense = dict(columns.chain), columns.dense
    for c, step in elimination.absorbed.items():
        # The last of a chain that nothing crosses: nobody is left to tell.
        if not step.upward and step.cross is None:
            break
        KP = level_product(step.K, current[c])
        for b, P in step.upward.items():
            current[b] = current[b] - sum_by_parent(
                level_gram(P, KP), pattern.plan.parents[c, b], pattern.levels[b]
            )
        if step.cross is not None:
            dense = dense - step.cross.transposed_times(KP)
    return EffectVectors(current, dense)


def reduced_products(
    elimination: Elimination, left: EffectVectors, right: EffectVectors
) -> FloatMatrix:
    """What elimination takes off the products of two sets of columns, (r, t)."""
    total = left.dense.T @ elimination.K_dense.times(right.dense)
    for c, step in elimination.absorbed.items():
        KP = level_product(step.K, right.chain[c])
        for s in range(len(KP)):
            total = total + left.chain[c][s] @ KP[s].T
    return np.asarray(total)


def back_substitute(elimination: Elimination, columns: EffectVectors) -> EffectVectors:
    """K = Lam M^-1 Lam' times columns before elimination, given absorbed columns."""
    dense = elimination.K_dense.times(columns.dense)
    solved: dict[int, FloatArray] = {}
    for c in reversed(elimination.pattern.plan.chain):
        step = elimination.absorbed[c]
        rhs = less_known(elimination, c, columns.chain[c], solved, dense)
        solved[c] = level_product(step.K, rhs)
    return EffectVectors(solved, dense)


def less_known(
    elimination: Elimination,
    c: int,
    rhs: FloatArray,
    solved: dict[int, FloatArray],
    dense: FloatMatrix,
) -> FloatArray:
    """rhs - P_ct b_t for the effects b_t that are known already, (S, r, J)."""
    step: AbsorbedFactor = elimination.absorbed[c]
    for b, P in step.upward.items():
        parent = elimination.pattern.plan.parents[c, b]
        rhs = rhs - level_product(P, solved[b][:, :, parent])
    return rhs if step.cross is None else rhs - step.cross.times(dense)


def solve(elimination: Elimination, rhs: Sequence[FloatMatrix]) -> list[FloatMatrix]:
    """K rhs for one vector, (S, J) for each factor."""
    pattern = elimination.pattern
    if len(rhs) == 1:  # of a single factor nothing has to be carried anywhere
        return [level_product(elimination.absorbed[0].K, rhs[0][:, None])[:, 0]]
    columns = EffectVectors.of(pattern, [block[:, None] for block in rhs])
    solved = back_substitute(elimination, absorb_columns(elimination, columns))
    return [block[:, 0] for block in solved.by_factor(pattern)]
