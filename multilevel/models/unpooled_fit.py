"""A formula to regressions of single groups.

Held by tests/comparison/test_unpooled.py.
"""

from __future__ import annotations

from typing import Any

from multilevel.comparison.fit_unpooled import fit_unpooled
from multilevel.comparison.unpooled import Unpooled
from multilevel.design.model_design import build_design
from multilevel.design.response import warn_of_fractions
from multilevel.errors import DataError
from multilevel.formula.environment import caller_namespace
from multilevel.formula.parse import parse_formula_by_group
from multilevel.likelihood.families.traits import Family
from multilevel.models.given_family import read_family


def unpooled(
    formula: str,
    data: Any,
    *,
    family: Any = None,
    weights: Any = None,
    offset: Any = None,
    missing: str = "drop",
    group: str | None = None,
) -> Unpooled:
    """One regression per group, each with its own residual standard deviation.

    The fixed part of the formula is fitted to the rows of each group alone, by least
    squares, or by maximum likelihood for a generalized model; all groups at once.

    Parameters
    ----------
    formula : str
        A mixed-model formula, whose random terms only say what the groups are, or
        nlme's short form ``y ~ x | g``.
    data : pandas DataFrame, dict of columns, polars DataFrame or pyarrow Table
        The columns.
    family : str or statsmodels family, optional
        As for `mixedglm`; None for linear regressions. A negative binomial must be an
        instance, which holds its dispersion.
    weights : str or array_like, optional
        As for `mixedlm` and `mixedglm`.
    offset : str or array_like, optional
        Known part of the linear predictor.
    missing : {"drop", "raise"}
        What to do with rows in which something that the model uses is missing.
    group : str, optional
        The grouping factor, where the formula has several.

    Returns
    -------
    Unpooled

    Raises
    ------
    ComparisonError
        If no group can be fitted, or the grouping factor is not clear.
    DataError, FormulaError
        As for `mixedlm`.

    Notes
    -----
    A group is fitted if its rows determine every coefficient and, where there is a
    residual variance, leave a degree of freedom for it. The others are in `excluded`
    with the reason. A column that no group can estimate, such as a covariate of the
    groups, is left out and is in `dropped`.

    References
    ----------
    Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 4.1 (lmList).

    Examples
    --------
    >>> import multilevel as ml
    >>> fits = ml.unpooled("math ~ ses | school", ml.datasets.load("hsb"))
    >>> fits.params.mean().round(3)
    Intercept    12.601
    ses           2.202
    dtype: float64
    >>> len(fits.groups), fits.excluded
    (160, {})
    """
    known = None if family is None else _family(family)
    design = build_design(
        parse_formula_by_group(formula),
        data,
        weights=weights,
        offset=offset,
        missing=missing,
        environment=caller_namespace(),
        family_is_binomial=known is not None and known.traits.has_trials,
        # Whether groups leave rows for a residual variance is looked at one by one.
        residual_estimated=False,
    )
    if known is not None and known.traits.is_count:
        warn_of_fractions(design.y, design.response, known.name)
    is_linear = known is None or _is_linear(known)
    return fit_unpooled(
        design, None if is_linear else known, group=group, formula=formula.strip()
    )


def _is_linear(family: Family) -> bool:
    return family.traits.constant_variance and family.link.name == "identity"


def _family(given: Any) -> Family:
    """The family, if each group can have its shape parameters."""
    family = read_family(given)
    free = [shape.name for shape in family.shapes if not shape.is_scale]
    if free:
        raise DataError(
            f"the {free[0]} of a {family.traits.spoken_name} family cannot be "
            "estimated in each group; hold it, as in family="
            "sm.families.NegativeBinomial(alpha=0.5), or use family='poisson'"
        )
    return family
