"""Residuals, and what else shows where the model does not fit.

Held by tests/results/test_mixedglm_results.py and tests/diagnostics/test_residuals.py.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from multilevel.array_types import FloatVector
from multilevel.diagnostics.group_influence import GroupInfluence
from multilevel.diagnostics.influence import influence
from multilevel.diagnostics.residuals import residuals
from multilevel.diagnostics.row_influence import RowInfluence
from multilevel.plots.influence_index import influence_index
from multilevel.results.kept_value import kept_value
from multilevel.results.predictions import Predictions


class Diagnostics(Predictions):
    """Residuals of every kind."""

    @kept_value
    def resid(self) -> FloatVector:
        """Response less `fittedvalues`."""
        return self._fitted.design.y - self.fittedvalues

    @property
    def resid_pearson(self) -> FloatVector:
        """`resid` over the root of the variance function, times that of the weights."""
        return residuals(self._fitted, "pearson")

    def get_residuals(self, kind: str = "response", *, seed: int = 0) -> pd.Series:
        """Residuals of one kind.

        Parameters
        ----------
        kind : str
            ``"response"``; ``"pearson"``, over the root of the variance function and
            times that of the prior weights; ``"scaled"``, Pearson residuals in units
            of the root of the scale; ``"deviance"``; ``"quantile"``, standard normal
            if the model holds, drawn at random within the jumps of a discrete
            distribution; ``"marginal"``, response less the mean over the random
            effects; of a generalized model also ``"working"``, on the scale of the
            linear predictor. All but the marginal ones are given the random effects.
        seed : int
            Of the draws of the quantile residuals.

        Returns
        -------
        Series
        """
        values = residuals(self._fitted, kind, seed=seed)
        return pd.Series(values, index=self._fitted.design.index, name=kind)

    def influence(
        self, level: str | None = None, exact: bool = False, *, progress: bool = True
    ) -> RowInfluence | GroupInfluence:
        """What single rows, or whole groups, do to the estimates.

        Parameters
        ----------
        level : str, optional
            A grouping factor: each of its levels is deleted in turn. Without one each
            row is, with the covariance of the random effects held.
        exact : bool
            Refit without each level or row, instead of one step from the estimates.
        progress : bool
            Show a bar on a terminal if refits take longer than a second.

        Returns
        -------
        RowInfluence
            `frame` by row: leverage of y on the fitted values, Cook's distance,
            covariance ratio, DFBETAS.
        GroupInfluence
            With `level`: `params`, `cooks_distance`, `dfbetas`, `covratio` and
            `variance_components` without each level.

        Raises
        ------
        DataError
            If `level` is no grouping factor.

        Examples
        --------
        >>> import multilevel as ml
        >>> data = ml.datasets.load("sleepstudy")
        >>> result = ml.mixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
        >>> round(float(result.influence().frame["leverage"].sum()), 3)
        29.022
        >>> result.influence("Subject").cooks_distance.idxmax()
        '309'
        """
        return influence(self._fitted, level, exact=exact, progress=progress)

    def plot_influence(
        self, level: str | None = None, measure: str = "cooks_distance", ax: Any = None
    ) -> Any:
        """A measure of influence of every row or group, the largest ones named.

        Parameters
        ----------
        level : str, optional
            A grouping factor; rows by default.
        measure : str
            A column of ``influence(level).frame``.
        ax : matplotlib Axes, optional
            New ones by default.

        Returns
        -------
        Axes
        """
        return influence_index(self.influence(level).frame, measure, ax)
