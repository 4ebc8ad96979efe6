"""The variance parameters of a fit: what they move, and how well they are known.

Held by tests/inference/test_variance_components.py and tests/test_options.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.inference.satterthwaite import variance_parameter_covariance
from multilevel.methods import ModelKind
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.optimize.linear.fitted_model import LinearFittedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceParameters:
    """Square roots of the relative covariances of a fit, and what moves them.

    Attributes
    ----------
    roots : one (k, r) for each term
    moves : one (m_t, k, r) for each term
        Derivatives of its root in the term's own parameters.
    covariance : (m + 1, m + 1)
        Asymptotic, of the parameters of all terms and of sigma.
    undetermined : frozenset of str
        Names of standard deviations and correlations that the data leave open.
    """

    roots: tuple[FloatMatrix, ...]
    moves: tuple[FloatArray, ...]
    covariance: FloatMatrix
    undetermined: frozenset[str] = frozenset()


def linear_parameters(fitted: LinearFittedModel) -> VarianceParameters:
    """theta of the working columns, so that no digits are lost to a far origin."""
    problem, theta = fitted.problem, fitted.fit.working_theta
    carried = [
        (T @ structure.factor(theta[part]), T @ structure.jacobian(theta[part]))
        for T, structure, part in zip(
            problem.basis.terms,
            problem.terms.structures,
            problem.terms.slices,
            strict=True,
        )
    ]
    return VarianceParameters(
        roots=tuple(root for root, _ in carried),
        moves=tuple(moves for _, moves in carried),
        covariance=variance_parameter_covariance(fitted),
        undetermined=frozenset(problem.undetermined),
    )


def generalized_parameters(fitted: GeneralizedFittedModel) -> VarianceParameters:
    """theta of the user's columns; sigma is known, one."""
    fit, terms = fitted.fit, fitted.problem.terms
    p, m = len(fit.beta), len(fit.theta)
    covariance = np.zeros((m + 1, m + 1))
    covariance[:m, :m] = fit.cov_params[p : p + m, p : p + m]
    pieces = zip(terms.structures, terms.slices, strict=True)
    return VarianceParameters(
        roots=fit.factors,
        moves=tuple(structure.jacobian(fit.theta[part]) for structure, part in pieces),
        covariance=covariance,
        undetermined=frozenset(fitted.problem.undetermined),
    )


VARIANCE_PARAMETERS: MappingProxyType[
    ModelKind, Callable[[Any], VarianceParameters]
] = MappingProxyType(
    {"linear": linear_parameters, "generalized": generalized_parameters}
)
"""Kind of model -> function of the fitted model."""


def variance_parameters(fitted: FittedModel) -> VarianceParameters:
    """The variance parameters of a fit of any kind."""
    return VARIANCE_PARAMETERS[fitted.kind](fitted)
