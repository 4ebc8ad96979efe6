"""The rows of generalized models that levels have for themselves.

Held by tests/comparison/test_unpooled_glm.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector, IntVector
from multilevel.likelihood.families.row_likelihood import RowLikelihood
from multilevel.likelihood.families.traits import Family, bind_rows
from multilevel.likelihood.rows.effect_rows import LevelIndex
from multilevel.optimize.generalized.separation import ends_of_rows

_ROUNDING = 64.0 * np.finfo(float).eps


@dataclass(frozen=True, slots=True)
class LevelResponses:
    """What is observed in each row.

    Parameters
    ----------
    y : (n,)
    weights, trials : (n,) or None
        As `bind_rows` takes them.
    offset : (n,)
    """

    y: FloatVector
    weights: FloatVector | None
    trials: FloatVector | None
    offset: FloatVector

    def of(self, rows: IntVector | BoolVector) -> LevelResponses:
        """Those of some rows."""
        weights, trials = (
            None if values is None else values[rows]
            for values in (self.weights, self.trials)
        )
        return LevelResponses(self.y[rows], weights, trials, self.offset[rows])


@dataclass(frozen=True, slots=True)
class GeneralizedLevels:
    """Rows sorted by level; a dispersion is one until it is asked for.

    Parameters
    ----------
    family : Family
        Without shape parameters besides a dispersion.
    names : p texts
        Of the columns.
    columns : (n, p)
    responses : LevelResponses
    index : LevelIndex
    rows : RowLikelihood
    ends : (n,) or None
        1, -1, 0: where each row's likelihood rises for ever; None if none can.
    """

    family: Family
    names: tuple[str, ...]
    columns: FloatMatrix
    responses: LevelResponses
    index: LevelIndex
    rows: RowLikelihood
    ends: FloatVector | None

    @staticmethod
    def bound(
        family: Family,
        names: tuple[str, ...],
        columns: FloatMatrix,
        responses: LevelResponses,
        index: LevelIndex,
    ) -> GeneralizedLevels:
        """With the likelihood of the rows."""
        y = responses.y
        rows = bind_rows(family, y, responses.weights, responses.trials)
        ends = None
        if family.link.is_bounded:
            ends = ends_of_rows(rows, len(y), np.zeros(rows.n_shapes))
        return GeneralizedLevels(
            family=family,
            names=names,
            columns=columns,
            responses=responses,
            index=index,
            rows=rows,
            ends=ends if ends is not None and ends.any() else None,
        )

    @property
    def y(self) -> FloatVector:
        """Responses, (n,)."""
        return self.responses.y

    @property
    def offset(self) -> FloatVector:
        """Known parts of the linear predictors, (n,)."""
        return self.responses.offset

    @property
    def shapes(self) -> FloatVector:
        """The logarithm of a dispersion of one, if there is one."""
        return np.zeros(self.rows.n_shapes)

    def of(self, levels: BoolVector, rows: BoolVector) -> GeneralizedLevels:
        """Some levels (J,) and their rows (n,)."""
        sizes = self.index.sums(None).astype(np.intp)[levels]
        index = LevelIndex(np.repeat(np.arange(len(sizes)), sizes), len(sizes))
        return replace(
            self,
            columns=self.columns[rows],
            responses=self.responses.of(rows),
            index=index,
            rows=self.rows.take(np.flatnonzero(rows)),
            ends=None if self.ends is None else self.ends[rows],
        )

    def rows_of(self, level: int) -> slice:
        """Where the rows of a level are."""
        ends = np.searchsorted(self.index.codes, [level, level + 1])
        return slice(int(ends[0]), int(ends[1]))

    def log_likelihoods(self, eta: FloatVector) -> FloatVector:
        """Of each level, less the normalizer, (J,); -inf outside of the domain."""
        with np.errstate(all="ignore"):
            density, _ = self.rows.density(eta, self.shapes)
        return self.index.sums(np.where(np.isfinite(density), density, -np.inf))

    def unit(self, squares: FloatVector) -> FloatVector:
        """What squared steps (J,) are measured in: rows times the dispersion."""
        n = self.index.sums(None)
        if not self.family.has_scale:
            return n
        # The score over its standard deviation, squared, is Pearson's statistic.
        return np.asarray(np.where(squares > 0.0, squares, 1.0))

    def with_dispersions(self, phi: FloatVector) -> RowLikelihood:
        """The likelihood of the rows at a dispersion for each row, (n,)."""
        weights = self.responses.weights
        scaled = 1.0 / phi if weights is None else weights / phi
        return bind_rows(self.family, self.y, scaled, self.responses.trials)

    def without_rounding(self, squares: FloatVector, eta: FloatVector) -> FloatVector:
        """Pearson's statistics (J,), zero where they are rounding only."""
        if not self.family.has_scale:
            return squares
        mean = np.asarray(self.family.link.mean(eta))
        ones = np.ones(len(self.family.traits.shapes))
        sizes = self.y**2 / self.family.traits.variance(mean, ones).value
        weights = self.responses.weights
        total = self.index.sums(sizes if weights is None else sizes * weights)
        return np.where(squares > _ROUNDING**2 * total, squares, 0.0)
