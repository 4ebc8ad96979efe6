"""Likelihood-ratio tests between two fitted mixed models.

Held by tests/comparison/test_nested_models.py.
"""

from __future__ import annotations

import numpy as np

from multilevel.array_types import FloatMatrix
from multilevel.comparison.column_space import (
    column_space,
    log_volume,
)
from multilevel.comparison.covariance_change import (
    CovarianceChange,
    covariance_change,
)
from multilevel.comparison.nested_directions import nested_directions
from multilevel.comparison.same_rows import SameRows, match_rows
from multilevel.comparison.working_model import working_design
from multilevel.design.model_design import ModelDesign
from multilevel.errors import ComparisonError
from multilevel.inference.expected_information import expected_information
from multilevel.inference.likelihood_ratio import LRTest, likelihood_ratio_test
from multilevel.inference.null_distribution import (
    NullDistribution,
    null_distribution,
)
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.optimize.linear.problem import build_problem


def compare_nested(restricted: FittedModel, full: FittedModel) -> LRTest:
    """Likelihood-ratio test of two results of which one is nested in the other.

    Rows, groups and columns are compared by content. Where the models differ in
    variance parameters that the restricted one sets to zero, the null distribution is
    the chi-bar-square mixture for them: adding one effect to a term of q correlated
    effects gives ``0.5 chi2(q) + 0.5 chi2(q + 1)`` (Stram & Lee 1994, case 3).

    Parameters
    ----------
    restricted, full : FittedModel
        In either order.

    Returns
    -------
    LRTest
        With a note if the order was the other one.

    Raises
    ------
    ComparisonError
        For different rows, responses, families or criteria, REML fits with different
        fixed effects, and models that are not nested.
    """
    notes = ("the models were given in the other order",)
    if restricted.n_parameters > full.n_parameters:
        return _compare(full, restricted, notes)
    try:
        return _compare(restricted, full, ())
    except ComparisonError as error:
        if restricted.n_parameters < full.n_parameters:
            raise
        try:
            return _compare(full, restricted, notes)
        except ComparisonError:
            raise error from None


def _compare(
    restricted: FittedModel, full: FittedModel, notes: tuple[str, ...]
) -> LRTest:
    """The test of a model that is nested in the other."""
    smaller, larger = restricted.design, full.design
    edge = _shape_edge(restricted, full)
    _reject_other_criterion(restricted, full)
    rows = match_rows(smaller, larger, linear=isinstance(full, LinearFittedModel))
    n_fixed, change_of_units = _fixed_part(smaller, larger, rows, full.criterion)
    change = covariance_change(smaller, larger, rows.order)
    null = _null_distribution(restricted, full, change, rows, n_fixed, edge)
    if change_of_units:
        notes = (*notes, "restricted likelihoods in the same fixed columns")
    return likelihood_ratio_test(
        restricted.llf + change_of_units,
        full.llf,
        df=full.n_parameters - restricted.n_parameters,
        null=null,
        restricted=restricted.formula,
        full=full.formula,
        criterion=full.criterion,
        notes=(*notes, *([rows.note] if rows.note else [])),
    )


def _reject_other_criterion(restricted: FittedModel, full: FittedModel) -> None:
    """Refuse to compare REML with ML, or different approximations."""
    if restricted.criterion != full.criterion:
        option = "reml" if restricted.criterion in ("REML", "ML") else "nagq"
        raise ComparisonError(
            f"one model was fitted by {restricted.criterion}, the other by "
            f"{full.criterion}; fit both with the same {option}="
        )


def _shape_edge(restricted: FittedModel, full: FittedModel) -> bool:
    """Whether the full model adds a shape parameter that the other has at its edge.

    A Poisson model is a negative binomial one with alpha = 1 / size = 0. Other families
    or links are refused; a linear model has none.
    """
    first, second = restricted.family, full.family
    simpler = [shape.edge.family for shape in second.shapes if shape.edge]
    if first.name in simpler and first.link.is_same(second.link):
        return True
    linear = [isinstance(fitted, LinearFittedModel) for fitted in (restricted, full)]
    if linear[0] is linear[1] and first.is_same(second):
        return False
    names = [
        "linear" if is_linear else str(family)
        for is_linear, family in zip(linear, (first, second), strict=True)
    ]
    raise ComparisonError(
        f"the models have different families: {names[0]} and {names[1]}. The test "
        "needs one family and link"
    )


def _fixed_part(
    smaller: ModelDesign, larger: ModelDesign, rows: SameRows, criterion: str
) -> tuple[int, float]:
    """How many columns X gains, and what units do to a restricted likelihood.

    The restricted likelihood holds ``-log|X'V^-1 X| / 2``: for the same space in other
    columns X C it is smaller by log|C|.
    """
    small_x, large_x = smaller.X[rows.order], larger.X
    if not column_space(large_x).contains(small_x).all():
        raise ComparisonError(
            "the fixed effects of the restricted model are not among those of the "
            "other; neither model is a special case of the other"
        )
    gained = int(large_x.shape[1] - small_x.shape[1])
    if criterion != "REML" or not small_x.shape[1]:
        return gained, 0.0
    if gained:
        raise ComparisonError(
            "REML likelihoods of models with different fixed effects cannot be "
            "compared; fit both with reml=False"
        )
    change = log_volume(small_x) - log_volume(large_x)
    # Else the rounding of two volumes would be told as a change of columns.
    return 0, change if abs(change) > 1e-9 else 0.0


def _null_distribution(
    restricted: FittedModel,
    full: FittedModel,
    change: CovarianceChange,
    rows: SameRows,
    n_fixed: int,
    edge: bool,
) -> NullDistribution:
    """Chi-square if nothing is on the edge, else the mixture for the cones."""
    free, sizes = n_fixed + change.n_free, change.sizes
    if edge and sizes:
        raise ComparisonError(
            "the models differ both in a shape parameter and in variances that the "
            "restricted one has at zero; test one after the other"
        )
    if edge:
        sizes = [1]

    def information() -> FloatMatrix:
        return _information(restricted, full, change, rows)

    return null_distribution(information, sizes, free=free)


def _information(
    restricted: FittedModel, full: FittedModel, change: CovarianceChange, rows: SameRows
) -> FloatMatrix:
    """Information at the restricted estimates; what has no edge comes first.

    The columns of two designs are compared here, which takes their rows.
    """
    design, scale_known = full.design, False
    if isinstance(full, LinearFittedModel):
        problem = full.problem
    else:
        family, eta = full.family, restricted.eta[rows.order]
        design = working_design(family, design, eta, np.log(restricted.shape_values))
        problem = build_problem(design)
        scale_known = not family.has_scale
    lams, directions = nested_directions(problem, design, restricted, change, rows)
    return expected_information(
        problem, design, lams, directions,
        reml=full.criterion == "REML", scale_known=scale_known,
    )  # fmt: skip
