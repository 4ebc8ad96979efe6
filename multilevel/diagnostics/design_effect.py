"""How much clustering inflates the variance of estimates that take no notice of it.

Of the mean of n observations with covariance V, compared with n independent ones of the
same average variance,

    1'V 1 / tr V = 1 + sum_k (m_k - 1) rho_k

with rho_k the intraclass correlation of grouping factor k and, for random intercepts of
levels with n_j observations, m_k = sum n_j^2 / n. With random slopes m_k is
1'Z G Z'1 / tr(Z G Z'), which has the same meaning and no origin.

Of the coefficients of the pooled regression, least squares with weights W,

    [A V A']_jj / (c [(X'WX)^-1]_jj),    A = (X'WX)^-1 X'W,    c = tr(W V) / n

For an intercept alone the two are the same.

References
----------
Kish (1965), Survey Sampling, section 5.4; Moulton (1986), J. Econometrics 32, 385-397,
and Scott & Holt (1982), JASA 77, 848-854 (coefficients of regressions).

Held by tests/diagnostics/test_design_effect.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pandas as pd

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.diagnostics.explained_variance import ALL
from multilevel.diagnostics.random_variance import (
    by_factor,
    working_columns,
    working_roots,
)
from multilevel.diagnostics.residual_variance import residual_variance
from multilevel.diagnostics.row_shares import row_counts
from multilevel.methods import Method, Methods, chosen, methods
from multilevel.optimize.common.fitted_model import FittedModel


def effects_of_rows(fitted: FittedModel) -> list[FloatMatrix]:
    """z'F of every row, (n, r) for each term: the random part is F'z times noise."""
    roots = working_roots(fitted, fitted.effect_factors)
    return [
        np.asarray(z @ root)
        for z, root in zip(working_columns(fitted), roots, strict=True)
    ]


def mean_design_effect(
    fitted: FittedModel, *, method: str = "auto", at: str = "typical"
) -> pd.DataFrame:
    """Of the mean: a row for each grouping factor and one for all.

    Observations are rows, as many as their case weights say, or the trials of binomial
    responses.
    """
    counts = row_counts(fitted, trials=True)
    n = counts.sum()
    variance, size = _variances_and_sizes(fitted, counts)
    e = residual_variance(fitted, method=method, at=at).value
    icc = variance / (variance.sum() + e)
    excess = (size - 1.0) * icc
    with np.errstate(invalid="ignore"):
        size_of_all = 1.0 + excess.sum() / icc.sum() if icc.sum() > 0.0 else np.nan
    effect = 1.0 + np.append(excess, excess.sum())
    return pd.DataFrame(
        {
            "size": np.append(size, size_of_all),
            "icc": np.append(icc, icc.sum()),
            "design_effect": effect,
            "effective_nobs": n / effect,
        },
        index=pd.Index([*fitted.design.factor_names, ALL], name="group"),
    )


def _variances_and_sizes(
    fitted: FittedModel, counts: FloatVector
) -> tuple[FloatVector, FloatVector]:
    """Mean of z'Gz and m of each grouping factor, (factors,) each."""
    design, own, summed = fitted.design, [], []
    for term, rows in zip(design.terms, effects_of_rows(fitted), strict=True):
        factor = design.factors[term.factor_index]
        own.append(float(counts @ np.square(rows).sum(axis=1)))
        totals = [
            np.bincount(factor.codes, counts * column, factor.n_levels)
            for column in rows.T
        ]
        summed.append(float(np.square(totals).sum()))
    variance, together = by_factor(fitted, own), by_factor(fitted, summed)
    # A factor without variance has the size that random intercepts would have.
    plain = np.array(
        [
            np.square(np.bincount(f.codes, counts, f.n_levels)).sum() / counts.sum()
            for f in design.factors
        ]
    )
    size = np.divide(together, variance, out=plain, where=variance > 0.0)
    return variance / counts.sum(), size


def coefficient_design_effect(
    fitted: FittedModel, *, method: str = "auto", at: str = "typical"
) -> pd.DataFrame:
    """Of the coefficients of the pooled regression: a row for each fixed effect."""
    design, given = fitted.design, fitted.design.weights
    weights = np.ones(design.nobs) if given is None else given
    root = np.sqrt(weights)
    basis, triangle = np.linalg.qr(design.X * root[:, None])
    n, sigma2 = design.nobs, fitted.scale
    middle, c = sigma2 * np.eye(len(triangle)), sigma2
    for term, rows in zip(design.terms, effects_of_rows(fitted), strict=True):
        codes = design.factors[term.factor_index].codes
        n_levels = design.factors[term.factor_index].n_levels
        for column in rows.T * root:
            moved = [np.bincount(codes, q * column, n_levels) for q in basis.T]
            sums = np.asarray(moved).reshape(len(triangle), n_levels)
            middle += sums @ sums.T
            c += float(column @ column) / n
    inverse = np.linalg.solve(triangle, np.eye(len(triangle)))
    independent = np.einsum("ij,ij->i", inverse, inverse)
    actual = np.einsum("ij,jk,ik->i", inverse, middle, inverse)
    effect = design.with_aliased(actual / (c * independent))
    return pd.DataFrame(
        {"design_effect": effect, "effective_nobs": n / effect},
        index=pd.Index(design.exog_names),
    )


DesignEffectFunction: TypeAlias = Callable[..., pd.DataFrame]
"""(fitted model, method=, at=) -> table."""

DESIGN_EFFECTS: Methods[DesignEffectFunction] = methods(
    Method(name="mean", text="of the mean", function=mean_design_effect),
    Method(
        name="params",
        text="of pooled coefficients",
        function=coefficient_design_effect,
        kinds=("linear",),
    ),
)


def design_effect(
    fitted: FittedModel,
    of: str = "mean",
    *,
    method: str = "auto",
    at: str = "typical",
) -> pd.DataFrame:
    """The variance of an estimate over that with as many independent rows.

    Parameters
    ----------
    fitted : FittedModel
    of : str
        A name in `DESIGN_EFFECTS`.
    method, at : str
        As `residual_variance` takes them.

    Returns
    -------
    DataFrame
        `design_effect` and `effective_nobs`; of the mean also `size` and `icc`.

    Raises
    ------
    DataError
        For names that there are not.
    """
    found = chosen(DESIGN_EFFECTS, of, option="of", kind=fitted.kind)
    return found.function(fitted, method=method, at=at)
