"""A generalized mixed model as well-conditioned rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.covariance.registry import STRUCTURES
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.covariance.structure import CovarianceStructure
from multilevel.likelihood.column_basis import orthonormal_basis, scaling_basis
from multilevel.likelihood.effect_rows import EffectRows, FactorRows, LevelIndex
from multilevel.likelihood.families import Family, bind_rows
from multilevel.likelihood.merged_rows import equal_rows
from multilevel.likelihood.penalized_layout import penalized_layout
from multilevel.likelihood.pirls import GeneralizedRows
from multilevel.likelihood.row_chunks import in_chunks
from multilevel.likelihood.row_likelihood import RowLikelihood
from multilevel.likelihood.working_rows import RandomColumns, own_columns
from multilevel.optimize.linear_problem import UserTheta, WorkingTheta

if TYPE_CHECKING:
    from multilevel.design.model_design import ModelDesign


@dataclass(frozen=True)
class GeneralizedProblem:
    """Everything that fitting and inference need.

    Parameters
    ----------
    family : Family
    rows : GeneralizedRows
        Sorted by group, equal rows merged.
    X : (N, p)
        Working fixed columns of these rows, Fortran order.
    offset : (N,)
    row_of : (n,)
        For each row of the design, its row here.
    fixed_transform : (p, p)
        T with X = (the user's columns) T.
    term_transforms : one (k, k) for each term
        The same for the random columns.
    terms : StackedTerms
    fixed_names : names of the fixed columns
    effect_names : names of the effects of each term
    factor_names : name of each grouping factor
    """

    family: Family
    rows: GeneralizedRows
    X: FloatMatrix
    offset: FloatVector
    row_of: IntVector
    fixed_transform: FloatMatrix
    term_transforms: tuple[FloatMatrix, ...]
    terms: StackedTerms
    fixed_names: tuple[str, ...]
    effect_names: tuple[tuple[str, ...], ...]
    factor_names: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """n, before merging."""
        return len(self.row_of)

    @property
    def n_fixed(self) -> int:
        """p, without aliased columns."""
        return self.X.shape[1]

    @property
    def n_dispersion(self) -> int:
        """1 if a dispersion parameter is estimated, else 0."""
        return int(self.rows.likelihood.has_dispersion)

    @property
    def n_parameters(self) -> int:
        """p + m + 1 if there is a dispersion parameter, else p + m."""
        return self.n_fixed + self.terms.n_theta + self.n_dispersion

    @property
    def working(self) -> WorkingTheta:
        """theta of the working columns, in which the optimizer moves."""
        return WorkingTheta(self.terms)

    @property
    def user(self) -> UserTheta:
        """theta of the user's columns, which is reported."""
        inverses = [np.asarray(np.linalg.inv(T)) for T in self.term_transforms]
        return UserTheta(self.terms, tuple(self.terms.stack(inverses)))

    @property
    def column_scales(self) -> list[FloatVector]:
        """Root mean square (k,) of the user's random columns, by term."""
        return [
            np.sqrt((np.linalg.inv(T) ** 2).sum(axis=0)) for T in self.term_transforms
        ]


def build_glm_problem(design: ModelDesign, family: Family) -> GeneralizedProblem:
    """Sort, merge and transform the rows of a design.

    Parameters
    ----------
    design : ModelDesign
    family : Family

    Raises
    ------
    DataError
        If the family cannot have produced some response.
    """
    terms = StackedTerms(
        tuple(STRUCTURES[t.structure](len(t.effects)) for t in design.terms),
        tuple(t.factor_index for t in design.terms),
        len(design.factors),
    )
    X, fixed_transform = _fixed_columns(design.X)
    random = [
        own_columns(
            RandomColumns(t.factor_index, t.columns, (), structure.freedom), None
        )
        for t, structure in zip(design.terms, terms.structures, strict=True)
    ]
    transforms, columns = _unit_constants(
        terms.structures, [T for T, _ in random], [c for _, c in random]
    )
    offset = np.zeros(len(design.y)) if design.offset is None else design.offset
    likelihood = bind_rows(family, design.y, design.weights)
    codes = [factor.codes for factor in design.factors]
    levels = [len(factor.levels) for factor in design.factors]
    order = _row_order(codes, levels)
    if order is not None:
        X, offset, likelihood = X[order], offset[order], likelihood.take(order)
        codes = [c[order] for c in codes]
        columns = [None if c is None else c[order] for c in columns]
    row_of = _inverse(order, len(design.y))
    merged = _merge(likelihood, X, offset, codes, levels, columns)
    if merged is not None:
        likelihood, first, group = merged
        X, offset, row_of = X[first], offset[first], group[row_of]
        codes = [c[first] for c in codes]
        columns = [None if c is None else c[first] for c in columns]
    effects = _effect_rows(terms, codes, levels, columns)
    return GeneralizedProblem(
        family,
        GeneralizedRows(
            in_chunks(likelihood, len(X)), penalized_layout(effects)
        ),
        np.asfortranarray(X),
        offset,
        row_of,
        fixed_transform,
        tuple(transforms),
        terms,
        tuple(np.asarray(design.exog_names, dtype=object)[design.kept]),
        tuple(term.effects for term in design.terms),
        tuple(factor.name for factor in design.factors),
    )


def _fixed_columns(X: FloatMatrix) -> tuple[FloatMatrix, FloatMatrix]:
    basis = orthonormal_basis(X, None) or scaling_basis(X, None)
    return basis.apply(X), basis.transform


def _unit_constants(
    structures: Sequence[CovarianceStructure],
    transforms: Sequence[FloatMatrix],
    blocks: Sequence[FloatMatrix],
) -> tuple[list[FloatMatrix], list[FloatVector | None]]:
    """Working random columns one after another, None for a column of ones.

    A constant column is scaled to one if the structure lets each column be scaled.
    """
    scaled, columns = [], []
    for structure, T, block in zip(structures, transforms, blocks, strict=True):
        T = T.copy()
        for j, column in enumerate(block.T):
            first = column[0]
            may = structure.freedom != "none" or first == 1.0
            if first != 0.0 and may and (column == first).all():
                T[:, j] /= first
                columns.append(None)
            else:
                columns.append(column)
        scaled.append(T)
    return scaled, columns


def _row_order(
    codes: Sequence[IntVector], levels: Sequence[int]
) -> IntVector | None:
    """Order of the rows by group, the factor with most levels first; None if so."""
    ranked = np.argsort([-level for level in levels], kind="stable")
    first = codes[ranked[0]]
    if (np.diff(first) >= 0).all():
        return None
    return np.lexsort([codes[k] for k in reversed(ranked)])


def _inverse(order: IntVector | None, n_rows: int) -> IntVector:
    if order is None:
        return np.arange(n_rows)
    inverse = np.empty(n_rows, dtype=np.intp)
    inverse[order] = np.arange(n_rows)
    return inverse


def _merge(
    likelihood: RowLikelihood,
    X: FloatMatrix,
    offset: FloatVector,
    codes: Sequence[IntVector],
    levels: Sequence[int],
    columns: Sequence[FloatVector | None],
) -> tuple[RowLikelihood, IntVector, IntVector] | None:
    """Likelihood of the merged rows, their first rows and every row's group."""
    if not likelihood.can_merge:
        return None
    # No more merged rows than cells: crossed factors rule merging out at once.
    ranked = np.argsort([-level for level in levels], kind="stable")
    compared: list[FloatArray | IntVector] = [codes[k] for k in ranked]
    compared += [column for column in columns if column is not None]
    compared += [X[:, j] for j in range(X.shape[1])]
    compared.append(offset)
    groups = equal_rows(compared, len(offset))
    if groups is None:
        return None
    merged = likelihood.merge(groups.group, len(groups.first))
    return merged, groups.first, groups.group


def _effect_rows(
    terms: StackedTerms,
    codes: Sequence[IntVector],
    levels: Sequence[int],
    columns: Sequence[FloatVector | None],
) -> EffectRows:
    stacked: list[list[FloatVector | None]] = [[] for _ in codes]
    position = 0
    for structure, factor in zip(terms.structures, terms.factor_of_term, strict=True):
        stacked[factor] += columns[position : position + structure.n_effects]
        position += structure.n_effects
    return EffectRows(
        tuple(
            FactorRows(LevelIndex(own, level), tuple(block))
            for own, level, block in zip(codes, levels, stacked, strict=True)
        )
    )
