"""Null distribution of the test of all random effects of a generalized model.

Near a covariance G of zero the likelihood of a row moves by half z'dG z times

    q = f''/f = l'^2 + l'' = r^2 (e^2 - V phi) + r' e,    e = y - mu,  r = mu'/(phi V)

and that of two rows i, j of one level by l'_i l'_j. So the information of the entries
of G is that of a linear model with the weights W = E(-l''), but for what the rows
contribute by themselves, where Var(q) takes the place of 2 W^2; and q is correlated
with l' and with the derivatives in the shapes.

References
----------
Lin (1997), Biometrika 84, 309-326 (score tests of variance components in GLMs).

Held by tests/inference/test_pooled_glm_null.py and
tests/comparison/test_pooled_invariance.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.inference.null_distribution import (
    NullDistribution,
    null_distribution,
)
from multilevel.inference.pooled_cone import PooledCone, pooled_cone
from multilevel.likelihood.families.traits import Family, bind_rows
from multilevel.likelihood.products.entry_products import entry_products
from multilevel.likelihood.products.row_products import (
    cross_products,
    stacked_columns,
)
from multilevel.optimize.common.working_terms import WorkingTerms
from multilevel.optimize.generalized.pooled import shape_information
from multilevel.optimize.generalized.problem import GeneralizedProblem
from multilevel.optimize.linear.problem import level_patterns, working_source


def pooled_glm_null(
    problem: GeneralizedProblem,
    design: ModelDesign,
    eta: FloatVector,
    shapes: FloatVector,
) -> NullDistribution:
    """Null distribution of the test against the pooled model.

    Parameters
    ----------
    problem : GeneralizedProblem
    design : ModelDesign
    eta : (n,)
        Linear predictor of the pooled model.
    shapes : (s,)
        Logarithms of its shape parameters.

    Returns
    -------
    NullDistribution
    """
    family, sizes = problem.family, design.stacked_terms.cone_sizes
    if sizes == (1,):  # settled without a look at the rows
        return null_distribution(lambda: np.eye(1), sizes)
    moments = row_moments(family, eta, design.weights, shapes)
    columns = _working_columns(design, moments.weight)
    information = _information(family, design, eta, shapes, moments, columns)
    return null_distribution(lambda: information, columns.cone.sizes)


@dataclass(frozen=True, slots=True, eq=False)
class _WorkingColumns:
    """The columns of a design in a basis that is well conditioned in given weights.

    Parameters
    ----------
    X : (n, p)
    entries : (n, d)
        d(z'G z) of every row along every direction of the cone.
    cone : PooledCone
    traces : (d, d)
        Twice the information of a linear model with these weights and sigma known.
    """

    X: FloatMatrix
    entries: FloatMatrix
    cone: PooledCone
    traces: FloatMatrix


def _working_columns(design: ModelDesign, weight: FloatVector) -> _WorkingColumns:
    """Here the rows are needed: their own moments weigh each of them by itself."""
    # Weights that have underflowed to zero have no logarithm, and no part in the sums.
    weighted = replace(design, weights=np.maximum(weight, 1e-300))
    source, terms = working_source(weighted), design.stacked_terms
    rows = source.rows()
    products = cross_products(rows, level_patterns(design), terms.factor_of_term)
    working = WorkingTerms(terms=terms, transforms=rows.basis.terms)
    cone = pooled_cone(working, products)
    stacked = stacked_columns(rows, terms.factor_of_term, len(design.factors))
    effects = [
        np.column_stack([column.in_rows(len(weight)) for column in columns])
        for columns in stacked
    ]
    along = [(effects[d.factor] @ d.matrix, effects[d.factor]) for d in cone.directions]
    entries = np.column_stack([(moved * z).sum(axis=1) for moved, z in along])
    traces = entry_products(products, cone.directions).unrestricted[1:, 1:]
    return _WorkingColumns(X=rows.Xy[:, :-1], entries=entries, cone=cone, traces=traces)


@dataclass(frozen=True, slots=True)
class RowMoments:
    """Moments of each row under the pooled model, (n,).

    Parameters
    ----------
    weight : Var(l')
    third : Cov(l', q)
    fourth : Var(q)
    shapes : Cov(q, derivative in each of the shapes), (s, n)
    """

    weight: FloatVector
    third: FloatVector
    fourth: FloatVector
    shapes: FloatMatrix


def row_moments(
    family: Family, eta: FloatVector, weights: FloatVector | None, shapes: FloatVector
) -> RowMoments:
    """Moments of the derivatives of the log-likelihood of each row.

    Parameters
    ----------
    family : Family
    eta : (n,)
    weights : (n,) or None
    shapes : (s,)
        Logarithms of those that are estimated.

    Returns
    -------
    RowMoments
    """
    curve = family.link.curve(eta)
    mean = curve.mean
    prior = np.ones_like(eta) if weights is None else weights
    estimated = np.exp(shapes)
    variance = family.traits.variance(mean, family.shape_values(estimated))
    V, V1, V2 = variance.value, variance.first, variance.second
    phi = family.scale(estimated) / prior
    # Cumulants of an exponential family: each is phi times V times the
    # derivative in mu of the one before. The fourth central moment is the
    # fourth cumulant and 3 second^2.
    second = phi * V
    third = phi**2 * V * V1
    fourth = phi**3 * V * (V1**2 + V * V2)
    r = curve.first / second
    r1 = curve.second / second - curve.first**2 * V1 / (phi * V**2)
    weight = r**2 * second
    # A shape moves q by what it does to the variance of the row.
    moved = np.zeros((len(shapes), len(eta)))
    if variance.in_shapes is not None and len(shapes):
        moved += phi * variance.in_shapes
    for k, shape in enumerate(family.shapes):
        moved[k] += second * shape.is_scale
    return RowMoments(
        weight=weight,
        third=r * (r**2 * third + r1 * second),
        fourth=r**4 * (fourth + 2.0 * second**2)
        + 2.0 * r**2 * r1 * third
        + r1**2 * second,
        shapes=r**2 * moved,
    )


def _information(
    family: Family,
    design: ModelDesign,
    eta: FloatVector,
    shapes: FloatVector,
    moments: RowMoments,
    columns: _WorkingColumns,
) -> FloatMatrix:
    """Information of beta, the shapes and the cone's entries."""
    X, entries, weight = columns.X, columns.entries, moments.weight
    p, d = X.shape[1], entries.shape[1]
    first = p + len(shapes)
    out = np.zeros((first + d, first + d))
    out[:p, :p] = X.T @ (X * weight[:, None])
    out[:p, first:] = 0.5 * X.T @ (entries * moments.third[:, None])
    # The linear model's trace has counted each row with 2 W^2,
    # as for a normal response.
    own = moments.fourth - 2.0 * weight**2
    by_row = 0.25 * entries.T @ (entries * own[:, None])
    out[first:, first:] = columns.traces / 2.0 + by_row
    likelihood = bind_rows(family, design.y, design.weights, design.trials)
    known = shape_information(likelihood, eta, shapes, 1e-4)
    known[np.diag_indices_from(known)] = np.maximum(np.diag(known), 1e-12)
    out[p:first, p:first] = known
    out[p:first, first:] = 0.5 * moments.shapes @ entries
    return np.triu(out) + np.triu(out, 1).T
