"""Responses of a design, for parameters that are given and not estimated.

Held by tests/simulation/test_simulate_design.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatVector
from multilevel.design.frames import column_names, read_columns
from multilevel.design.model_design import ModelDesign, build_design
from multilevel.errors import DataError
from multilevel.formula.parse import parse_formula
from multilevel.likelihood.families.registry import family_of
from multilevel.likelihood.families.traits import Family
from multilevel.option_values import as_count, as_generator
from multilevel.prediction.drawn_responses import (
    DrawnTerm,
    ResponseForm,
    ResponseLaw,
)
from multilevel.simulation.named_parameters import (
    GivenParameters,
    ModelParameters,
    read_parameters,
)

_STAND_IN = "response_that_is_simulated"


def family_or_normal(family: Any) -> Family:
    """The family of a generalized model, or that of a linear one.

    Parameters
    ----------
    family : str, statsmodels family, Family or None
        None for a linear model.
    """
    if isinstance(family, Family):
        return family
    return family_of("gaussian" if family is None else family)


def design_without_response(
    formula: str,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    environment: Mapping[str, object] | None = None,
) -> ModelDesign:
    """The columns and groups of a formula; what is left of ``~`` is not looked at.

    Parameters
    ----------
    formula : str
    data : data frame
        The response need not be in it.
    weights, offset : str or array_like, optional
    environment : mapping, optional
        The caller's namespace.

    Raises
    ------
    FormulaError, DataError
        As for a model.
    """
    parsed = parse_formula(formula)
    table = read_columns(data, column_names(data))
    if not table.n_rows:
        raise DataError("the data have no rows; was everything filtered out?")
    if not parsed.random:
        raise DataError(f"{formula!r} has no random term, such as (1 | group)")
    columns = {**table.columns, _STAND_IN: np.arange(float(table.n_rows))}
    design = build_design(
        replace(parsed, response=_STAND_IN, responses=(_STAND_IN,)),
        pd.DataFrame(columns, index=table.index),
        weights=weights,
        offset=offset,
        environment=environment,
        # A single study may be smaller than what variances could be told from.
        residual_estimated=False,
    )
    return replace(design, formula=parsed, response=parsed.response)


def law_of(
    design: ModelDesign, family: Family, parameters: ModelParameters
) -> ResponseLaw:
    """What the responses of a design are drawn from, all random effects new."""
    offset = np.zeros(design.nobs) if design.offset is None else design.offset
    factors = [design.factors[term.factor_index] for term in design.terms]
    parts = zip(design.terms, factors, parameters.roots, strict=True)
    terms = tuple(
        DrawnTerm(
            codes=factor.codes,
            columns=term.columns,
            root=root,
            given=np.full((factor.n_levels, len(root)), np.nan),
        )
        for term, factor, root in parts
    )
    return ResponseLaw(
        fixed=design.X @ parameters.beta + offset,
        terms=terms,
        family=family,
        shape_values=parameters.shape_values,
        weights=weights_of(design),
    )


def weights_of(design: ModelDesign) -> FloatVector:
    """Prior weights or numbers of trials, ones where there are none, (n,)."""
    return np.ones(design.nobs) if design.weights is None else design.weights


def simulate_responses(
    design: ModelDesign, family: Any, given: GivenParameters, *, n: int, seed: Any
) -> pd.DataFrame:
    """Responses of a design for given parameters.

    Parameters
    ----------
    design : ModelDesign
    family : str, statsmodels family, Family or None
    given : GivenParameters
    n : int
    seed : int, Generator, ... or None

    Returns
    -------
    DataFrame
        As `simulate` of results.
    """
    count, rng, found = as_count(n, "n"), as_generator(seed), family_or_normal(family)
    parameters = read_parameters(given, design, found, linear=family is None)
    law = law_of(design, found, parameters)
    form = ResponseForm.of(design, found, law.weights)
    return form.frame(law.draws(count, rng), law.weights, design.index)
