"""What regressions of single levels hold, all levels side by side.

Held by tests/comparison/test_unpooled.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector


@dataclass(frozen=True, slots=True)
class LevelFits:
    """A regression for each of J levels.

    Parameters
    ----------
    params : (p, J)
    unscaled : (p, p, J)
        Covariance matrices of the estimates over the dispersion.
    squares : (J,)
        Residual sums of squares, weighted; Pearson's statistics of generalized models.
    llf : (J,)
        Maximized log-likelihoods, also over the dispersion; infinite where a level is
        fitted without error.
    eta : (n,)
        Linear predictors of the rows.
    failed : dict
        Level -> why it has no estimates.
    """

    params: FloatMatrix
    unscaled: FloatArray
    squares: FloatVector
    llf: FloatVector
    eta: FloatVector
    failed: dict[int, str] = field(default_factory=dict)
