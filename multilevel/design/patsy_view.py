"""The fixed part as patsy describes it, for code that reads patsy's design records.

Held by tests/design/test_column_identity.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from patsy import ContrastMatrix, DesignInfo
from patsy.desc import INTERCEPT, Term
from patsy.design_info import FactorInfo, SubtermInfo

from multilevel.array_types import FloatMatrix
from multilevel.design.design_record import ModelDesign, VariableCoding
from multilevel.design.fixed_effects import ColumnPlan
from multilevel.design.labels import distinct_labels
from multilevel.errors import DataError


class PlannedFactor:
    """A variable of the fixed part, by its expression.

    Its values are made by the design, not by patsy.

    Parameters
    ----------
    expression : str
    label : str
        Its name, which is not that of the intercept.
    """

    def __init__(self, expression: str, label: str) -> None:
        self.expression = expression
        self.label = label
        self.origin = None

    def name(self) -> str:
        """The expression, or what tells it apart."""
        return self.label

    def __repr__(self) -> str:
        return f"PlannedFactor({self.expression!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is PlannedFactor and other.expression == self.expression

    def __hash__(self) -> int:
        return hash((PlannedFactor, self.expression))

    def memorize_passes_needed(self, state: Any, eval_env: Any) -> int:
        """None: nothing is learned here."""
        return 0

    def eval(self, state: Any, data: Any) -> Any:
        """Refuse, with the way to predict."""
        raise DataError(
            f"patsy cannot evaluate {self.expression!r} of a mixed model's design; "
            "use result.predict(data) or result.get_prediction(data)"
        )


def design_info(design: ModelDesign) -> DesignInfo | None:
    """patsy's description of all fixed-effects columns, aliased ones included.

    Parameters
    ----------
    design : ModelDesign

    Returns
    -------
    DesignInfo or None
        None for the array interface, whose columns belong to no terms.
    """
    encoding = design.encoding
    if encoding is None:
        return None
    plan, variables = encoding.fixed, encoding.variables
    pieces = dict.fromkeys(p for term, _, _ in plan.terms for p in term)
    labels = distinct_labels([*pieces], taken=["Intercept"])
    factors = {
        piece: PlannedFactor(piece, label)
        for piece, label in zip(pieces, labels, strict=True)
    }
    infos = {
        factor: _factor_info(factor, variables[piece])
        for piece, factor in factors.items()
    }
    codings = OrderedDict(
        (
            Term([factors[p] for p in term]) if term else INTERCEPT,
            _subterms(plan, range(start, stop), factors, variables),
        )
        for term, start, stop in plan.terms
    )
    return DesignInfo(list(design.exog_names), infos, codings)


def _factor_info(factor: PlannedFactor, coding: VariableCoding) -> FactorInfo:
    if coding.levels is None:
        return FactorInfo(factor, "numerical", {}, num_columns=coding.n_columns)
    return FactorInfo(
        factor, "categorical", {}, categories=tuple(coding.levels.tolist())
    )


def _subterms(
    plan: ColumnPlan,
    columns: range,
    factors: Mapping[str, PlannedFactor],
    variables: Mapping[str, VariableCoding],
) -> list[SubtermInfo]:
    """Runs of columns that are products of the same factors with the same contrasts."""
    groups: list[list[int]] = []
    used: list[tuple[str, ...]] = []
    for column in columns:
        parts = tuple(piece for piece, _ in plan.recipes[column])
        if not used or parts != used[-1]:
            groups.append([])
            used.append(parts)
        groups[-1].append(column)
    return [
        _subterm(plan, parts, group, factors, variables)
        for parts, group in zip(used, groups, strict=True)
    ]


def _subterm(
    plan: ColumnPlan,
    parts: Sequence[str],
    columns: Sequence[int],
    factors: Mapping[str, PlannedFactor],
    variables: Mapping[str, VariableCoding],
) -> SubtermInfo:
    contrasts = {}
    for piece in parts:
        if variables[piece].levels is None:
            continue
        sources = [dict(plan.recipes[column])[piece] for column in columns]
        matrix = _distinct_columns(sources)
        suffixes = [f"[{number}]" for number in range(matrix.shape[1])]
        contrasts[factors[piece]] = ContrastMatrix(matrix, suffixes)
    used = [factors[piece] for piece in parts]
    return SubtermInfo(used, contrasts, len(columns))


def _distinct_columns(sources: Sequence[Any]) -> FloatMatrix:
    """Columns of a contrast matrix in order of appearance."""
    distinct = pd.DataFrame(np.array(sources, dtype=float)).drop_duplicates()
    return np.asarray(distinct).T
