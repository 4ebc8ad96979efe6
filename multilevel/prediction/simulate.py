"""New responses from a fitted model.

Held by tests/prediction/test_simulate.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector, FloatMatrix, IntVector
from multilevel.design.labels import encode_labels
from multilevel.design.model_design import ModelDesign
from multilevel.design.new_data import NewRows, encode_new_data
from multilevel.errors import DataError
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.option_values import as_count, as_generator, as_word
from multilevel.prediction.drawn_responses import (
    DrawnTerm,
    ResponseForm,
    ResponseLaw,
)
from multilevel.prediction.prediction_options import PredictionOptions
from multilevel.prediction.prediction_rows import RowsToPredict, rows_to_predict

DrawnEffects: TypeAlias = Literal["new", "estimated"] | Sequence[str]
DrawnLevels: TypeAlias = Literal["draw", "population", "missing", "raise"]

DRAWN_LEVELS = ("draw", "population", "missing", "raise")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationOptions:
    """What is asked of a simulation; see `simulate` of results.

    Parameters
    ----------
    random : "new", "estimated" or list of str
        Whether random effects are drawn anew; a list names the grouping factors of
        which they are not.
    new_levels : {"draw", "population", "missing", "raise"}
        What to do with a level that was not in the fit.
    offset, weights : str or array_like (rows,), optional
        Of new rows.
    """

    random: DrawnEffects = "new"
    new_levels: DrawnLevels = "draw"
    offset: Any = None
    weights: Any = None

    def held_factors(self, names: Sequence[str]) -> tuple[bool, ...]:
        """For each grouping factor whether its conditional modes are kept.

        Raises
        ------
        DataError
            For anything but the two words and names of grouping factors.
        """
        if isinstance(self.random, str) and self.random in ("new", "estimated"):
            return (self.random == "estimated",) * len(names)
        asked = [self.random] if isinstance(self.random, str) else self.random
        listed = list(asked) if isinstance(asked, list | tuple) else [asked]
        unknown = [name for name in listed if name not in names]
        if unknown:
            raise DataError(
                f'random={self.random!r} is not known; use "new", "estimated", or a '
                f"list of the grouping factors whose effects are kept, of {list(names)}"
            )
        return tuple(name in listed for name in names)


def simulate(
    fitted: FittedModel, n: int, seed: Any, data: Any, asked: SimulationOptions
) -> pd.DataFrame:
    """Responses drawn from the estimated model.

    Parameters
    ----------
    fitted : FittedModel
    n : int
        Number of simulations.
    seed : int, Generator, ... or None
    data : data frame or None
        New rows; None for those of the fit.
    asked : SimulationOptions

    Returns
    -------
    DataFrame
        A column ``sim_1``, ``sim_2``, ... for each simulation, in the form in which the
        response was given.

    Raises
    ------
    DataError
        For options that are not known, and as `rows_to_predict`.
    """
    columns, rng = as_count(n, "n"), as_generator(seed)
    as_word(asked.new_levels, DRAWN_LEVELS, "new_levels")
    held = asked.held_factors(fitted.design.factor_names)
    rows, levels = _rows(fitted.design, data, asked)
    law = ResponseLaw(
        fixed=rows.with_missing(rows.X @ fitted.beta + rows.offset),
        terms=_drawn_terms(fitted, rows, levels, held),
        family=fitted.family,
        shape_values=fitted.shape_values,
        weights=rows.weights,
    )
    form = ResponseForm.of(fitted.design, fitted.family, rows.weights)
    return form.frame(law.draws(columns, rng), rows.weights, rows.index)


@dataclass(frozen=True, slots=True)
class _Levels:
    """Level of each row by grouping factor, those of the fit first, and how many."""

    codes: tuple[IntVector, ...]
    counts: tuple[int, ...]


def _rows(
    design: ModelDesign, data: Any, asked: SimulationOptions
) -> tuple[RowsToPredict, _Levels]:
    anew = asked.new_levels == "draw"
    options = PredictionOptions(
        random="all",
        new_levels="population" if asked.new_levels == "draw" else asked.new_levels,
        offset=asked.offset,
        weights=asked.weights,
    )
    rows = rows_to_predict(design, data, options, every_effect=True)
    counts = tuple(factor.n_levels for factor in design.factors)
    if data is None or not anew:
        return rows, _Levels(rows.codes, counts)
    found = encode_new_data(design, data, offset=asked.offset)
    pairs = [_with_new_levels(found, k, count) for k, count in enumerate(counts)]
    levels = _Levels(*map(tuple, zip(*pairs, strict=True)))
    # A row whose group is not known has no effects to share with others.
    return replace(rows, missing=rows.missing | found.missing), levels


def _with_new_levels(
    found: NewRows, position: int, count: int
) -> tuple[IntVector, int]:
    """Codes in which the levels that the fit has not seen follow on its own."""
    codes = found.codes[position].copy()
    unseen: BoolVector = np.asarray((codes < 0) & ~found.missing)
    if not unseen.any():
        return codes, count
    labels = encode_labels(np.asarray(found.labels[position], dtype=object)[unseen])
    codes[unseen] = count + labels.codes
    return codes, count + len(labels.levels)


def _drawn_terms(
    fitted: FittedModel, rows: RowsToPredict, levels: _Levels, held: Sequence[bool]
) -> tuple[DrawnTerm, ...]:
    terms = []
    for term, columns, root, modes in zip(
        fitted.design.terms,
        rows.columns,
        fitted.effect_factors,
        fitted.modes,
        strict=True,
    ):
        factor = term.factor_index
        given: FloatMatrix = np.full((levels.counts[factor], len(root)), np.nan)
        if held[factor]:
            given[: len(modes)] = modes
        codes = levels.codes[factor]
        terms.append(DrawnTerm(codes=codes, columns=columns, root=root, given=given))
    return tuple(terms)
