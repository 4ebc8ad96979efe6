"""The rows of the working linear model of a fit: what each contributes.

With theta held, the estimates solve the mixed-model equations of ``eta + l'/w`` with
weights w: of the response itself in a linear model (``w = weight / sigma^2``), of the
working response at convergence in a generalized one. What deleting rows does is read
off a few numbers of each row, and no row is ever taken out:

    s  = z'K z                       what the random effects alone predict it with
    m  = x - X'W Z K z               x less what the random effects take up of it
    h  = w (s + m'A m),  A = (X'V^-1 X)^-1

References
----------
Demidenko & Stukel (2005), Statistics in Medicine 24, 893-909, section 2.
Christensen, Pearson & Johnson (1992), Technometrics 34, 38-45.

Held by tests/diagnostics/test_row_influence.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.model_design import ModelDesign
from multilevel.errors import FitError
from multilevel.likelihood.elimination.eliminate import eliminate
from multilevel.likelihood.elimination.solve import solve
from multilevel.likelihood.elimination.weighted_rows import (
    effect_layout,
    row_inverse,
    weighted_products,
)
from multilevel.likelihood.families.traits import bind_rows
from multilevel.likelihood.rows.effect_rows import EffectRows, FactorRows, LevelIndex
from multilevel.methods import ModelKind
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.optimize.generalized.likelihood import modes_of
from multilevel.optimize.linear.fitted_model import LinearFittedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedRows:
    """The rows of the working linear model at the estimates.

    Parameters
    ----------
    weight : (n,)
        w: prior weight over sigma^2, or the observed working weight.
    score : (n,)
        l' = w e, with e the (working) residual.
    alone : (n,)
        s, in squared units of the linear predictor.
    moved : (n, p)
        m, in columns that are nearly orthonormal.
    root : (p, p)
        Square root of A in those columns.
    user_root : (p, p)
        The same in the user's columns.
    """

    weight: FloatVector
    score: FloatVector
    alone: FloatVector
    moved: FloatMatrix
    root: FloatMatrix
    user_root: FloatMatrix

    @property
    def along(self) -> FloatMatrix:
        """``root'm`` of every row, (n, p): m'A m is its squared length."""
        return np.asarray(self.moved @ self.root)

    @property
    def leverage(self) -> FloatVector:
        """h, (n,)."""
        spread = self.alone + np.square(self.along).sum(axis=1)
        return np.asarray(self.weight * spread)


def linear_rows(fitted: LinearFittedModel) -> FittedRows:
    """Of a linear model, in the columns in which it was fitted."""
    design, problem, point = fitted.design, fitted.problem, fitted.point()
    effects, basis = effect_rows(design, problem.basis.terms), problem.basis
    moved = basis.fixed.apply(design.X[:, basis.order])
    taken = point.column_effects()
    for j in range(moved.shape[1]):
        moved[:, j] -= effects.spread([own[:, j] for own in taken])
    weight = fitted.row_information()
    root = point.profiled.RX_inverse * fitted.sigma
    if len(design.factors) == 1:
        alone = effects.factors[0].quadratic(point.conditional_blocks()[0])
    else:
        alone = _leverages_of_several(fitted, effects)
    return FittedRows(
        weight=weight,
        score=weight * (design.y - fitted.mean),
        alone=fitted.scale * alone,
        moved=moved,
        root=root,
        user_root=basis.user_rows(root),
    )


def _leverages_of_several(
    fitted: LinearFittedModel, effects: EffectRows
) -> FloatVector:
    """z'K z over sigma^2 where effects of several factors meet in a row, (n,)."""
    layout = effect_layout(effects)
    products = weighted_products(layout, fitted.row_information() * fitted.scale)
    lams = fitted.problem.working.lams(fitted.fit.working_theta)
    return row_inverse(layout, eliminate(products, lams)).leverages


def effect_rows(design: ModelDesign, transforms: tuple[FloatMatrix, ...]) -> EffectRows:
    """The random columns of a design, times T (k, k) of each term."""
    factors = []
    for position, factor in enumerate(design.factors):
        columns = [
            column
            for term, T in zip(design.terms, transforms, strict=True)
            if term.factor_index == position
            for column in (term.columns @ T).T
        ]
        index = LevelIndex(factor.codes, factor.n_levels)
        factors.append(FactorRows(index, tuple(columns)))
    return EffectRows(tuple(factors))


def generalized_rows(fitted: GeneralizedFittedModel) -> FittedRows:
    """Of the working linear model at the modes of a generalized one.

    Raises
    ------
    FitError
        If the modes are no maximum, so that there is no such model.
    """
    problem, design = fitted.problem, fitted.design
    modes = modes_of(problem, fitted.fit)
    effects, weight = problem.rows.layout.rows, modes.terms.weight
    moved = problem.X.copy()
    for j, column in enumerate(problem.X.T):
        taken = solve(modes.elimination, effects.collect(weight * column))
        moved[:, j] -= effects.spread(taken)
    # Equal rows are merged there; what is of one row only is read off the design.
    rows = bind_rows(fitted.family, design.y, design.weights, design.trials)
    terms = rows.terms(fitted.eta, np.log(fitted.shape_values))
    alone = row_inverse(problem.rows.layout, modes.elimination).leverages
    root = _inverse_root(problem.X.T @ (weight[:, None] * moved))
    return FittedRows(
        weight=np.asarray(terms.weight),
        score=np.asarray(terms.score),
        alone=alone[problem.row_of],
        moved=moved[problem.row_of],
        root=root,
        user_root=np.asarray(problem.fixed_transform @ root),
    )


def _inverse_root(information: FloatMatrix) -> FloatMatrix:
    """R with R R' the inverse of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh((information + information.T) / 2.0)
    if len(values) and values[0] <= 0.0:
        raise FitError(
            "the working linear model at the estimates has no positive information "
            "about the fixed effects, so that there is nothing to measure influence "
            "by; the fit did not converge: see result.optimization"
        )
    return np.asarray(vectors / np.sqrt(values))


FITTED_ROWS: MappingProxyType[ModelKind, Callable[[Any], FittedRows]] = (
    MappingProxyType({"linear": linear_rows, "generalized": generalized_rows})
)
"""Kind of model -> function of the fitted model."""


def fitted_rows(fitted: FittedModel) -> FittedRows:
    """The rows of a fitted model of any kind."""
    return FITTED_ROWS[fitted.kind](fitted)
