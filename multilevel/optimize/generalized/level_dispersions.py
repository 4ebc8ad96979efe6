"""Log-likelihoods of levels, each at its own best dispersion.

Held by tests/comparison/test_unpooled_glm.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.optimize.generalized.level_rows import GeneralizedLevels

_STEPS = 20
_DIFFERENCE = 1e-4  # of log(phi)


def level_log_likelihoods(
    levels: GeneralizedLevels, eta: FloatVector, squares: FloatVector
) -> FloatVector:
    """Maximized over the dispersion of each level, (J,).

    Parameters
    ----------
    levels : GeneralizedLevels
    eta : (n,)
        At the estimates.
    squares : (J,)
        Pearson's statistics; the likelihood is infinite where they are zero.
    """
    if not levels.family.has_scale:
        density, _ = levels.rows.density(eta, levels.shapes)
        return levels.index.sums(density + levels.rows.normalizer(levels.shapes))
    exact = squares <= 0.0
    log_phi = np.log(np.where(exact, 1.0, squares / levels.index.sums(None)))
    for _ in range(_STEPS):
        # By Newton's method: for the normal distribution the start is the solution.
        below, above = (
            _slopes(levels, eta, log_phi + move) for move in (-_DIFFERENCE, _DIFFERENCE)
        )
        curve = (above - below) / (2.0 * _DIFFERENCE)
        step = np.divide(above + below, -2.0 * curve, where=curve < 0, out=0.0 * curve)
        log_phi = log_phi + np.clip(step, -1.0, 1.0)
        if np.abs(step[~exact]).max(initial=0.0) < 1e-7:
            break
    rows = levels.with_dispersions(np.exp(levels.index.spread(log_phi)))
    density, _ = rows.density(eta, levels.shapes)
    llf = levels.index.sums(density + rows.normalizer(levels.shapes))
    return np.where(exact, np.inf, llf)


def _slopes(
    levels: GeneralizedLevels, eta: FloatVector, log_phi: FloatVector
) -> FloatVector:
    """Derivatives of the log-likelihoods in log(phi), (J,)."""
    rows = levels.with_dispersions(np.exp(levels.index.spread(log_phi)))
    return levels.index.sums(rows.shape_density(eta, levels.shapes)[0])
