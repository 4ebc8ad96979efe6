"""Rows of a generalized model put in order: sorted by group, equal rows merged.

Held by tests/optimize/generalized/test_fit_glmm.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector, IntVector
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.likelihood.families.links import InverseLink
from multilevel.likelihood.families.row_likelihood import RowLikelihood
from multilevel.likelihood.rows.effect_rows import EffectRows, FactorRows, LevelIndex
from multilevel.likelihood.rows.merged_rows import equal_rows


@dataclass(frozen=True, slots=True)
class OrderedRows:
    """Everything that a row has, and where the rows of the design went.

    Parameters
    ----------
    likelihood : RowLikelihood
    fixed : (n_merged, p)
    offset : (n_merged,)
    codes : one (n_merged,) for each grouping factor
    levels : number of levels of each factor
    random : (n_merged,) columns of all terms one after another, None for ones
    row_of : (n,)
        For each row of the design, its row here.
    """

    likelihood: RowLikelihood
    fixed: FloatMatrix
    offset: FloatVector
    codes: tuple[IntVector, ...]
    levels: tuple[int, ...]
    random: tuple[FloatVector | None, ...]
    row_of: IntVector

    def sorted(self) -> OrderedRows:
        """The rows by group, the factor with the most levels first."""
        ranked = self._ranked()
        if (np.diff(self.codes[ranked[0]]) >= 0).all():
            return self
        # lexsort takes its last key first.
        order = np.lexsort([self.codes[k] for k in reversed(ranked)])
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return self._taking(order, self.likelihood.take(order), place)

    def merged(self) -> OrderedRows:
        """With equal rows merged, where that halves them and nothing is lost."""
        if not self.likelihood.can_merge:
            return self
        random = [column for column in self.random if column is not None]
        ranked = [self.codes[k] for k in self._ranked()]
        compared = [*ranked, *random, *self.fixed.T, self.offset]
        groups = equal_rows(compared, len(self.offset))
        if groups is None:
            return self
        likelihood = self.likelihood.merge(groups.group, len(groups.first))
        return self._taking(groups.first, likelihood, groups.group)

    def effects(self, terms: StackedTerms) -> EffectRows:
        """The random columns by grouping factor."""
        stacked: list[list[FloatVector | None]] = [[] for _ in self.codes]
        first = 0
        for structure, factor in zip(
            terms.structures, terms.factor_of_term, strict=True
        ):
            stacked[factor] += self.random[first : first + structure.n_effects]
            first += structure.n_effects
        pieces = zip(self.codes, self.levels, stacked, strict=True)
        return EffectRows(
            tuple(
                FactorRows(LevelIndex(codes, n_levels), tuple(columns))
                for codes, n_levels, columns in pieces
            )
        )

    def _ranked(self) -> Sequence[int]:
        """Positions of the factors, by falling number of levels."""
        return sorted(range(len(self.levels)), key=lambda k: -self.levels[k])

    def _taking(
        self, rows: IntVector, likelihood: RowLikelihood, place: IntVector
    ) -> OrderedRows:
        return replace(
            self,
            likelihood=likelihood,
            fixed=self.fixed[rows],
            offset=self.offset[rows],
            codes=tuple(codes[rows] for codes in self.codes),
            random=tuple(None if c is None else c[rows] for c in self.random),
            row_of=place[self.row_of],
        )


def eta_inside(link: InverseLink, likelihood: RowLikelihood) -> FloatVector:
    """The link of each response, moved inside the range of the mean, (n,)."""
    mean = likelihood.starting_mean()
    with np.errstate(all="ignore"):
        eta = np.asarray(link.eta(mean), dtype=float)
        inside = np.isfinite(eta)
        # A Gaussian response may lie where its link has no mean.
        rest = eta[inside].mean() if inside.any() else 0.0
    return np.where(inside, eta, rest)
