"""Residuals of linear mixed models."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.errors import DataError
from multilevel.optimize.common.fit_record import LMMFit
from multilevel.prediction.predict import linear_predictor


def response_residuals(design: ModelDesign, fit: LMMFit) -> FloatVector:
    """Response less fitted value, random effects included."""
    return design.y - linear_predictor(design, fit.beta, fit.modes)


def marginal_residuals(design: ModelDesign, fit: LMMFit) -> FloatVector:
    """Response less X beta and offset, random effects left in."""
    return design.y - linear_predictor(design, fit.beta, fit.modes, factors=())


def pearson_residuals(design: ModelDesign, fit: LMMFit) -> FloatVector:
    """Response residuals times the square root of the prior weights."""
    residuals = response_residuals(design, fit)
    return residuals if design.weights is None else residuals * np.sqrt(design.weights)


def scaled_residuals(design: ModelDesign, fit: LMMFit) -> FloatVector:
    """Pearson residuals in units of the residual standard deviation.

    They are the quantile residuals too, as the conditional distribution is normal.
    """
    return pearson_residuals(design, fit) / fit.sigma


LINEAR_RESIDUALS: MappingProxyType[
    str, Callable[[ModelDesign, LMMFit], FloatVector]
] = MappingProxyType(
    {
        "response": response_residuals,
        "pearson": pearson_residuals,
        "marginal": marginal_residuals,
        "deviance": pearson_residuals,
        "scaled": scaled_residuals,
        "quantile": scaled_residuals,
    }
)
"""Kind of residual -> function of design and fit."""


def linear_residuals(design: ModelDesign, fit: LMMFit, kind: str) -> FloatVector:
    """Residuals of one kind.

    Parameters
    ----------
    design : ModelDesign
    fit : LMMFit
    kind : str
        A key of `LINEAR_RESIDUALS`.

    Returns
    -------
    (n,) array

    Raises
    ------
    DataError
        For an unknown kind.
    """
    if not isinstance(kind, str) or kind not in LINEAR_RESIDUALS:
        raise DataError(
            f"residuals of kind {kind!r} are not known; "
            f"use one of {', '.join(map(repr, LINEAR_RESIDUALS))}"
        )
    return LINEAR_RESIDUALS[kind](design, fit)
