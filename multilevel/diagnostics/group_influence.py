"""What whole groups do to a fit: estimates without each, and how far they move.

Cook's distance is ``(beta - beta_j)'C^-1 (beta - beta_j) / p`` with C the covariance of
beta, DFBETAS are changes over the standard errors without the group, and the covariance
ratio is ``|C_j| / |C|``.

References
----------
Cook (1977), Technometrics 19, 15-18.
Belsley, Kuh & Welsch (1980), Regression Diagnostics, section 2.1.
Loy & Hofmann (2014), J. Stat. Softw. 56(5), section 3.

Held by tests/diagnostics/test_group_influence.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatMatrix
from multilevel.diagnostics.estimates_without import (
    WithoutGroups,
    component_names,
    determinant_ratio,
)
from multilevel.diagnostics.one_by_one import STEPS, refitted, without_each
from multilevel.diagnostics.one_step_generalized import one_step_generalized
from multilevel.diagnostics.one_step_linear import one_step_linear
from multilevel.display.frame_table import FrameTable
from multilevel.display.shown import ShownAsTable
from multilevel.errors import DataError, FitError
from multilevel.methods import ModelKind
from multilevel.optimize.common.fitted_model import FittedModel

_SHOWN = 10
_HOW = {
    "one-step": "One step from the estimates, not refits.",
    "refits": "Refits without each group.",
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GroupInfluence(ShownAsTable):
    """Estimates without each level of a grouping factor.

    Attributes
    ----------
    factor : str
        The grouping factor.
    method : str
        ``"one-step"`` or ``"refits"``.
    excluded : dict
        Level -> why there are no estimates without it; NaN in the tables.
    """

    factor: str
    method: str
    excluded: dict[object, str]
    _params: pd.DataFrame = field(repr=False)
    _dfbetas: pd.DataFrame = field(repr=False)
    _components: pd.DataFrame = field(repr=False)
    _measures: pd.DataFrame = field(repr=False)

    @property
    def params(self) -> pd.DataFrame:
        """Fixed effects without each group, levels in rows."""
        return self._params.copy()

    @property
    def dfbetas(self) -> pd.DataFrame:
        """Their changes, all less without, in standard errors without the group."""
        return self._dfbetas.copy()

    @property
    def variance_components(self) -> pd.DataFrame:
        """Standard deviations, correlations and `sigma` without each group."""
        return self._components.copy()

    @property
    def cooks_distance(self) -> pd.Series:
        """Squared change of the fixed effects by their covariance, over p."""
        return self._measures["cooks_distance"].copy()

    @property
    def covratio(self) -> pd.Series:
        """Determinant of the covariance of the fixed effects over that of all groups.

        Above one if the group makes the estimates more precise.
        """
        return self._measures["covratio"].copy()

    @property
    def frame(self) -> pd.DataFrame:
        """`nobs`, `cooks_distance`, `covratio` and `dfbetas_<name>`, by level."""
        return self._measures.join(self._dfbetas.add_prefix("dfbetas_"))

    def as_table(self) -> FrameTable:
        """The groups with the largest Cook's distances."""
        found = self.frame.sort_values("cooks_distance", ascending=False, kind="stable")
        shown = found.head(_SHOWN)
        notes = [_HOW[self.method]]
        if self.excluded:
            level, why = next(iter(self.excluded.items()))
            notes.append(f"No estimates without {len(self.excluded)}: {level}: {why}")
        return FrameTable(
            shown,
            f"Influence of {self.factor}: {len(shown)} of {len(found)} levels, by "
            "Cook's distance",
            tuple(notes),
        )


TOGETHER: MappingProxyType[ModelKind, Callable[[Any, int], WithoutGroups]] = (
    MappingProxyType({"linear": one_step_linear, "generalized": one_step_generalized})
)
"""Kind of model -> one step without each level of an independent factor."""


def group_influence(
    fitted: FittedModel, level: str, *, exact: bool = False, progress: bool = True
) -> GroupInfluence:
    """Delete each level of a grouping factor.

    Parameters
    ----------
    fitted : FittedModel
    level : str
        The grouping factor.
    exact : bool
        Refit without each level, instead of one step.
    progress : bool
        Whether to show a bar on a terminal where levels are deleted one by one.

    Raises
    ------
    DataError
        If there is no such grouping factor.
    FitError
        If the likelihood cannot be evaluated next to the estimates.
    """
    names = fitted.design.factor_names
    if level not in names:
        listed = ", ".join(map(repr, names))
        raise DataError(
            f"level={level!r} is no grouping factor of this model; there is {listed}. "
            "Without a level the influence is that of single rows"
        )
    position = names.index(level)
    if exact:
        codes = fitted.design.factors[position].codes
        found = without_each(fitted, codes, refitted, progress=progress)
    else:
        found = _one_step(fitted, position, progress=progress)
    return _measured(fitted, position, found, "refits" if exact else "one-step")


def _one_step(fitted: FittedModel, position: int, *, progress: bool) -> WithoutGroups:
    if _is_independent(fitted, position):
        return TOGETHER[fitted.kind](fitted, position)
    codes = fitted.design.factors[position].codes
    return without_each(fitted, codes, STEPS[fitted.kind], progress=progress)


def _is_independent(fitted: FittedModel, position: int) -> bool:
    """Whether no two levels share a random effect."""
    try:
        return fitted.problem.independent_factor() == position
    except FitError:
        return False  # crossed


def _measured(
    fitted: FittedModel, position: int, found: WithoutGroups, method: str
) -> GroupInfluence:
    """Distances of the estimates without each group from those of all."""
    design, factor = fitted.design, fitted.design.factors[position]
    change = fitted.beta - found.beta
    root, p = fitted.fixed_root, len(fitted.beta)
    along = np.linalg.solve(root, change.T) if p else np.zeros((0, len(change)))
    with np.errstate(invalid="ignore", divide="ignore"):
        se = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
        measures = {
            "nobs": factor.sizes,
            "cooks_distance": np.square(along).sum(axis=0) / (p or np.nan),
            "covratio": determinant_ratio(found),
        }
        scaled = change / se
    names, index = list(design.exog_names), factor.levels.rename(factor.name)
    return GroupInfluence(
        factor=factor.name,
        method=method,
        excluded={factor.levels[j]: why for j, why in found.excluded.items()},
        _params=_with_aliased(fitted, found.beta, names, index),
        _dfbetas=_with_aliased(fitted, scaled, names, index),
        _components=pd.DataFrame(
            found.components, index=index, columns=list(component_names(fitted))
        ),
        _measures=pd.DataFrame(measures, index=index),
    )


def _with_aliased(
    fitted: FittedModel,
    values: FloatMatrix,
    names: list[str],
    index: pd.Index[Any],
) -> pd.DataFrame:
    """Columns (J, p) among those of all fixed effects, NaN where left out."""
    out = np.full((len(values), len(names)), np.nan)
    out[:, fitted.design.kept] = values
    return pd.DataFrame(out, index=index, columns=names)
