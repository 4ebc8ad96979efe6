"""Standard errors of linear predictors, random effects included.

Given theta, with K the conditional covariance of the effects b and W the information
of each row, the error of x'beta + z'b is

    z'(b^ - b | beta) + (x - (K Z'W X)'z)'(beta^ - beta)

whose two parts are independent: the variance is z'K z plus the quadratic form of the
second part in the covariance of beta^. It is what the mixed-model equations give.

References
----------
Henderson (1975), Biometrics 31, 423-447; Booth & Hobert (1998), JASA 93, 262-272.

Held by tests/prediction/test_prediction_error.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.errors import FitError
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.prediction.one_factor_variance import one_factor_variance
from multilevel.prediction.prediction_rows import RowsToPredict
from multilevel.prediction.row_elimination import RowElimination, fixed_variance


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
    if not rows.has_effects:
        return fixed_variance(rows.X, covariance.root)
    arranged = RowElimination.of(design, covariance.information, rows)
    return arranged.variance(covariance.factors, covariance.root)
