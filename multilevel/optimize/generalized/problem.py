"""A generalized mixed model as well-conditioned rows.

Held by tests/optimize/generalized/test_fit_glmm.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector, IntVector
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.likelihood.elimination.weighted_rows import effect_layout
from multilevel.likelihood.families.row_chunks import in_chunks
from multilevel.likelihood.families.traits import Family, bind_rows
from multilevel.likelihood.generalized.pirls import GeneralizedRows
from multilevel.likelihood.rows.column_basis import orthonormal_basis, scaling_basis
from multilevel.likelihood.rows.row_source import own_basis
from multilevel.likelihood.rows.working_rows import RandomColumns
from multilevel.optimize.common.working_terms import WorkingProblem, WorkingTerms
from multilevel.optimize.generalized.rows import OrderedRows, eta_inside

if TYPE_CHECKING:
    from multilevel.design.model_design import ModelDesign


@dataclass(frozen=True)
class GeneralizedProblem(WorkingProblem):
    """Everything that fitting and inference need.

    Parameters
    ----------
    family : Family
    rows : GeneralizedRows
        Sorted by group, equal rows merged.
    X : (n_merged, p)
        Working fixed columns of these rows, Fortran order.
    offset : (n_merged,)
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
    undetermined : names of the standard deviations and correlations left open
        Filled in when the design has been judged.
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
    undetermined: frozenset[str] = frozenset()

    @property
    def n_rows(self) -> int:
        """n, before merging."""
        return len(self.row_of)

    @property
    def n_fixed(self) -> int:
        """p, without aliased columns."""
        return int(self.X.shape[1])

    @property
    def n_shapes(self) -> int:
        """s, the number of shape parameters that are estimated."""
        return self.rows.likelihood.n_shapes

    @property
    def n_parameters(self) -> int:
        """p + m + s."""
        return self.n_fixed + self.terms.n_theta + self.n_shapes

    @cached_property
    def working_terms(self) -> WorkingTerms:
        """The random terms and the transforms of their columns."""
        return WorkingTerms(terms=self.terms, transforms=self.term_transforms)

    @property
    def _outermost_factor(self) -> int | None:
        plan = self.rows.layout.pattern.plan
        return None if plan.rest else plan.chain[-1]


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
    terms = design.stacked_terms
    fixed, fixed_transform = _fixed_columns(design.X)
    transforms, random = _random_columns(design, terms)
    n_rows = len(design.y)
    rows = OrderedRows(
        likelihood=bind_rows(family, design.y, design.weights, design.trials),
        fixed=fixed,
        offset=np.zeros(n_rows) if design.offset is None else design.offset,
        codes=tuple(factor.codes for factor in design.factors),
        levels=tuple(len(factor.levels) for factor in design.factors),
        random=random,
        row_of=np.arange(n_rows),
    )
    # Sorted first: equal rows are then looked for within groups, and sums by group are
    # sweeps over consecutive rows.
    rows = rows.sorted().merged()
    layout = effect_layout(rows.effects(terms))
    inside = partial(eta_inside, family.link, rows.likelihood)
    return GeneralizedProblem(
        family=family,
        rows=GeneralizedRows(
            in_chunks(rows.likelihood, len(rows.fixed)), layout, inside
        ),
        X=np.asfortranarray(rows.fixed),
        offset=rows.offset,
        row_of=rows.row_of,
        fixed_transform=fixed_transform,
        term_transforms=transforms,
        terms=terms,
        fixed_names=tuple(design.exog_names[j] for j in design.kept),
        effect_names=tuple(term.effects for term in design.terms),
        factor_names=tuple(factor.name for factor in design.factors),
    )


def _fixed_columns(columns: FloatMatrix) -> tuple[FloatMatrix, FloatMatrix]:
    basis = orthonormal_basis(columns, None) or scaling_basis(columns, None)
    return basis.apply(columns), basis.transform


def _random_columns(
    design: ModelDesign, terms: StackedTerms
) -> tuple[tuple[FloatMatrix, ...], tuple[FloatVector | None, ...]]:
    """Transform (k, k) of each term, and the working columns one after another.

    None stands for a column of ones: a constant column is scaled to one if the
    structure lets each column be scaled.
    """
    transforms: list[FloatMatrix] = []
    columns: list[FloatVector | None] = []
    for term, structure in zip(design.terms, terms.structures, strict=True):
        raw = RandomColumns(
            factor=term.factor_index,
            columns=term.columns,
            shared=(),
            freedom=structure.freedom,
        )
        basis = own_basis(raw, None)
        transform = basis.transform.copy()
        for j, column in enumerate(basis.apply(term.columns).T):
            first = column[0]
            # A column of ones costs no multiplication in any pass over the rows.
            may = structure.freedom != "none" or first == 1.0
            if first != 0.0 and may and (column == first).all():
                transform[:, j] /= first
                columns.append(None)
            else:
                columns.append(column)
        transforms.append(transform)
    return tuple(transforms), tuple(columns)
