"""Tables of the regressions of single groups.

Held by tests/comparison/test_unpooled.py.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatVector
from multilevel.display.column_formats import Columns, as_numbers
from multilevel.display.frame_table import FrameTable
from multilevel.display.number_text import number_text
from multilevel.inference.intervals import two_sided_p

if TYPE_CHECKING:
    from multilevel.comparison.unpooled import Unpooled


def tidy_frame(
    params: pd.DataFrame,
    se: pd.DataFrame,
    nobs: pd.Series,
    df: FloatVector,
    limits: pd.DataFrame,
) -> pd.DataFrame:
    """One row for each group and coefficient."""
    p = params.shape[1]
    estimate, error = params.to_numpy().ravel(), se.to_numpy().ravel()
    each = np.repeat(df, p)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = estimate / error
    return pd.DataFrame(
        {
            "group": params.index.repeat(p),
            "effect": np.tile(params.columns, len(params)),
            "nobs": np.repeat(nobs.to_numpy(), p),
            "estimate": estimate,
            "se": error,
            "df": each,
            "t" if np.isfinite(df).all() else "z": ratio,
            "pvalue": two_sided_p(ratio, each),
            "lower": limits["lower"].to_numpy(),
            "upper": limits["upper"].to_numpy(),
        }
    )


def spread_table(fits: Unpooled) -> FrameTable:
    """Mean, standard deviation, quartiles over groups; below it what was left out."""
    columns = fits.params
    if fits.has_scale:
        columns = columns.assign(sigma=fits.sigma)
    quantiles = columns.quantile([0.0, 0.25, 0.5, 0.75, 1.0]).T
    quantiles.columns = ["min", "25%", "50%", "75%", "max"]
    typical = fits.bse.median().reindex(columns.columns)
    frame = pd.DataFrame({"mean": columns.mean(), "sd": columns.std()})
    frame = pd.concat([frame, quantiles], axis=1).assign(median_se=typical)
    return FrameTable(
        frame,
        title=f"Un-pooled: {fits.formula}",
        notes=_notes(fits),
        headings={"mean": "Mean", "median_se": "Median Std.Err."},
        formats=dict.fromkeys(frame.columns, _numbers_or_nothing),
    )


def _numbers_or_nothing(columns: Columns, name: Any, digits: int) -> list[str]:
    """Nothing for the standard error of sigma."""
    texts = as_numbers(columns, name, digits)
    gaps = columns[name].isna()
    return ["" if gap else text for text, gap in zip(texts, gaps, strict=True)]


def _notes(fits: Unpooled) -> tuple[str, ...]:
    n, of = len(fits.fitted), fits.factor.n_levels
    first = (
        f"A regression for each of {n} of {of} groups of {fits.factor.name}, "
        f"{int(fits.nobs.sum())} of {fits.design.nobs} rows."
    )
    if fits.has_scale:
        first += (
            f" Pooled sigma {number_text(fits.pooled_sigma, 4)} on {fits.df_resid} df."
        )
    llf = f"Log-likelihood {fits.llf:.4f}, {fits.df_model} parameters."
    return (f"{first} {llf}", *_left_out(fits), *_without_error(fits))


def _left_out(fits: Unpooled) -> list[str]:
    notes = [f"Left out: {name}, {why}." for name, why in fits.dropped.items()]
    if fits.excluded:
        kinds = Counter(why.split(":")[0] for why in fits.excluded.values())
        counts = ", ".join(f"{why} ({count})" for why, count in kinds.most_common())
        notes.append(
            f"Groups without a regression: {counts}; excluded says which and why."
        )
    return notes


def _without_error(fits: Unpooled) -> list[str]:
    exact = fits.groups[~np.isfinite(fits.llf_groups.to_numpy())]
    if not len(exact):
        return []
    shown = ", ".join(map(str, exact[:3])) + ", ..." * (len(exact) > 3)
    return [
        f"Fitted without error, so that their sigma is zero and the likelihood has no "
        f"maximum: {len(exact)} groups ({shown})."
    ]
