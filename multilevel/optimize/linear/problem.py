"""A linear mixed model reduced to its cross-products.

Held by tests/optimize/linear/test_fit_lmm.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.likelihood.linear.prepared import LikelihoodPoint, Prepared
from multilevel.likelihood.linear.second_pass import (
    accurate_products,
    second_pass_if_needed,
)
from multilevel.likelihood.products.cross_products import CrossProducts
from multilevel.likelihood.products.level_patterns import (
    FactorPatterns,
    factor_patterns,
)
from multilevel.likelihood.products.row_products import response_products
from multilevel.likelihood.rows.row_source import RowSource, row_source
from multilevel.likelihood.rows.working_rows import RandomColumns, WorkingBasis
from multilevel.optimize.common.blas_threads import blas_threads
from multilevel.optimize.common.working_terms import WorkingProblem, WorkingTerms

if TYPE_CHECKING:
    from multilevel.design.model_design import ModelDesign


@dataclass(frozen=True)
class LinearProblem(WorkingProblem):
    """Everything that fitting and inference need.

    The rows are needed again only where another response is put in place of this one.

    Parameters
    ----------
    products : CrossProducts
        Of the working columns.
    prepared : the same, arranged for elimination
    terms : StackedTerms
    basis : WorkingBasis
        How working estimates are carried back.
    source : RowSource
        The rows, with the response by which they were given.
    patterns : FactorPatterns
        Of the levels of the rows.
    effect_names : names of the effects of each term
    factor_names : name of each grouping factor
    undetermined : names of the standard deviations and correlations left open
        Filled in when the design has been judged.
    """

    products: CrossProducts
    prepared: Prepared
    terms: StackedTerms
    basis: WorkingBasis
    source: RowSource
    patterns: FactorPatterns
    effect_names: tuple[tuple[str, ...], ...]
    factor_names: tuple[str, ...]
    undetermined: frozenset[str] = frozenset()

    @property
    def n_rows(self) -> int:
        """n."""
        return self.products.n_rows

    @property
    def n_fixed(self) -> int:
        """p, without aliased columns."""
        return len(self.products.XytXy) - 1

    @cached_property
    def working_terms(self) -> WorkingTerms:
        """The random terms and the transforms of their columns."""
        return WorkingTerms(terms=self.terms, transforms=self.basis.terms)

    @property
    def _outermost_factor(self) -> int | None:
        return self.prepared.independent_factor

    def deviance_shift(self, *, reml: bool) -> float:
        """Deviance in the user's units minus deviance of the working columns."""
        nu = self.n_rows - self.n_fixed if reml else self.n_rows
        # r^2 has the square of the response's unit, log|X'V0^-1 X| that of the columns.
        shift = 2.0 * nu * np.log(self.basis.response_scale)
        if reml:
            shift -= 2.0 * self.basis.fixed.log_det()
        return float(shift - self.products.sum_log_weights)

    def point(self, lams: Sequence[FloatMatrix], *, reml: bool) -> LikelihoodPoint:
        """Evaluate the deviance at relative covariance factors of working columns."""
        return self.prepared.point(lams, reml=reml)

    def with_response(self, y: FloatVector) -> LinearProblem:
        """The same model of another response (n,), less any offset."""
        return next(self.with_responses(y[:, None]))

    def with_responses(self, responses: FloatMatrix) -> Iterator[LinearProblem]:
        """The same model of one response after another.

        It costs the products with the responses only: nothing of the columns of X and
        Z is computed again, and the rows are walked over once for all responses. Take
        as many at a time as their n r numbers fit into memory.

        Parameters
        ----------
        responses : (n, r)
            Less any offset.
        """
        terms = self.terms.factor_of_term
        with blas_threads(0):
            sources = self.source.with_responses(responses)
            found = response_products(sources, self.patterns, terms)
        for source, response in zip(sources, found, strict=True):
            products = self.products.with_response(response)
            with blas_threads(0):
                basis, products, prepared = second_pass_if_needed(
                    source,
                    self.patterns,
                    terms,
                    products,
                    self.prepared.with_response(products),
                )
            yield replace(
                self,
                products=products,
                prepared=prepared,
                basis=basis,
                source=source,
            )


def build_problem(design: ModelDesign) -> LinearProblem:
    """Reduce a design to cross-products."""
    with blas_threads(0):
        return _reduce(design)


def working_source(design: ModelDesign) -> RowSource:
    """The rows of a design in working columns, a slice of them at a time."""
    y = design.y if design.offset is None else design.y - design.offset
    position = {int(j): i for i, j in enumerate(design.kept)}
    columns = [
        RandomColumns(
            factor=term.factor_index,
            columns=term.columns,
            shared=tuple(position.get(j, -1) for j in term.shared),
            freedom=term.covariance.freedom,
        )
        for term in design.terms
    ]
    return row_source(y, design.X, columns, design.weights)


def level_patterns(design: ModelDesign) -> FactorPatterns:
    """Which levels of the grouping factors of a design occur together."""
    return factor_patterns(
        [factor.codes for factor in design.factors],
        [len(factor.levels) for factor in design.factors],
    )


def _reduce(design: ModelDesign) -> LinearProblem:
    terms = design.stacked_terms
    source, patterns = working_source(design), level_patterns(design)
    basis, products, prepared = accurate_products(
        source, patterns, terms.factor_of_term
    )
    return LinearProblem(
        products=products,
        prepared=prepared,
        terms=terms,
        basis=basis,
        source=source,
        patterns=patterns,
        effect_names=tuple(term.effects for term in design.terms),
        factor_names=tuple(factor.name for factor in design.factors),
    )
