"""Variance of the linear predictor over the rows: its fixed part, its random effects.

The fixed part is the sample variance of X beta. That of a grouping factor is the mean
over the rows of z'Gz, which for random intercepts alone is their variance, and with
random slopes does not depend on where their columns have their origin.

References
----------
Johnson (2014), Methods Ecol. Evol. 5, 944-946 (random slopes); Snijders & Bosker
(2012), Multilevel Analysis, 2nd ed., section 7.2.

Held by tests/diagnostics/test_explained_variance.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.diagnostics.row_shares import row_counts, row_shares
from multilevel.inference.variance_parameters import VarianceParameters
from multilevel.optimize.common.fitted_model import FittedModel


def fixed_variance(fitted: FittedModel) -> tuple[float, FloatVector]:
    """Sample variance of X beta over the rows, and its derivatives in beta (p,).

    The offset is no part of it: it is not estimated.
    """
    design, shares = fitted.design, row_shares(fitted)
    n = float(row_counts(fitted).sum())
    sample = n / (n - 1.0) if n > 1.0 else 1.0
    part = design.X @ fitted.beta
    centred = part - shares @ part
    weighted = sample * shares * centred
    return float(weighted @ centred), np.asarray(2.0 * (weighted @ design.X))


def random_variances(
    fitted: FittedModel, shares: FloatVector | None = None
) -> FloatVector:
    """Mean of z'Gz over the rows, by grouping factor, (factors,).

    Parameters
    ----------
    fitted : FittedModel
    shares : (n,), optional
        How much each row counts; `row_shares` by default.
    """
    roots = working_roots(fitted, fitted.effect_factors)
    by_term = [
        float(np.einsum("ab,ac,bc->", moment, root, root))
        for moment, root in zip(second_moments(fitted, shares), roots, strict=True)
    ]
    return by_factor(fitted, by_term)


def random_variance_slopes(
    fitted: FittedModel, parameters: VarianceParameters
) -> FloatMatrix:
    """Derivatives (factors, m) of `random_variances`, relative to sigma^2, in theta."""
    roots = working_roots(fitted, parameters.roots)
    columns: list[FloatMatrix] = []
    described = zip(
        fitted.design.terms,
        second_moments(fitted),
        roots,
        working_moves(fitted, parameters.moves),
        strict=True,
    )
    for term, moment, root, moves in described:
        own = np.zeros((len(fitted.design.factors), len(moves)))
        own[term.factor_index] = 2.0 * np.einsum("ab,mac,bc->m", moment, moves, root)
        columns.append(own)
    empty = np.zeros((len(fitted.design.factors), 0))
    return np.hstack([empty, *columns])


def working_columns(fitted: FittedModel) -> list[FloatMatrix]:
    """Random columns (n, k) of each term in which no origin costs digits."""
    transforms = fitted.problem.working_terms.transforms
    return [
        np.asarray(term.columns @ T)
        for term, T in zip(fitted.design.terms, transforms, strict=True)
    ]


def working_roots(
    fitted: FittedModel, roots: Sequence[FloatMatrix]
) -> list[FloatMatrix]:
    """Square roots (k, r) of covariances of the user's effects, for those columns."""
    transforms = fitted.problem.working_terms.transforms
    solved = zip(transforms, roots, strict=True)
    return [np.asarray(np.linalg.solve(T, root)) for T, root in solved]


def working_moves(fitted: FittedModel, moves: Sequence[FloatArray]) -> list[FloatArray]:
    """The same of derivatives (m, k, r) of such roots."""
    transforms = fitted.problem.working_terms.transforms
    solved = zip(transforms, moves, strict=True)
    return [np.asarray(np.linalg.solve(T[None], move)) for T, move in solved]


def second_moments(
    fitted: FittedModel, shares: FloatVector | None = None
) -> list[FloatMatrix]:
    """Mean over the rows of z z' of each term's working columns, (k, k)."""
    weights = row_shares(fitted) if shares is None else shares
    return [z.T @ (weights[:, None] * z) for z in working_columns(fitted)]


def by_factor(fitted: FittedModel, by_term: Sequence[float]) -> FloatVector:
    """Sums over the terms of each grouping factor, (factors,)."""
    positions = [term.factor_index for term in fitted.design.terms]
    n_factors = len(fitted.design.factors)
    total = np.zeros(n_factors)
    np.add.at(total, positions, by_term)
    return total
