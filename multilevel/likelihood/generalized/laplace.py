"""The Laplace approximation of the deviance and its exact gradient.

    f = D(u-hat) + log|M|,    M = Lam'Z'WZ Lam + I with the observed weights

With s the leverages z_i'K z_i, t = w's, a = K Z't, e = t - w (Z a) and v = Z'l',

    df/dbeta  = X'(e - 2 l')
    df/dG_k   = sum_j [A - A K A]_jj + sym sum_j ((Z'e)_j - v_j) v_j'
    df/ddelta = -2 sum dl/ddelta + s'dw/ddelta + (Z a)'dl'/ddelta

where delta is the logarithm of a shape parameter. The derivative in the
covariance G = lambda lambda' needs no inverse of lambda, which may be singular.

References
----------
Skaug & Fournier (2006), Comput. Statist. Data Anal. 51, 699-709 (the implicit
derivative of the modes); Bates et al. (2015), J. Stat. Softw. 67(1).

Held by tests/likelihood/generalized/test_laplace.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.likelihood.algebra.covariance_inverse import (
    SINGULAR,
    covariance_inverse,
)
from multilevel.likelihood.elimination.solve import solve
from multilevel.likelihood.elimination.weighted_rows import RowInverse, row_inverse
from multilevel.likelihood.generalized.pirls import ConditionalModes, GeneralizedRows


@dataclass(frozen=True, slots=True)
class ApproximateDeviance:
    """-2 times an approximate log-likelihood, all constants included.

    Parameters
    ----------
    value : float
    modes : ConditionalModes
    shapes : (s,)
    """

    value: float
    modes: ConditionalModes
    shapes: FloatVector


@dataclass(frozen=True, slots=True)
class DevianceSlopes:
    """Derivatives of the approximate deviance.

    Parameters
    ----------
    eta : (n,)
        In the fixed part of each row: X'eta is the derivative in beta.
    lams : one (S, S) for each factor
        In the relative covariance factors.
    shapes : (s,)
    """

    eta: FloatVector
    lams: list[FloatMatrix]
    shapes: FloatVector


def laplace_deviance(
    rows: GeneralizedRows, modes: ConditionalModes, shapes: FloatVector
) -> ApproximateDeviance:
    """f at converged modes."""
    normalizer = float(rows.likelihood.normalizer(shapes).sum())
    value = modes.deviance + modes.elimination.log_det - 2.0 * normalizer
    return ApproximateDeviance(value, modes, shapes)


def laplace_slopes(rows: GeneralizedRows, point: ApproximateDeviance) -> DevianceSlopes:
    """Exact gradient of f."""
    modes, shapes = point.modes, point.shapes
    inverse = row_inverse(rows.layout, modes.elimination)
    s = inverse.leverages
    # log|M| changes by the sum of s dw, and w changes with eta: directly, by t, and
    # through the modes, which one more solve carries.
    t = rows.likelihood.third(modes.eta, shapes) * s
    effects = rows.layout.rows
    a = solve(modes.elimination, effects.collect(t))
    fitted = effects.spread(a)
    e = t - modes.terms.weight * fitted
    gammas = _covariance_slopes(rows, modes, inverse, e)
    # dG = dlam lam' + lam dlam', and the slope in G is symmetric.
    lams = [
        2.0 * g @ lam for g, lam in zip(gammas, modes.elimination.lams, strict=True)
    ]
    terms = rows.likelihood.shape_terms(modes.eta, shapes)
    in_shapes = terms.weight @ s + terms.score @ fitted - 2.0 * terms.total
    in_eta = e - 2.0 * modes.terms.score
    return DevianceSlopes(in_eta, lams, in_shapes)


def _covariance_slopes(
    rows: GeneralizedRows,
    modes: ConditionalModes,
    inverse: RowInverse,
    e: FloatVector,
) -> list[FloatMatrix]:
    """df/dG for each factor, (S, S)."""
    gammas = []
    by_factor = zip(
        rows.layout.rows.collect(e),
        _steady_slopes(modes),
        inverse.shrunken,
        strict=True,
    )
    for c, v, shrunken in by_factor:
        between = (c - v) @ v.T
        gammas.append(shrunken.sum(axis=2) + 0.5 * (between + between.T))
    return gammas


def _steady_slopes(modes: ConditionalModes) -> list[FloatMatrix]:
    """v: G^-1 b where the rows know more than the prior, elsewhere Z'l'.

    They are equal at the modes. The first has less rounding in huge sums, the second
    holds where G has no inverse, and before the modes of a tiny G have been found.
    """
    elimination = modes.elimination
    by_factor = zip(
        modes.slopes,
        modes.gradient,
        elimination.lams,
        elimination.products.diagonal,
        strict=True,
    )
    return [
        slopes if _rows_know_more(diagonal, lam) else gradient
        for slopes, gradient, lam, diagonal in by_factor
    ]


def _rows_know_more(diagonal: FloatArray, lam: FloatMatrix) -> bool:
    if len(lam) == 1:
        variance = float(lam[0, 0]) ** 2
        return bool(variance > SINGULAR and variance * diagonal.sum() > diagonal.size)
    if covariance_inverse(lam) is None:
        return False
    information = np.einsum("aaj->", diagonal) / diagonal.shape[2]
    return bool(information * (lam**2).sum() > len(lam) ** 2)
