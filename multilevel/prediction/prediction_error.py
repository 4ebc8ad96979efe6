"""Standard errors of linear predictors, random effects included.

Given theta, with K the conditional covariance of the effects b and W the information
of each row, the error of x'beta + z'b is

    z'(b^ - b | beta) + (x - (K Z'W X)'z)'(beta^ - beta)

whose two parts are independent: the variance is z'K z plus the quadratic form of the
second part in the covariance of beta^. It is what the mixed-model equations give.

References
----------
Henderson (1975), Biometrics 31, 423-447; Booth & Hobert (1998), JASA 93, 262-272.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from multilevel.array_types import FloatMatrix, FloatVector, IntVector
from multilevel.covariance.triangular import lower_factor
from multilevel.design.model_design import ModelDesign
from multilevel.errors import FitError
from multilevel.likelihood.elimination.eliminate import eliminate
from multilevel.likelihood.elimination.solve import solve
from multilevel.likelihood.elimination.weighted_rows import (
    effect_layout,
    row_inverse,
    weighted_products,
)
from multilevel.likelihood.rows.column_basis import orthonormal_basis
from multilevel.likelihood.rows.effect_rows import EffectRows, FactorRows, LevelIndex
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.prediction.one_factor_variance import one_factor_variance
from multilevel.prediction.prediction_rows import RowsToPredict


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedCovariance:
    """What a fit knows about its effects.

    Parameters
    ----------
    information : (n,)
        Of each row of the fit in its linear predictor: w / sigma^2 for a linear model.
    factors : one (k, k) for each term
        Cov(b) = F F', in squared units of the linear predictor.
    root : (p, p)
        Square root of the covariance of the fixed effects: products with it lose no
        digits to a far origin of the columns.
    """

    information: FloatVector
    factors: tuple[FloatMatrix, ...]
    root: FloatMatrix

    @staticmethod
    def of(fitted: FittedModel) -> FittedCovariance:
        """At the estimates."""
        return FittedCovariance(
            information=fitted.row_information(),
            factors=fitted.effect_factors,
            root=fitted.fixed_root,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedMeans:
    """Linear predictors of rows, and variances of their errors.

    Parameters
    ----------
    rows : RowsToPredict
    eta : (n,)
        NaN where something is missing.
    variance : (n,)
        Of the error of the linear predictor.
    spread : (n,)
        The same with the random effects whose estimates are not used.
    """

    rows: RowsToPredict
    eta: FloatVector
    variance: FloatVector
    spread: FloatVector


def predicted_means(fitted: FittedModel, rows: RowsToPredict) -> PredictedMeans:
    """Linear predictors of rows at the estimates.

    Raises
    ------
    FitError
        If the modes of the random effects are no maximum.
    """
    design, covariance = fitted.design, FittedCovariance.of(fitted)
    try:
        variance = _variance(fitted, covariance, rows)
    except np.linalg.LinAlgError:
        # The observed information of a row may be negative; that of all rows together
        # with the distribution of the effects is not, at the modes.
        raise FitError(
            "the modes of the random effects are no maximum of their distribution, so "
            "that predictions have no standard errors; the fit did not converge: see "
            'result.optimization, or use predict(), or random="none"'
        ) from None
    return PredictedMeans(
        rows=rows,
        eta=rows.linear_predictor(fitted),
        variance=variance,
        spread=variance + unused_variance(design, covariance, rows),
    )


def _variance(
    fitted: FittedModel, covariance: FittedCovariance, rows: RowsToPredict
) -> FloatVector:
    """Variance of the error at the estimates, (n,)."""
    if isinstance(fitted, LinearFittedModel) and len(fitted.design.factors) == 1:
        relative = one_factor_variance(fitted.problem, fitted.point(), rows)
        return np.asarray(fitted.scale * relative)
    return prediction_variance(fitted.design, covariance, rows)


def fixed_variance(rows: FloatMatrix, root: FloatMatrix) -> FloatVector:
    """Var(x'beta^) of every row, (n,)."""
    spread = rows @ root
    return np.asarray(np.einsum("ij,ij->i", spread, spread))


def unused_variance(
    design: ModelDesign, covariance: FittedCovariance, rows: RowsToPredict
) -> FloatVector:
    """Variance of the random effects whose estimates are not used, (n,)."""
    total = np.zeros(len(rows.X))
    for term, columns, factor in zip(
        design.terms, rows.columns, covariance.factors, strict=True
    ):
        unused = rows.codes[term.factor_index] < 0
        total[unused] += np.square(columns[unused] @ factor).sum(axis=1)
    return total


def prediction_variance(
    design: ModelDesign, covariance: FittedCovariance, rows: RowsToPredict
) -> FloatVector:
    """Variance of the error of every row's linear predictor, (n,).

    The rows of the fit are eliminated again, together with those to predict: two levels
    that meet in a row need not have met in the fit, and the cross-products of a linear
    model hold no more than the pairs that did.

    Parameters
    ----------
    design : ModelDesign
        Of the fit.
    covariance : FittedCovariance
    rows : RowsToPredict

    Returns
    -------
    (n,) array
        The uncertainty of theta is left out.
    """
    if all((codes < 0).all() for codes in rows.codes):
        return fixed_variance(rows.X, covariance.root)
    n = len(design.y)
    # The new rows join those of the fit with no weight, so that one elimination finds
    # the leverages of all, whatever the combination of levels.
    effects, lams = _in_working_columns(
        _stacked_rows(design, rows), _stacked_factors(design, covariance.factors), n
    )
    layout = effect_layout(effects)
    nothing = np.zeros(len(rows.X))
    weights = np.concatenate([covariance.information, nothing])
    elimination = eliminate(weighted_products(layout, weights), lams)
    # z'K z of all rows at once: their levels meet in the
    # elimination as those of the fit.
    conditional = row_inverse(layout, elimination).leverages[n:]
    # x less what the modes take up of it: (K Z'W X)'z, by a
    # solve for each fixed column.
    moved = rows.X.copy()
    for j, column in enumerate(design.X.T):
        weighted = np.concatenate([covariance.information * column, nothing])
        moved[:, j] -= effects.spread(solve(elimination, effects.collect(weighted)))[n:]
    return np.maximum(conditional, 0.0) + fixed_variance(moved, covariance.root)


def _stacked_rows(design: ModelDesign, rows: RowsToPredict) -> EffectRows:
    """Random effects of the rows of the fit, then of the rows to predict."""
    filled = _filled_codes(design, rows)
    factors = []
    for position, factor in enumerate(design.factors):
        used = (rows.codes[position] >= 0).astype(float)
        columns: list[FloatVector | None] = []
        for term, new in zip(design.terms, rows.columns, strict=True):
            if term.factor_index == position:
                columns += [
                    np.concatenate([own, np.where(used > 0, theirs, 0.0)])
                    for own, theirs in zip(term.columns.T, new.T, strict=True)
                ]
        codes = np.concatenate([factor.codes, filled[position]])
        index = LevelIndex(codes, len(factor.levels))
        factors.append(FactorRows(index, tuple(columns)))
    return EffectRows(tuple(factors))


def _filled_codes(design: ModelDesign, rows: RowsToPredict) -> list[IntVector]:
    """Codes without gaps, filled from a row of the fit that shares a level.

    What is nested in the fit stays nested, which keeps the elimination cheap.
    """
    model = np.zeros(len(rows.X), dtype=np.intp)
    # The finest factor last: a row of its level has the right levels of all above it.
    order = np.argsort([len(factor.levels) for factor in design.factors])
    for position in order:
        codes = rows.codes[position]
        one_row = np.empty(len(design.factors[position].levels), dtype=np.intp)
        one_row[design.factors[position].codes] = np.arange(len(design.y))
        model = np.where(codes >= 0, one_row[codes], model)
    return [
        np.where(codes >= 0, codes, factor.codes[model])
        for codes, factor in zip(rows.codes, design.factors, strict=True)
    ]


def _stacked_factors(
    design: ModelDesign, factors: Sequence[FloatMatrix]
) -> list[FloatMatrix]:
    """Block-diagonal covariance factors by grouping factor."""
    stacked = []
    for position in range(len(design.factors)):
        own = [
            factor
            for term, factor in zip(design.terms, factors, strict=True)
            if term.factor_index == position
        ]
        stacked.append(np.asarray(block_diag(*own), dtype=float))
    return stacked


def _in_working_columns(
    effects: EffectRows, lams: Sequence[FloatMatrix], n_fit: int
) -> tuple[EffectRows, list[FloatMatrix]]:
    """The same effects in columns that are orthonormal over the rows of the fit.

    With Q = Z T, z'b = (z'T)(T^-1 b), and T^-1 F is a factor of Cov(T^-1 b). A slope
    far from the origin of its column (a year) makes intercept and slope nearly one
    direction, in which the conditional covariances would lose all their digits.
    """
    factors, working = [], []
    for rows, lam in zip(effects.factors, lams, strict=True):
        given = np.column_stack([c for c in rows.columns if c is not None])
        basis = orthonormal_basis(given[:n_fit], None)
        if basis is not None:
            # Not `basis.apply`: rows that use no effect are zero and have to stay so.
            columns = (given @ basis.transform).T
            rows = FactorRows(rows.index, tuple(columns))
            lam = lower_factor(np.asarray(np.linalg.solve(basis.transform, lam)))
        factors.append(rows)
        working.append(lam)
    return EffectRows(tuple(factors)), working
