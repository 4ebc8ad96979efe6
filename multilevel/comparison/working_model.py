"""The linear mixed model that a generalized one resembles near given estimates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.likelihood.families.traits import Family, bind_rows


def working_weights(
    family: Family, design: ModelDesign, eta: FloatVector, dispersion: float
) -> FloatVector:
    """Expected information of each row in its linear predictor, (n,).

    Parameters
    ----------
    family : Family
    design : ModelDesign
    eta : (n,)
    dispersion : float
    """
    likelihood = bind_rows(family, design.y, design.weights, design.trials)
    weight = likelihood.expected_weight(eta, float(np.log(dispersion)))
    return np.maximum(weight, 1e-10 * np.nanmax(weight))


def working_design(
    family: Family, design: ModelDesign, eta: FloatVector, dispersion: float
) -> ModelDesign:
    """The design with working responses ``eta + l'/W`` and weights W.

    Parameters
    ----------
    family : Family
    design : ModelDesign
    eta : (n,)
        Linear predictor, random effects included.
    dispersion : float

    References
    ----------
    Breslow & Clayton (1993), JASA 88, 9-25 (penalized quasi-likelihood).
    """
    likelihood = bind_rows(family, design.y, design.weights, design.trials)
    weight = working_weights(family, design, eta, dispersion)
    score = likelihood.terms(eta, float(np.log(dispersion))).score
    return replace(design, y=eta + score / weight, weights=weight, offset=None)
