"""A start for theta from moments of the cross-products.

The sums of squares of Z'y have expectations that are linear in the variances; solving
for them costs no evaluation of the deviance (MINQUE with weights of zero).

References
----------
Rao (1971), J. Multivariate Analysis 1, 257-275; Searle, Casella & McCulloch (1992),
Variance Components, section 11.3.

Held by tests/optimize/linear/test_starting_values.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.likelihood.products.cross_products import CrossProducts


def _moment_equations(
    products: CrossProducts,
) -> tuple[FloatMatrix, FloatVector]:
    """Coefficients and right-hand side for (variance of each effect, sigma^2)."""
    sizes = [block.shape[0] for block in products.diagonal]
    ends = np.cumsum([0, *sizes])
    total = int(ends[-1])
    n_fixed = len(products.XytXy) - 1
    matrix, rhs = np.zeros((total + 1, total + 1)), np.zeros(total + 1)
    for k, block in enumerate(products.diagonal):
        own = slice(ends[k], ends[k + 1])
        fixed = products.ZtXy[k][:, :-1]
        # What the projection off X takes: with X'WX = n I it is a sum of squares.
        removed = (fixed**2).sum(axis=(1, 2)) / products.n_rows
        # tr(Z_a Z_a'Z_b Z_b') as sums of squares of the blocks: E(y'Z_a Z_a'y) is
        # linear in the variances with these coefficients.
        matrix[own, own] = (block**2).sum(axis=2)
        matrix[own, -1] = np.einsum("aaj->a", block) - removed
        rhs[own] = (products.ZtXy[k][:, -1] ** 2).sum(axis=1)
    for (k, m), pair in products.pairs.items():
        cross = (pair.blocks**2).sum(axis=2)
        matrix[ends[k] : ends[k + 1], ends[m] : ends[m + 1]] = cross
        matrix[ends[m] : ends[m + 1], ends[k] : ends[k + 1]] = cross.T
    matrix[-1, :-1] = matrix[:-1, -1]
    matrix[-1, -1] = products.n_rows - n_fixed
    rhs[-1] = products.XytXy[-1, -1]
    return matrix, rhs


def relative_variances(products: CrossProducts) -> list[FloatVector]:
    """Variance of each effect over the residual variance, (S,) for each factor.

    Kept away from zero, which is a stationary point of the deviance whatever the data.
    """
    matrix, rhs = _moment_equations(products)
    # Rows and columns of like size: the equations of a factor of many levels would hide
    # those of one of few from the cut at 1e-10.
    scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    solution = (
        scale
        * np.linalg.lstsq(matrix * np.outer(scale, scale), rhs * scale, rcond=1e-10)[0]
    )
    # Moments may come out negative, above all with few levels: the start must be a
    # covariance, whatever the data.
    sigma2 = max(solution[-1], 1e-3 * rhs[-1] / products.n_rows, 1e-300)
    variances = []
    start = 0
    for block in products.diagonal:
        size = len(block)
        information = np.einsum("aaj->a", block) / block.shape[2]
        least = 0.2 / np.maximum(information, 1e-300)
        variances.append(np.maximum(solution[start : start + size] / sigma2, least))
        start += size
    return variances


def starting_theta(products: CrossProducts, terms: StackedTerms) -> FloatVector:
    """theta (m,) of the working columns, without correlations."""
    variances = relative_variances(products)
    pieces = [
        structure.start(variances[factor][block])
        for structure, factor, block in zip(
            terms.structures, terms.factor_of_term, terms.blocks, strict=True
        )
    ]
    return np.concatenate(pieces)
