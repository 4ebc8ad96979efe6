"""The integral over the random effects of each level of one grouping factor."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from multilevel.array_types import FloatVector
from multilevel.likelihood.pirls import ConditionalModes, GeneralizedRows
from multilevel.likelihood.quadrature import node_rule


def level_log_integrals(
    rows: GeneralizedRows,
    base: FloatVector,
    modes: ConditionalModes,
    log_dispersion: float,
    n_nodes: int,
) -> FloatVector:
    """Log-likelihood of every level by adaptive quadrature, (J,).

    Parameters
    ----------
    rows : GeneralizedRows
        One grouping factor.
    base : (n,)
        Fixed part of eta, offset included.
    modes : ConditionalModes
        Converged.
    log_dispersion : float
    n_nodes : int
        In each dimension; one gives the Laplace approximation.

    Returns
    -------
    (J,) array, all constants included
    """
    (lam,), (factor,) = modes.factor.lams, rows.layout.rows.factors
    A = modes.factor.products.diagonal[0].transpose(2, 0, 1)
    C = np.linalg.cholesky(lam.T @ A @ lam + np.eye(len(lam)))
    centre = lam.T @ modes.slopes[0]
    rule = node_rule(n_nodes, len(lam))
    heights = np.empty((len(rule.log_weights), centre.shape[1]))
    for height, z, log_weight in zip(
        heights, rule.nodes.T, rule.log_weights, strict=True
    ):
        own = np.broadcast_to(z, C.shape[:2])[..., None]
        turned = np.linalg.solve(C.transpose(0, 2, 1), own)
        u = centre + turned[..., 0].T
        logs, _ = rows.likelihood.density(base + factor.spread(lam @ u), log_dispersion)
        height[:] = factor.index.sums(logs) - 0.5 * (u * u).sum(axis=0) + log_weight
    heights[~np.isfinite(heights)] = -np.inf
    half_log_det = np.log(np.diagonal(C, axis1=1, axis2=2)).sum(axis=1)
    normalizer = factor.index.sums(rows.likelihood.normalizer(log_dispersion))
    return np.asarray(logsumexp(heights, axis=0) - half_log_det + normalizer)
