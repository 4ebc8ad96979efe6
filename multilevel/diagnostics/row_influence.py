"""What single rows do to a fit, theta held.

Deleting row i changes the fixed effects by ``A m l'/(1 - h)``: exactly so in a linear
model of given theta, to first order in a generalized one.

References
----------
Cook (1977), Technometrics 19, 15-18.
Belsley, Kuh & Welsch (1980), Regression Diagnostics, section 2.1.
Demidenko & Stukel (2005), Statistics in Medicine 24, 893-909.

Held by tests/diagnostics/test_row_influence.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.diagnostics.effective_df import n_scale_parameters
from multilevel.diagnostics.estimates_without import determinant_ratio
from multilevel.diagnostics.one_by_one import refitted, without_each
from multilevel.diagnostics.residuals import pearson_residuals
from multilevel.diagnostics.working_rows import FittedRows, fitted_rows
from multilevel.display.frame_table import FrameTable
from multilevel.display.shown import ShownAsTable
from multilevel.optimize.common.fitted_model import FittedModel

NOTHING_LEFT = 1e-10
"""A row whose 1 - h is below this decides its own fitted value."""

_SHOWN = 10
_HELD = "The covariance of the random effects is held."
_REFITTED = "DFBETAS and covratio are by a refit without each row."


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RowInfluence(ShownAsTable):
    """Leverage of every row, and what the estimates would be without it.

    Attributes
    ----------
    note : str
        How the estimates without a row were found.
    """

    note: str
    _frame: pd.DataFrame = field(repr=False)

    @property
    def frame(self) -> pd.DataFrame:
        """`leverage`, `cooks_distance`, `covratio` and `dfbetas_<name>`, by row."""
        return self._frame.copy()

    def as_table(self) -> FrameTable:
        """The rows with the largest Cook's distances."""
        found = self._frame.sort_values(
            "cooks_distance", ascending=False, kind="stable"
        )
        shown = found.head(_SHOWN).rename_axis(index="row")
        if isinstance(shown.index, pd.RangeIndex):
            shown.index = pd.Index(list(shown.index), name="row")
        return FrameTable(
            shown,
            f"Influence of single rows: {len(shown)} of {len(found)}, by Cook's "
            "distance",
            (f"{self.note} All rows: .frame",),
        )


def row_influence(fitted: FittedModel) -> RowInfluence:
    """Leverage, Cook's distance, DFBETAS and covariance ratio of every row.

    Raises
    ------
    FitError
        If the modes of a generalized model are no maximum.
    """
    rows = fitted_rows(fitted)
    return _tabled(fitted, rows, deleted_rows(rows, _degrees_of_scale(fitted)), _HELD)


def with_refits(fitted: FittedModel, *, progress: bool = True) -> RowInfluence:
    """The same, DFBETAS and covariance ratio from a refit without each row.

    Leverage and Cook's distance are of the fit with theta held by what they are.
    """
    n = fitted.design.nobs
    found = without_each(fitted, np.arange(n), refitted, progress=progress)
    deleted = DeletedRows(
        change=fitted.beta - found.beta,
        se=np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2)),
        covratio=determinant_ratio(found),
    )
    return _tabled(fitted, fitted_rows(fitted), deleted, _REFITTED)


def _tabled(
    fitted: FittedModel, rows: FittedRows, deleted: DeletedRows, note: str
) -> RowInfluence:
    design = fitted.design
    columns = {
        "leverage": rows.leverage,
        "cooks_distance": _cooks_distance(fitted, rows.leverage),
        "covratio": deleted.covratio,
    }
    dfbetas = np.full((design.nobs, len(design.exog_names)), np.nan)
    # Of a column that was left out as aliased there is no estimate.
    dfbetas[:, design.kept] = deleted.dfbetas
    for name, own in zip(design.exog_names, dfbetas.T, strict=True):
        columns[f"dfbetas_{name}"] = own
    return RowInfluence(_frame=pd.DataFrame(columns, index=design.index), note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedRows:
    """Estimates without each of the rows.

    Parameters
    ----------
    change : (n, p)
        beta less its estimate without the row, in the user's columns.
    se : (n, p)
        Standard errors of the estimates without the row.
    covratio : (n,)
        Determinant of their covariance over that of all rows.
    """

    change: FloatMatrix
    se: FloatMatrix
    covratio: FloatVector

    @property
    def dfbetas(self) -> FloatMatrix:
        """Changes in units of the standard errors without the row, (n, p)."""
        return self.change / self.se


def deleted_rows(rows: FittedRows, nu: float | None) -> DeletedRows:
    """Fixed effects without each row.

    Parameters
    ----------
    rows : FittedRows
    nu : float or None
        Degrees of freedom of the residual variance; None if the scale is held.
    """
    along, w, score = rows.along, rows.weight, rows.score
    left = 1.0 - rows.leverage
    left = np.where(left > NOTHING_LEFT, left, np.nan)
    whole = along @ rows.user_root.T  # A m
    scale = np.ones_like(left)
    if nu is not None:
        # sigma^2 without the row, over sigma^2: w e^2/(1 - h) is what pwrss loses.
        fall = np.divide(np.square(score), w, out=np.zeros_like(w), where=w > 0)
        scale = (nu - fall / left) / (nu - 1.0)
    own = np.square(rows.user_root).sum(axis=1)
    variance = own + (w / left)[:, None] * np.square(whole)
    with np.errstate(invalid="ignore", divide="ignore"):
        return DeletedRows(
            change=whole * (score / left)[:, None],
            se=np.sqrt(variance * scale[:, None]),
            covratio=scale ** along.shape[1] * (1.0 - w * rows.alone) / left,
        )


def _degrees_of_scale(fitted: FittedModel) -> float | None:
    """n - p for REML, n for ML; None where the scale is not re-estimated."""
    if fitted.kind != "linear" or not n_scale_parameters(fitted):
        return None
    p = len(fitted.beta) if fitted.criterion == "REML" else 0
    return float(fitted.design.nobs - p)


def _cooks_distance(fitted: FittedModel, leverage: FloatVector) -> FloatVector:
    """(r / (1 - h))^2 h / (phi p), r the Pearson residual given the effects, (n,)."""
    p = len(fitted.beta)
    left = np.where(1.0 - leverage > NOTHING_LEFT, 1.0 - leverage, np.nan)
    if not p:
        return np.full_like(leverage, np.nan)
    squares = np.square(pearson_residuals(fitted) / left)
    return np.asarray(squares * leverage / (fitted.scale * p))
