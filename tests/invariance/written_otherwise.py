"""One data set, written in other ways that change no model: what is asked of a fit.

A `Writing` says how the columns, labels and rows of a frame are written; `numbers_of`
collects what a result says in numbers that are comparable between writings: tests,
degrees of freedom, predictions with their limits, variances at given covariates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import multilevel as ml


@dataclass(frozen=True)
class Writing:
    """How a frame ``y, x, f, g, h`` is written; the identity by default.

    Attributes
    ----------
    shift, scale : float
        x is written as ``shift + scale * x``.
    f : str
        The factor f in the formula.
    rows, labels : callable
        What is done to a frame: order of its rows, its labels.
    x : str
        The name of x in the formula.
    """

    shift: float = 0.0
    scale: float = 1.0
    f: str = "f"
    rows: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame
    labels: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame
    x: str = "x"

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame so written, in the order of its own rows."""
        written = frame.assign(x=self.shift + self.scale * frame["x"])
        return self.labels(written)


def _relabelled(frame: pd.DataFrame) -> pd.DataFrame:
    """Groups as numbers in the opposite order, h as a categorical in an odd order."""
    groups = frame["g"].str[1:].astype(int)
    order = ["h3", "h0", "h4", "h1", "h2", "h5"]
    return frame.assign(g=1000 - groups, h=pd.Categorical(frame["h"], order))


WRITINGS = {
    "other unit": Writing(scale=1e-6),
    "large unit": Writing(scale=-1e5),
    "years": Writing(shift=2005.0),
    "metres from the equator": Writing(shift=5.4e6, scale=100.0),
    "rows backwards": Writing(rows=lambda frame: frame.iloc[::-1]),
    "rows in any order": Writing(
        rows=lambda frame: frame.sample(frac=1, random_state=3)
    ),
    "other labels": Writing(labels=_relabelled),
    "last level as reference": Writing(f="C(f, Treatment('w'))"),
    "sums to zero": Writing(f="C(f, Sum)"),
    "differences": Writing(f="C(f, Diff)"),
    "levels in another order": Writing(f="C(f, levels=['w', 'u', 'v'])"),
    "a hostile name": Writing(
        labels=lambda frame: frame.rename(columns={"x": "Intercept"}), x="Intercept"
    ),
}


def grouped_frame(seed: int, family: str = "gaussian") -> pd.DataFrame:
    """Rows ``y, x, f, g, h`` with effects of all of them, away from boundaries."""
    rng = np.random.default_rng(seed)
    n_groups, n_rows = 12, 10
    codes = np.repeat(np.arange(n_groups), n_rows)
    items = rng.integers(0, 6, codes.size)
    x = rng.normal(size=codes.size)
    f = rng.integers(0, 3, codes.size)
    eta = (
        rng.normal(size=n_groups)[codes]
        + rng.normal(scale=0.7, size=n_groups)[codes] * x
        + rng.normal(scale=0.8, size=6)[items]
        + np.array([0.0, 0.5, -0.5])[f]
        + 0.4 * x
    )
    draws = {
        "gaussian": lambda: eta + rng.normal(size=codes.size),
        "binomial": lambda: (rng.random(codes.size) < 1 / (1 + np.exp(-eta))) * 1.0,
        "poisson": lambda: rng.poisson(np.exp(0.7 + eta)).astype(float),
        "gamma": lambda: rng.gamma(4.0, np.exp(0.5 * eta) / 4.0),
    }
    y = draws["poisson" if family == "negativebinomial" else family]()
    return pd.DataFrame(
        {
            "y": y,
            "x": x,
            "f": np.array(["u", "v", "w"])[f],
            "g": [f"g{code:02}" for code in codes],
            "h": [f"h{item}" for item in items],
        }
    )


def fit(frame: pd.DataFrame, text: str, writing: Writing, family: str) -> Any:
    """The model in that writing; `text` has ``{x}`` and ``{f}`` in it."""
    formula = text.format(x=writing.x, f=writing.f)
    rows = writing.rows(writing.of(frame))
    if family == "gaussian":
        return ml.mixedlm(formula, rows).fit(reml=True)
    return ml.mixedglm(formula, rows, family=family).fit()


def numbers_of(result: Any, frame: pd.DataFrame, writing: Writing) -> dict[str, Any]:
    """What must not depend on the writing, by name."""
    rows = writing.of(frame.iloc[::7])
    new = writing.of(frame.iloc[:2])
    new["g"] = -1 if pd.api.types.is_numeric_dtype(new["g"]) else "new"
    sign = np.sign(writing.scale)
    predicted = result.get_prediction(rows).summary_frame()
    numbers = {
        # By position: a column may be called as the intercept is. Numbers come last.
        "t": sign * np.asarray(result.tvalues)[-1],
        "p": np.asarray(result.pvalues)[-1],
        "df": np.asarray(result.ddf)[-1],
        "predictions": np.asarray(predicted),
        "population": np.asarray(result.predict(rows, random="none")),
        **_joint_test(result),
        **_variances(result, rows, writing),
    }
    unseen = result.get_prediction(new, new_levels="population").summary_frame()
    numbers["new level"] = np.asarray(unseen)
    return numbers


def _joint_test(result: Any) -> dict[str, Any]:
    """The test that f has no effect, whatever its coding."""
    named = [name for name in result.params.index if "f" in name.split("[")[0]]
    rows = np.array([[float(a == b) for a in result.params.index] for b in named])
    test = result.wald_test(rows, use_f=True, scalar=True)
    return {
        "F": float(test.statistic),
        "F p": float(test.pvalue),
        "F df": float(getattr(test, "df_denom", np.inf)),
    }


def _variances(result: Any, rows: pd.DataFrame, writing: Writing) -> dict[str, Any]:
    """Standard deviations of what varies between groups at given x."""
    cov = np.asarray(result.variance_components.cov("g"))
    numbers = {"sigma": result.sigma}
    if len(cov) == 2:
        at = np.column_stack([np.ones(len(rows)), rows[writing.x]])
        numbers["sd at x"] = np.sqrt(np.einsum("ij,jk,ik->i", at, cov, at))
        table = result.variance_components.to_frame(se=True)
        spread = table[(table["group"] == "g") & table["effect2"].isna()].iloc[1]
        sd, low, high = spread["sdcor"], spread["lower"], spread["upper"]
        numbers["slope's limits"] = np.array([spread["se"], low, high]) / sd
    return numbers
