"""The likelihood of a linear mixed model from full matrices, by other routes than ours.

Slow and plain on purpose: nothing here is shared with the package but the design.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.linalg as sla

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.design.grouping import GroupingFactor
from multilevel.design.missing import DroppedRows
from multilevel.design.model_design import ModelDesign
from multilevel.design.random_effects import RandomTermDesign
from multilevel.optimize.linear.problem import LinearProblem, build_problem

LongMatrix = npt.NDArray[np.longdouble]


@dataclass(frozen=True)
class Term:
    """A random term: levels (n,), raw columns (n, k), covariance structure."""

    codes: IntVector
    columns: FloatMatrix
    structure: str = "us"
    factor: str = ""

    @property
    def n_levels(self) -> int:
        """J."""
        return int(self.codes.max()) + 1


@dataclass(frozen=True)
class GroupedData:
    """Response, fixed columns and random terms, as plain arrays."""

    y: FloatVector
    X: FloatMatrix
    terms: tuple[Term, ...]
    weights: FloatVector | None = None

    def design(self) -> ModelDesign:
        """The record that the package fits."""
        names = [term.factor or f"f{i}" for i, term in enumerate(self.terms)]
        distinct = list(dict.fromkeys(names))
        by_name = {name: t for name, t in zip(names, self.terms, strict=True)}
        factors = [
            GroupingFactor(
                name, by_name[name].codes, pd.RangeIndex(by_name[name].n_levels)
            )
            for name in distinct
        ]
        n, p = self.X.shape
        return ModelDesign(
            formula=None,
            response="y",
            y=self.y,
            exog=np.asfortranarray(self.X),
            exog_names=tuple(f"x{j}" for j in range(p)),
            kept=np.arange(p),
            weights=self.weights,
            offset=None,
            factors=tuple(factors),
            terms=tuple(
                self._term_design(term, distinct.index(name))
                for term, name in zip(self.terms, names, strict=True)
            ),
            index=pd.RangeIndex(n),
            dropped=DroppedRows(0, {}, n),
        )

    def _term_design(self, term: Term, factor_index: int) -> RandomTermDesign:
        shared = tuple(
            next((j for j in range(self.X.shape[1]) if (self.X[:, j] == c).all()), -1)
            for c in term.columns.T
        )
        effects = tuple(f"e{j}" for j in range(term.columns.shape[1]))
        columns = np.asfortranarray(term.columns)
        return RandomTermDesign(factor_index, effects, columns, shared, term.structure)

    def problem(self) -> LinearProblem:
        """Cross-products, ready to fit."""
        return build_problem(self.design())

    def rows(self, order: Any) -> GroupedData:
        """The same data with other rows or another order of rows."""
        return replace(
            self,
            y=self.y[order],
            X=self.X[order],
            terms=tuple(
                replace(t, codes=t.codes[order], columns=t.columns[order])
                for t in self.terms
            ),
            weights=None if self.weights is None else self.weights[order],
        )

    def indicator(self, term: Term) -> FloatMatrix:
        """Z of a term (n, J k), the effects of a level side by side."""
        n, k = term.columns.shape
        Z = np.zeros((n, term.n_levels, k))
        Z[np.arange(n), term.codes] = term.columns
        return Z.reshape(n, -1)


def dense_deviance(
    data: GroupedData, factors: Sequence[FloatMatrix], *, reml: bool
) -> tuple[float, FloatVector, float]:
    """-2 log-likelihood profiled over beta and sigma, beta and sigma^2, by V itself."""
    n, p = data.X.shape
    V0 = np.diag(np.ones(n) if data.weights is None else 1.0 / data.weights)
    for term, factor in zip(data.terms, factors, strict=True):
        half = data.indicator(term) @ np.kron(np.eye(term.n_levels), factor)
        V0 = V0 + half @ half.T
    L = np.linalg.cholesky(V0)
    WX = sla.solve_triangular(L, data.X, lower=True)
    wy = sla.solve_triangular(L, data.y, lower=True)
    beta = np.linalg.lstsq(WX, wy, rcond=None)[0]
    nu = n - p if reml else n
    sigma2 = float(((wy - WX @ beta) ** 2).sum() / nu)
    deviance = 2.0 * np.log(np.diag(L)).sum() + nu * (1.0 + np.log(2 * np.pi * sigma2))
    if reml:
        deviance += np.linalg.slogdet(WX.T @ WX)[1]
    return float(deviance), beta, sigma2


def long_triangle(matrix: LongMatrix) -> LongMatrix:
    """R of a Householder QR factorization in extended precision."""
    R = matrix.copy()
    for k in range(R.shape[1]):
        v = R[k:, k].copy()
        norm = np.sqrt((v * v).sum())
        if norm == 0:
            continue
        v[0] += np.copysign(norm, v[0])
        v /= np.sqrt((v * v).sum())
        R[k:, k:] -= 2.0 * np.outer(v, v @ R[k:, k:])
    return np.triu(R[: R.shape[1]])


def long_deviance(
    data: GroupedData, factors: Sequence[FloatMatrix], *, reml: bool
) -> float:
    """The same deviance in extended precision, by one orthogonal factorization.

    The rows ``[sqrt(W) Z Lam, sqrt(W) X, sqrt(W) y; I, 0, 0]`` are reduced to a
    triangle; no product of columns is formed, so the condition number is not squared.
    """
    n, p = data.X.shape
    root = np.ones(n, dtype=np.longdouble)
    if data.weights is not None:
        root = np.sqrt(data.weights.astype(np.longdouble))
    halves = [
        data.indicator(term).astype(np.longdouble)
        @ np.kron(np.eye(term.n_levels), factor).astype(np.longdouble)
        for term, factor in zip(data.terms, factors, strict=True)
    ]
    rows = np.column_stack([*halves, data.X, data.y]) * root[:, None]
    q = rows.shape[1] - p - 1
    # Large rows first: Householder's method is then stable row by row.
    rows = rows[np.argsort(-np.abs(rows).max(axis=1))]
    prior = np.zeros((q, q + p + 1), dtype=np.longdouble)
    prior[:, :q] = np.eye(q)
    R = long_triangle(np.vstack([rows, prior]))
    diagonal = np.abs(np.diag(R))
    nu = n - p if reml else n
    two = np.longdouble(2.0)
    deviance = two * np.log(diagonal[:q]).sum() - two * np.log(root).sum()
    deviance += nu * (1 + np.log(two * np.longdouble(np.pi) * diagonal[-1] ** 2 / nu))
    if reml:
        deviance += two * np.log(diagonal[q : q + p]).sum()
    return float(deviance)


def central_difference(function: Any, x: FloatVector, step: float) -> FloatArray:
    """Derivatives of a function of x (m,), first axis m."""
    slopes = []
    for a in range(len(x)):
        shift = np.zeros(len(x))
        shift[a] = step * max(1.0, abs(x[a]))
        ahead, behind = np.asarray(function(x + shift)), np.asarray(function(x - shift))
        slopes.append((ahead - behind) / (2.0 * shift[a]))
    return np.asarray(slopes)
