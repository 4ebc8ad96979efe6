"""One elimination of the rows of a fit together with rows to predict.

Two levels that meet in a row to predict need not have met in the fit, and the products
of the fit hold no more than the pairs that did. So the rows are walked over again, but
once for all covariances at which errors are asked for.

Held by tests/prediction/test_prediction_error.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector, IntVector
from multilevel.covariance.triangular import lower_factor
from multilevel.design.model_design import ModelDesign
from multilevel.likelihood.elimination.effect_products import EffectProducts
from multilevel.likelihood.elimination.eliminate import eliminate
from multilevel.likelihood.elimination.solve import solve
from multilevel.likelihood.elimination.weighted_rows import (
    EffectLayout,
    effect_layout,
    row_inverse,
    weighted_products,
)
from multilevel.likelihood.rows.column_basis import orthonormal_basis
from multilevel.likelihood.rows.effect_rows import EffectRows, FactorRows, LevelIndex
from multilevel.prediction.prediction_rows import RowsToPredict


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RowElimination:
    """Rows of the fit, and rows to predict that have no weight.

    Parameters
    ----------
    design : ModelDesign
        Of the fit.
    X : (n, p)
        Fixed columns of the rows to predict.
    effects : EffectRows
        Of all rows, in columns that are orthonormal over those of the fit.
    transforms : one (S, S) for each factor
        T with (these columns) = (the user's columns) T.
    layout : EffectLayout
    products : EffectProducts
        Z'W Z.
    collected : one list (for each factor) for each fixed column
        Z'W x.
    """

    design: ModelDesign
    X: FloatMatrix
    effects: EffectRows
    transforms: tuple[FloatMatrix, ...]
    layout: EffectLayout
    products: EffectProducts
    collected: tuple[list[FloatMatrix], ...]

    @classmethod
    def of(
        cls, design: ModelDesign, information: FloatVector, rows: RowsToPredict
    ) -> RowElimination:
        """Arrange the rows.

        Parameters
        ----------
        design : ModelDesign
        information : (rows of the fit,)
            Of each row about its linear predictor.
        rows : RowsToPredict
        """
        # The new rows join those of the fit with no weight, so that one elimination
        # finds the leverages of all, whatever the combination of levels.
        effects, transforms = _in_working_columns(
            _stacked_rows(design, rows), len(design.y)
        )
        layout = effect_layout(effects)
        nothing = np.zeros(len(rows.X))
        weighted = [
            np.concatenate([information * column, nothing]) for column in design.X.T
        ]
        return cls(
            design=design,
            X=rows.X,
            effects=effects,
            transforms=transforms,
            layout=layout,
            products=weighted_products(layout, np.concatenate([information, nothing])),
            collected=tuple(effects.collect(column) for column in weighted),
        )

    def variance(
        self, factors: Sequence[FloatMatrix], root: FloatMatrix
    ) -> FloatVector:
        """Variance of the error of every predicted row's linear predictor, (n,).

        Parameters
        ----------
        factors : one (k, k) for each term
            Cov(b) = F F', in squared units of the linear predictor.
        root : (p, p)
            Square root of the covariance of the fixed effects.
        """
        # T^-1 F is a factor of Cov(T^-1 b).
        lams = [
            lower_factor(np.asarray(np.linalg.solve(T, lam)))
            for T, lam in zip(
                self.transforms, self.design.stacked_terms.stack(factors), strict=True
            )
        ]
        n = len(self.design.y)
        elimination = eliminate(self.products, lams)
        # z'K z of all rows at once: their levels meet in the elimination as those of
        # the fit.
        conditional = row_inverse(self.layout, elimination).leverages[n:]
        # x less what the modes take up of it: (K Z'W X)'z, by a solve for each fixed
        # column.
        moved = self.X.copy()
        for j, column in enumerate(self.collected):
            moved[:, j] -= self.effects.spread(solve(elimination, column))[n:]
        return np.maximum(conditional, 0.0) + fixed_variance(moved, root)


def fixed_variance(rows: FloatMatrix, root: FloatMatrix) -> FloatVector:
    """Var(x'beta^) of every row, (n,)."""
    spread = rows @ root
    return np.asarray(np.einsum("ij,ij->i", spread, spread))


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


def _in_working_columns(
    effects: EffectRows, n_fit: int
) -> tuple[EffectRows, tuple[FloatMatrix, ...]]:
    """The effects in columns Z T that are orthonormal over the rows of the fit, and T.

    A slope far from the origin of its column (a year) makes intercept and slope nearly
    one direction, in which the conditional covariances would lose all their digits.
    """
    factors, transforms = [], []
    for rows in effects.factors:
        given = np.column_stack([c for c in rows.columns if c is not None])
        basis = orthonormal_basis(given[:n_fit], None)
        transform = np.eye(given.shape[1])
        if basis is not None:
            # Not `basis.apply`: rows that use no effect are zero and have to stay so.
            transform = basis.transform
            rows = FactorRows(rows.index, tuple((given @ transform).T))
        factors.append(rows)
        transforms.append(transform)
    return EffectRows(tuple(factors)), tuple(transforms)
