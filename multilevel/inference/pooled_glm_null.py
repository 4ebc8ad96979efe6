"""Null distribution of the test of all random effects of a generalized model.

Near a covariance G of zero the likelihood of a row moves by half z'dG z times

    q = f''/f = l'^2 + l'' = r^2 (e^2 - V phi) + r' e,    e = y - mu,  r = mu'/(phi V)

and that of two rows i, j of one level by l'_i l'_j. So the information of the entries
of G is that of a linear model with the weights W = E(-l''), but for what the rows
contribute by themselves, where Var(q) takes the place of 2 W^2; and q is correlated
with l' and with the derivative in the dispersion.

References
----------
Lin (1997), Biometrika 84, 309-326 (score tests of variance components in GLMs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector, IntVector
from multilevel.design.model_design import ModelDesign
from multilevel.inference.chi_bar_square import (
    ChiBarSquare,
    cone_mixture,
    efficient_information,
)
from multilevel.likelihood.families.traits import Family, bind_rows
from multilevel.likelihood.products.null_information import (
    cone_blocks,
    null_information,
)
from multilevel.optimize.generalized.problem import GeneralizedProblem


def pooled_glm_null(
    problem: GeneralizedProblem,
    design: ModelDesign,
    eta: FloatVector,
    dispersion: float,
) -> ChiBarSquare:
    """Null distribution of the test against the pooled model.

    Parameters
    ----------
    problem : GeneralizedProblem
    design : ModelDesign
    eta : (n,)
        Linear predictor of the pooled model.
    dispersion : float
        Its phi or size.

    Returns
    -------
    ChiBarSquare
    """
    family = problem.family
    moments = row_moments(family, eta, design.weights, dispersion)
    blocks, sizes = cone_blocks(design_terms(design), moments.weight)
    # Half and half whatever the information is: it need not be computed.
    if sizes == [1]:
        return cone_mixture(np.eye(1), sizes)
    entries = _entry_columns(blocks)
    information = _information(
        family, design, eta, dispersion, moments, blocks, entries
    )
    n_nuisance = len(information) - entries.shape[1]
    return cone_mixture(efficient_information(information, n_nuisance), sizes)


def design_terms(design: ModelDesign) -> list[tuple[IntVector, FloatMatrix, bool]]:
    """Codes, columns and whether the effects are correlated, of each random term."""
    return [
        (
            design.factors[term.factor_index].codes,
            term.columns,
            term.structure == "us",
        )
        for term in design.terms
    ]


def _entry_columns(blocks: Sequence[tuple[IntVector, FloatMatrix]]) -> FloatMatrix:
    """d(z'G z) of every row in every entry of every G, (n, entries)."""
    return np.column_stack(
        [
            columns[:, r] * columns[:, c] * (1.0 if r == c else 2.0)
            for _, columns in blocks
            for c in range(columns.shape[1])
            for r in range(c, columns.shape[1])
        ]
    )


@dataclass(frozen=True, slots=True)
class RowMoments:
    """Moments of each row under the pooled model, (n,).

    Parameters
    ----------
    weight : Var(l')
    third : Cov(l', q)
    fourth : Var(q)
    dispersion : Cov(q, derivative in the log dispersion)
    """

    weight: FloatVector
    third: FloatVector
    fourth: FloatVector
    dispersion: FloatVector


def row_moments(
    family: Family, eta: FloatVector, weights: FloatVector | None, dispersion: float
) -> RowMoments:
    """Moments of the derivatives of the log-likelihood of each row.

    Parameters
    ----------
    family : Family
    eta : (n,)
    weights : (n,) or None
    dispersion : float
        phi or size; ignored where the family fixes it.

    Returns
    -------
    RowMoments
    """
    curve = family.link.curve(eta)
    mean = curve.mean
    prior = np.ones_like(eta) if weights is None else weights
    value = dispersion if family.known_shape is None else family.known_shape
    variance = family.traits.variance(mean, value)
    V, V1, V2 = variance.value, variance.first, variance.second
    phi = family.scale(dispersion) / prior
    # Cumulants of an exponential family: each is phi times V times the
    # derivative in mu of the one before. The fourth central moment is the
    # fourth cumulant and 3 second^2.
    second = phi * V
    third = phi**2 * V * V1
    fourth = phi**3 * V * (V1**2 + V * V2)
    r = curve.first / second
    r1 = curve.second / second - curve.first**2 * V1 / (phi * V**2)
    weight = r**2 * second
    in_dispersion = weight
    if variance.in_log_size is not None:
        in_dispersion = r**2 * variance.in_log_size * phi
    return RowMoments(
        weight,
        r * (r**2 * third + r1 * second),
        r**4 * (fourth + 2.0 * second**2) + 2.0 * r**2 * r1 * third + r1**2 * second,
        in_dispersion,
    )


def _information(
    family: Family,
    design: ModelDesign,
    eta: FloatVector,
    dispersion: float,
    moments: RowMoments,
    blocks: Sequence[tuple[IntVector, FloatMatrix]],
    entries: FloatMatrix,
) -> FloatMatrix:
    """Information of beta, the log dispersion if estimated, and the entries of G."""
    X, weight = design.X, moments.weight
    p, d = X.shape[1], entries.shape[1]
    first = p + int(family.has_dispersion)
    out = np.zeros((first + d, first + d))
    out[:p, :p] = X.T @ (X * weight[:, None])
    out[:p, first:] = 0.5 * X.T @ (entries * moments.third[:, None])
    linear = null_information(blocks, X, weight, reml=False)[1:, 1:]
    # The linear model's trace has counted each row with 2 W^2,
    # as for a normal response.
    own = moments.fourth - 2.0 * weight**2
    out[first:, first:] = linear + 0.25 * entries.T @ (entries * own[:, None])
    if family.has_dispersion:
        likelihood = bind_rows(family, design.y, design.weights, design.trials)
        at, step = np.log(dispersion), 1e-4
        slopes = [likelihood.dispersion(eta, at + s).total for s in (step, -step)]
        out[p, p] = max((slopes[1] - slopes[0]) / (2.0 * step), 1e-12)
        out[p, first:] = 0.5 * entries.T @ moments.dispersion
    return np.triu(out) + np.triu(out, 1).T
