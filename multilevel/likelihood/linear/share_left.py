"""How much of the response is left when all effects are fitted freely, roughly.

Held by tests/likelihood/linear/test_huge_ratios.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatVector


@dataclass(frozen=True)
class NormalEquations:
    """[X Z]'W [X Z] as an operator with its diagonal, and [X Z]'W y."""

    times: Callable[[FloatVector], FloatVector]
    diagonal: FloatVector
    rhs: FloatVector


def share_left_of(
    equations: NormalEquations, total: float, *, enough: float, limit: int = 20
) -> float:
    """Residual sum of squares as a share of `total`, by conjugate gradients.

    Ends when another step explains little more.

    Parameters
    ----------
    equations : NormalEquations
    total : float
        Sum of squares of the response.
    enough : float
        A smaller share need not be known any better.
    limit : int
        Of steps.
    """
    if total <= 0:
        return 1.0
    # A column of zeros has no part in the fit, rather than an infinite one.
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
        # By just this each step lowers the sum of squares: it is never computed itself.
        left -= length * slope
        residual -= length * product
        # Where factors hardly touch one another the steps creep on; the share is wanted
        # to an order of magnitude only.
        if left < enough * total or length * slope < 0.01 * left:
            break
    return left / total
