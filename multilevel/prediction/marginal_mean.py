"""Means of the response with normal random effects integrated out.

    E g^-1(eta + e),   e ~ N(0, v)

by a closed form where there is one, else by the trapezoidal rule, which converges
geometrically for functions that are analytic around the real line.

References
----------
Zeger, Liang & Albert (1988), Biometrics 44, 1049-1060 (closed forms); Trefethen &
Weideman (2014), SIAM Review 56, 385-458 (the trapezoidal rule).

Held by tests/prediction/test_marginal_mean.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.errors import FitError
from multilevel.likelihood.families.link_curves import MarginalMean
from multilevel.likelihood.families.links import InverseLink

REACH = 9.0
"""Standard deviations on both sides that are integrated over."""

MAX_NODES = 4_001

CHUNK = 200_000
"""Rows times nodes that are worked on at once."""


def marginal_mean(
    link: InverseLink, eta: FloatVector, variance: FloatVector
) -> MarginalMean:
    """Integrate normal random effects out of the mean.

    Parameters
    ----------
    link : InverseLink
    eta : (n,)
        Fixed part of the linear predictor, offset included.
    variance : (n,)
        Variance of z'b for each row.

    Raises
    ------
    FitError
        If the link's mean has no expectation under a normal distribution.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.likelihood.families.links import LINKS
    >>> from multilevel.prediction.marginal_mean import marginal_mean
    >>> marginal_mean(LINKS["log"], np.zeros(1), np.ones(1)).mean.round(4)
    array([1.6487])
    """
    if link.marginal is not None:
        return link.marginal(eta, variance)
    if not link.is_analytic and (variance > 0.0).any():
        raise FitError(
            f"the mean of the {link.name} link has no expectation over normal random "
            'effects: use kind="response" with random="none" or "all"'
        )
    return _integrated(link, eta, variance)


def _integrated(
    link: InverseLink, eta: FloatVector, variance: FloatVector
) -> MarginalMean:
    sd = np.sqrt(variance)
    # The integrand is analytic within 1 / sd of the real line, in units of sd.
    # The trapezoidal rule errs by exp(-2 pi width / step): 37 is -log of rounding.
    step = min(0.5, 2.0 * np.pi / (37.0 * max(float(sd.max(initial=0.0)), 1e-3)))
    n_nodes = min(2 * int(np.ceil(REACH / step)) + 1, MAX_NODES)
    nodes = np.linspace(-REACH, REACH, n_nodes)
    weights = np.exp(-0.5 * nodes**2)
    # By their sum, not by its limit: constants are then reproduced exactly.
    weights /= weights.sum()
    mean, slope = np.empty_like(eta), np.empty_like(eta)
    rows = max(1, CHUNK // n_nodes)
    for first in range(0, len(eta), rows):
        part = slice(first, first + rows)
        at: FloatMatrix = eta[part, None] + sd[part, None] * nodes
        curve = link.curve(at)
        mean[part], slope[part] = curve.mean @ weights, curve.first @ weights
    return MarginalMean(mean, slope)
