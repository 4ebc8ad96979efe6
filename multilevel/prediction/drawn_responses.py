"""Responses drawn at random: random effects by level, then a response for each row.

Held by tests/prediction/test_simulate.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.random import Generator

from multilevel.array_types import (
    BoolVector,
    FloatArray,
    FloatMatrix,
    FloatVector,
    IntVector,
)
from multilevel.design.design_record import ModelDesign
from multilevel.errors import DroppedRowsWarning, warn_caller
from multilevel.likelihood.families.traits import Family

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnTerm:
    """The random effects of one term, and where they enter.

    Parameters
    ----------
    codes : (n,)
        Level of each row, 0 to J - 1; -1 where it has no effect.
    columns : (n, k)
    root : (k, k)
        Cov(b) = root root', in units of the linear predictor.
    given : (J, k)
        Effects that are held at a value; NaN for those that are drawn.
    """

    codes: IntVector
    columns: FloatMatrix
    root: FloatMatrix
    given: FloatMatrix

    def draw(self, rng: Generator) -> FloatVector:
        """What the effects add to the linear predictor of each row, (n,)."""
        # One draw for each level, in the order of the levels, whether or not it is
        # used: what is held, and the order of the rows, leave the others alone.
        drawn = rng.standard_normal(self.given.shape) @ self.root.T
        effects = np.where(np.isnan(self.given), drawn, self.given)
        # The code -1 is the last place, where zero stands.
        used = np.vstack([effects, np.zeros(effects.shape[1])])
        return np.asarray((self.columns * used[self.codes]).sum(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseLaw:
    """What the responses of some rows are drawn from.

    Parameters
    ----------
    fixed : (n,)
        X beta + offset; NaN in rows that have no response.
    terms : tuple of DrawnTerm
    family : Family
    shape_values : (s,)
    weights : (n,)
        Prior weights; numbers of trials of a binomial.
    """

    fixed: FloatVector
    terms: tuple[DrawnTerm, ...]
    family: Family
    shape_values: FloatVector
    weights: FloatVector

    def draw(self, rng: Generator) -> FloatVector:
        """One response for each row; NaN where none can be, (n,)."""
        eta = self.fixed.copy()
        for term in self.terms:
            eta += term.draw(rng)
        with np.errstate(all="ignore"):
            mean = np.asarray(self.family.link.mean(eta))
            possible = np.isfinite(mean) & self.family.traits.support.contains(mean)
        distribution = self.family.traits.distribution
        # Every row takes its share of the random numbers, as far as the family goes.
        means = np.where(possible, mean, self._some_mean)
        y = distribution.draw(rng, means, self.shape_values, self.weights)
        return np.where(possible, y, np.nan)

    @property
    def _some_mean(self) -> float:
        return 0.0 if self.family.traits.support.low < 0.0 else 0.5

    def draws(self, n: int, rng: Generator) -> FloatMatrix:
        """`n` responses for each row, (rows, n).

        The first ones do not depend on how many there are.

        Warns
        -----
        DroppedRowsWarning
            If some linear predictors were drawn for which the link has no mean.
        """
        out = np.empty((len(self.fixed), n), order="F")
        for column in range(n):
            out[:, column] = self.draw(rng)
        lost = np.isnan(out) & np.isfinite(self.fixed)[:, None]
        if lost.any():
            warn_caller(
                f"{int(lost.sum())} of {lost.size} simulated responses are NaN: the "
                f"{self.family.link.name} link gives no {self.family.name} mean at "
                "the linear predictors that were drawn for them",
                DroppedRowsWarning,
            )
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseForm:
    """How the responses of a model were given, and how simulated ones are.

    Parameters
    ----------
    levels : (failure, success) or None
        Of a categorical or boolean response.
    is_counted : bool
        Whether responses are numbers of successes, not shares.
    is_whole : bool
        Whether they are whole numbers.
    """

    levels: tuple[Any, Any] | None = None
    is_counted: bool = False
    is_whole: bool = False

    @classmethod
    def of(cls, design: ModelDesign, family: Family, trials: FloatVector) -> Self:
        """As the response of a design was given.

        Parameters
        ----------
        design : ModelDesign
        family : Family
        trials : (n,)
            Of the rows that are simulated, if the family has any.
        """
        if not family.traits.has_trials:
            return cls(is_whole=family.traits.distribution.is_discrete)
        counted = _n_columns(design) == 2
        return cls(
            levels=design.response_levels,
            is_counted=counted,
            is_whole=counted or bool((trials == 1.0).all()),
        )

    def frame(
        self, y: FloatMatrix, trials: FloatVector, index: pd.Index[Any]
    ) -> pd.DataFrame:
        """A column for each of the simulations (n, r), on the rows' labels."""
        values: FloatArray = np.round(y * trials[:, None]) if self.is_counted else y
        names = [f"sim_{number}" for number in range(1, y.shape[1] + 1)]
        missing = np.isnan(values)
        if self.levels is not None:
            return _labelled(values, missing, self.levels, names, index)
        if self.is_whole and not missing.any() and (np.abs(values) < 2.0**53).all():
            values = values.astype(np.int64)
        return pd.DataFrame(values, index=index, columns=names)


def _n_columns(design: ModelDesign) -> int:
    """How many columns the response was given as."""
    if design.formula is not None:
        return len(design.formula.responses)
    # Two columns of an array are named by both.
    return 2 if " + " in design.response and design.weights is not None else 1


def _labelled(
    y: FloatMatrix,
    missing: BoolVector,
    levels: tuple[Any, Any],
    names: Sequence[str],
    index: pd.Index[Any],
) -> pd.DataFrame:
    """Labels of failure and success in place of 0 and 1."""
    table = np.empty(3, dtype=object)
    table[:] = [*levels, None]
    found = table[np.where(missing, 2, y).astype(int)]
    frame = pd.DataFrame(found, index=index, columns=list(names))
    return frame if missing.any() else frame.infer_objects()
