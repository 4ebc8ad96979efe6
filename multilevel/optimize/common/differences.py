"""Derivatives by central differences, of one step or extrapolated to none.

Held by tests/optimize/common/test_differences.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector

_FIRST_STEP = 0.2
"""Of the differences, in units of a parameter's own scale."""

_HALVINGS = 8

_ENOUGH = 1e-9
"""Relative error estimate at which steps are not halved further."""


def central_differences(
    function: Callable[[FloatVector], FloatArray],
    x: FloatVector,
    steps: Iterable[FloatVector],
) -> list[FloatArray]:
    """[f(x + s) - f(x - s)] / 2 for every step s: the slope along s, times its length.

    The error is of third order in the length.
    """
    return [(function(x + step) - function(x - step)) / 2.0 for step in steps]


def difference_hessian(
    gradient: Callable[[FloatVector], FloatVector],
    theta: FloatVector,
    scales: FloatVector,
) -> FloatMatrix:
    """Hessian (m, m) by central differences of a gradient, extrapolated.

    Each column is extrapolated to a step of zero (Ridders), with the steps halved for
    as long as the estimate of its error falls.

    Parameters
    ----------
    gradient : callable
        (m,) -> (m,).
    theta : (m,)
    scales : (m,)
        Step sizes over which the function changes noticeably.

    References
    ----------
    Ridders (1982), Advances in Engineering Software 4, 75-76.
    """
    out = np.empty((len(theta), len(theta)))
    for a, scale in enumerate(scales):
        direction = np.zeros(len(theta))
        direction[a] = scale

        def difference(h: float, along: FloatVector = direction) -> FloatVector:
            (half,) = central_differences(gradient, theta, [h * along])
            # In units of the scales, so that errors of all entries compare.
            return half * scales / h

        out[a] = _ridders(difference)
    out /= np.outer(scales, scales)
    return (out + out.T) / 2.0


def _ridders(difference: Callable[[float], FloatVector]) -> FloatVector:
    """Limit of central differences as the step goes to zero."""
    step = _FIRST_STEP
    row: list[FloatArray] = [_or_nan(difference, step)]
    best, error = row[0], np.inf
    for _ in range(_HALVINGS):
        step /= 2.0
        new: list[FloatArray] = [_or_nan(difference, step)]
        for k, old in enumerate(row):
            power = 4.0 ** (k + 1)
            # The error of a central difference is a series in h^2: each column of the
            # table takes one more term of it off.
            new.append((power * new[k] - old) / (power - 1.0))
            change = max(np.abs(new[-1] - new[-2]).max(), np.abs(new[-1] - old).max())
            if change < error or not np.isfinite(best).all():
                best, error = new[-1], float(np.nan_to_num(change, nan=np.inf))
        size = max(float(np.abs(best).max(initial=0.0)), 1e-300)
        # From here rounding grows as the step shrinks, and no further column helps.
        worse = np.abs(new[-1] - row[-1]).max() > 2.0 * error
        if error <= _ENOUGH * size or (worse and np.isfinite(error)):
            break
        row = new
    return best


def _or_nan(difference: Callable[[float], FloatVector], step: float) -> FloatVector:
    """A difference; NaN where the deviance cannot be evaluated so far away."""
    try:
        return difference(step)
    except np.linalg.LinAlgError:
        return np.full(1, np.nan)
