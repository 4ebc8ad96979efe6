"""Whether two models were fitted to the same rows, in whatever order.

Held by tests/comparison/test_same_content.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from multilevel.array_types import FloatVector, IntVector
from multilevel.comparison.column_space import column_space
from multilevel.design.model_design import ModelDesign
from multilevel.errors import ComparisonError

Numbers: TypeAlias = FloatVector | None


@dataclass(frozen=True, slots=True)
class SameRows:
    """How the rows of a restricted model are those of a full one.

    Parameters
    ----------
    order : (n,) integers
        Row i of the full model is row ``order[i]`` of the restricted one.
    weight_ratio : float
        Weights of the full model over those of the restricted one.
    note : str
        What is to be said about it, or nothing.
    """

    order: IntVector
    weight_ratio: float
    note: str


def match_rows(smaller: ModelDesign, larger: ModelDesign, *, linear: bool) -> SameRows:
    """Match the rows of two designs and compare responses, weights and offsets.

    Parameters
    ----------
    smaller, larger : ModelDesign
    linear : bool
        A linear model's weights are relative: a common factor goes into sigma.

    Raises
    ------
    ComparisonError
        If the data differ, or rows in another order cannot be told apart.
    """
    if len(smaller.y) != len(larger.y):
        raise ComparisonError(
            f"the models were fitted to {len(smaller.y)} and {len(larger.y)} rows; "
            "fit both to the rows without missing values in either"
        )
    order, note = _order(smaller, larger)
    ratio = _weight_ratio(smaller.weights, larger.weights, order, linear=linear)
    if not linear:  # the same product of trials and case weights is not enough
        own = smaller.observation_weights, larger.observation_weights
        _weight_ratio(*own, order, linear=False)
    _reject_other_offset(smaller.offset, larger, order)
    return SameRows(order, ratio, note)


def _order(smaller: ModelDesign, larger: ModelDesign) -> tuple[IntVector, str]:
    """The permutation of the smaller model's rows, and a note if there is one."""
    if smaller.index.is_unique and not smaller.index.equals(larger.index):
        found = smaller.index.get_indexer(larger.index)
        everywhere = len(np.unique(found)) == len(found) and found.min() >= 0
        if everywhere and np.array_equal(smaller.y[found], larger.y):
            return np.asarray(found, dtype=np.intp), "rows matched by their index"
    if np.array_equal(smaller.y, larger.y):
        return np.arange(len(larger.y)), ""
    first, second = np.argsort(smaller.y), np.argsort(larger.y)
    values = larger.y[second]
    if not np.array_equal(smaller.y[first], values):
        raise ComparisonError("the models have different responses")
    if (np.diff(values) == 0).any():
        raise ComparisonError(
            "the models have the same responses in different orders, and neither the "
            "index nor the responses, of which some are equal, tell which rows belong "
            "together; fit both to one data frame"
        )
    order = np.empty(len(values), dtype=np.intp)
    order[second] = first
    return order, "rows matched by their responses"


def _weight_ratio(
    smaller: Numbers, larger: Numbers, order: IntVector, *, linear: bool
) -> float:
    """The factor between two sets of weights; None are ones."""
    first = np.ones(len(order)) if smaller is None else smaller[order]
    second = np.ones(len(order)) if larger is None else larger
    if np.array_equal(first, second):
        return 1.0
    used = first > 0
    if linear and np.array_equal(used, second > 0):
        ratio = second[used] / first[used]
        if np.ptp(ratio) <= 1e-12 * ratio.max():
            return float(np.median(ratio))
    raise ComparisonError("the models have different weights")


def _reject_other_offset(
    smaller: Numbers, larger: ModelDesign, order: IntVector
) -> None:
    """Refuse an offset that the full model cannot make up for by fixed effects."""
    first = np.zeros(len(order)) if smaller is None else smaller[order]
    second = np.zeros(len(order)) if larger.offset is None else larger.offset
    gap = first - second
    if gap.any() and not column_space(larger.X).contains(gap[:, None])[0]:
        raise ComparisonError("the models have different offsets")
