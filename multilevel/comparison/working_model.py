"""The linear mixed model that a generalized one resembles, for the null of a test.

Held by tests/comparison/test_nested_models.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.likelihood.families.traits import Family, bind_rows


def working_weights(
    family: Family, design: ModelDesign, eta: FloatVector, shapes: FloatVector
) -> FloatVector:
    """Expected information of each row in its linear predictor, (n,).

    Parameters
    ----------
    family : Family
    design : ModelDesign
    eta : (n,)
    shapes : (s,)
        Logarithms.
    """
    likelihood = bind_rows(family, design.y, design.weights, design.trials)
    weight = likelihood.expected_weight(eta, shapes)
    return np.maximum(weight, 1e-10 * np.nanmax(weight))


def working_design(
    family: Family, design: ModelDesign, eta: FloatVector, shapes: FloatVector
) -> ModelDesign:
    """The design with working responses ``eta + l'/W`` and weights W.

    Parameters
    ----------
    family : Family
    design : ModelDesign
    eta : (n,)
        Linear predictor, random effects included.
    shapes : (s,)
        Logarithms.

    References
    ----------
    Breslow & Clayton (1993), JASA 88, 9-25 (penalized quasi-likelihood).
    """
    likelihood = bind_rows(family, design.y, design.weights, design.trials)
    weight = working_weights(family, design, eta, shapes)
    score = likelihood.terms(eta, shapes).score
    return replace(design, y=eta + score / weight, weights=weight, offset=None)
