"""Errors of predictions of a linear model with one grouping factor, by its products.

The conditional covariances of the levels, and what their effects owe to the fixed
columns, are read off the deviance's own evaluation, so that the rows of the fit are not
needed again.  With several factors the effects of the levels that meet in a row are
correlated, for which `prediction_error` eliminates the rows.

Held by tests/prediction/test_prediction_error.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.likelihood.linear.prepared import LikelihoodPoint
from multilevel.optimize.linear.problem import LinearProblem
from multilevel.prediction.prediction_rows import RowsToPredict


def one_factor_variance(
    problem: LinearProblem, point: LikelihoodPoint, rows: RowsToPredict
) -> FloatVector:
    """Variance of the error of every row's linear predictor over sigma^2, (n,).

    Parameters
    ----------
    problem : LinearProblem
        Of the fit; with one grouping factor.
    point : LikelihoodPoint
        Its deviance at the covariance that is taken for the true one.
    rows : RowsToPredict
    """
    basis, (codes,) = problem.basis, rows.codes
    z = np.hstack([c @ T for c, T in zip(rows.columns, basis.terms, strict=True)])
    # Where no effect is used, that of some level counts zero times.
    z, level = np.where(codes[:, None] < 0, 0.0, z), np.maximum(codes, 0)
    (blocks,), (effects,) = point.conditional_blocks(), point.column_effects()
    conditional = np.einsum("ns,stn,nt->n", z, blocks[:, :, level], z)
    moved = basis.fixed.apply_to_contrasts(rows.X[:, basis.order])
    for column, own in zip(z.T, effects[:, :-1], strict=True):
        moved -= column[:, None] * own[:, level].T
    spread = moved @ point.profiled.RX_inverse
    return np.asarray(np.maximum(conditional, 0.0) + np.square(spread).sum(axis=1))
