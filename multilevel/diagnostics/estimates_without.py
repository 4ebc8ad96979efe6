"""Estimates without a group: what every way of finding them gives, in one record.

Held by tests/diagnostics/test_group_influence.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.inference.variance_components import (
    VarianceComponents,
    variance_components,
)
from multilevel.optimize.common.fitted_model import FittedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutGroups:
    """Estimates without each of J groups; NaN where there are none.

    Parameters
    ----------
    beta : (J, p)
    covariance : (J, p, p)
        Of beta.
    whole : (p, p)
        The covariance of beta of all groups, found as those were.
    components : (J, c)
        Standard deviations, correlations and sigma, as `component_names` has them.
    excluded : dict
        Position of the group -> why there are no estimates without it.
    """

    beta: FloatMatrix
    covariance: FloatArray
    whole: FloatMatrix
    components: FloatMatrix
    excluded: dict[int, str] = field(default_factory=dict)


def nothing_known(fitted: FittedModel, n_groups: int) -> WithoutGroups:
    """A record of NaN, to be filled."""
    p, c = len(fitted.beta), len(component_names(fitted))
    return WithoutGroups(
        beta=np.full((n_groups, p), np.nan),
        covariance=np.full((n_groups, p, p), np.nan),
        whole=fitted.cov_beta,
        components=np.full((n_groups, c), np.nan),
    )


def component_names(fitted: FittedModel) -> tuple[str, ...]:
    """``sd(...)``, ``cor(...)`` and, of a linear model, ``sigma``."""
    rows = variance_components(fitted).components()
    return tuple(row.name for row in rows)


def component_values(
    components: VarianceComponents, roots: Sequence[FloatMatrix], sigma: float
) -> FloatVector:
    """Their values at other relative roots (k, r) of the terms and another sigma."""
    rows = replace(components, sigma=sigma).components(roots)
    return np.array([row.sdcor for row in rows])


def determinant_ratio(found: WithoutGroups) -> FloatVector:
    """|C_j| / |C|, (J,); no product of variances that could underflow."""
    root = np.linalg.cholesky(found.whole)
    known = np.asarray(np.isfinite(found.covariance).all(axis=(1, 2)))
    relative = np.where(known[:, None, None], found.covariance, np.eye(len(root)))
    relative = np.linalg.solve(root, np.linalg.solve(root, relative).transpose(0, 2, 1))
    return np.where(known, np.linalg.det(relative), np.nan)
