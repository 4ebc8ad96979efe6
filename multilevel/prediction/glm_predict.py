"""Predictions of generalized models: conditional, typical and over the population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.covariance.square_root import covariance_root
from multilevel.design.model_design import ModelDesign
from multilevel.design.new_data import encode_new_data
from multilevel.errors import DataError, FitError
from multilevel.likelihood.families.traits import Family, bind_rows
from multilevel.prediction.estimable_rows import (
    Check,
    rows_without_mean,
)
from multilevel.prediction.marginal_mean import marginal_mean
from multilevel.prediction.observation_limits import observation_quantiles
from multilevel.prediction.predict import (
    NewLevels,
    RandomParts,
    factor_positions,
    linear_predictor,
    predict_new_rows,
    reject_unknown_kind,
)
from multilevel.prediction.prediction_error import (
    FittedCovariance,
    PredictedRows,
    prediction_variance,
    unused_variance,
)
from multilevel.prediction.prediction_options import refuse_bad_options
from multilevel.prediction.prediction_rows import rows_to_predict
from multilevel.prediction.prediction_table import Prediction


@dataclass(frozen=True, slots=True)
class GlmFitted:
    """What predictions need of a fit.

    Parameters
    ----------
    design : ModelDesign
    family : Family
    beta : (p,)
    cov_beta : (p, p)
    factors : one (k, k) for each term
        Cov(b) = F F'.
    modes : one (J, k) for each term
    dispersion : float
    """

    design: ModelDesign
    family: Family
    beta: FloatVector
    cov_beta: FloatMatrix
    factors: tuple[FloatMatrix, ...]
    modes: tuple[FloatMatrix, ...]
    dispersion: float


def predict_glm(
    fitted: GlmFitted,
    data: Any,
    *,
    random: RandomParts,
    new_levels: NewLevels,
    kind: str,
    offset: Any,
    check: Check,
) -> pd.Series:
    """Predictions of one kind; see `MixedGLMResults.predict`."""
    reject_unknown_kind(kind, ("response", "link", "marginal"))
    refuse_bad_options(data, new_levels=new_levels, check=check, offset=offset)
    if kind == "marginal":
        return _marginal(fitted, data, random, offset, check)
    if data is None:
        factors = factor_positions(fitted.design.factor_names, random)
        values = linear_predictor(fitted.design, fitted.beta, fitted.modes, factors)
        eta = pd.Series(values, index=fitted.design.index)
    else:
        eta = predict_new_rows(
            fitted.design,
            fitted.beta,
            fitted.modes,
            data,
            random=random,
            new_levels=new_levels,
            offset=offset,
            check=check,
        )
    if kind == "link":
        return eta
    mean = fitted.family.link.mean(np.asarray(eta, dtype=float))
    return pd.Series(mean, index=eta.index)


def _marginal(
    fitted: GlmFitted, data: Any, random: RandomParts, offset: Any, check: Check
) -> pd.Series:
    """Means over all random effects; the grouping factors' levels play no part."""
    if random not in ("all", "none"):
        raise DataError(
            f'kind="marginal" integrates all random effects out, but random={random!r} '
            'asks for some; use kind="response" for these'
        )
    design = fitted.design
    if data is None:
        eta = linear_predictor(design, fitted.beta, fitted.modes, factors=())
        index, columns = design.index, [term.columns for term in design.terms]
    else:
        rows = encode_new_data(
            design, data, factors=(), columns_of=design.factor_names, offset=offset
        )
        eta = rows.exog[:, design.kept] @ fitted.beta
        eta = eta if rows.offset is None else eta + rows.offset
        eta = np.where(rows_without_mean(design, rows, data, check), np.nan, eta)
        index, columns = rows.index, list(rows.columns)
    variance = _predictor_variance(columns, fitted.factors)
    known = np.isfinite(eta) & np.isfinite(variance)
    mean = np.full(len(eta), np.nan)
    mean[known] = marginal_mean(fitted.family.link, eta[known], variance[known]).mean
    return pd.Series(mean, index=index)


def _predictor_variance(
    columns: Sequence[FloatMatrix], factors: Sequence[FloatMatrix]
) -> FloatVector:
    """Variance of z'b in each row, of all terms together, (n,)."""
    total = np.zeros(len(columns[0]))
    for values, factor in zip(columns, factors, strict=True):
        total += np.square(values @ factor).sum(axis=1)
    return total


def _error_variance(
    fitted: GlmFitted, covariance: FittedCovariance, rows: PredictedRows
) -> FloatVector:
    """Variance of the error of every row's linear predictor, (n,)."""
    try:
        return prediction_variance(fitted.design, covariance, rows)
    except np.linalg.LinAlgError:
        raise FitError(
            "the modes of the random effects are no maximum of their distribution, so "
            "that predictions have no standard errors; the fit did not converge: see "
            'result.optimization, or use predict(), or random="none"'
        ) from None


def prediction_of_glm(
    fitted: GlmFitted,
    data: Any,
    *,
    random: RandomParts,
    new_levels: NewLevels,
    offset: Any,
    weights: Any,
    check: Check,
) -> Prediction:
    """Means with standard errors and limits; see `MixedGLMResults.get_prediction`."""
    design, family = fitted.design, fitted.family
    rows = rows_to_predict(
        design,
        data,
        random=random,
        new_levels=new_levels,
        offset=offset,
        weights=weights,
        check=check,
    )
    eta = rows.linear_predictor(design, fitted.beta, fitted.modes)
    likelihood = bind_rows(family, design.y, design.weights, design.trials)
    at_fit = linear_predictor(design, fitted.beta, fitted.modes)
    log_dispersion = float(np.log(fitted.dispersion))
    # The observed information of a row may be negative; that of all rows together with
    # the distribution of the effects is not, at the modes.
    covariance = FittedCovariance(
        likelihood.terms(at_fit, log_dispersion).weight,
        fitted.factors,
        covariance_root(fitted.cov_beta),
    )
    variance = rows.with_missing(_error_variance(fitted, covariance, rows.rows))
    spread = np.sqrt(variance + unused_variance(design, covariance, rows.rows))

    def observation_limits(alpha: float) -> FloatMatrix:
        ends = (alpha / 2.0, 1.0 - alpha / 2.0)
        return np.column_stack(
            [
                observation_quantiles(
                    family, eta, spread, fitted.dispersion, rows.weights, end
                )
                for end in ends
            ]
        )

    return Prediction(
        eta,
        np.sqrt(variance),
        lambda: np.full(len(eta), np.inf),
        rows.index,
        family.link,
        observation_limits,
    )
