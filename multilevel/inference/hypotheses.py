"""Tests of linear hypotheses about fixed effects, as statsmodels reports them.

Estimates enter by a square root of their covariance matrix, so that nothing is judged
or inverted that was squared first: a hypothesis keeps its degrees of freedom whatever
the units and the origin of the columns.

Held by tests/inference/test_units_and_origins.py and
tests/results/test_mixedlm_results.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import chdtrc
from statsmodels.stats.contrast import ContrastResults

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector
from multilevel.covariance.square_root import covariance_root
from multilevel.errors import FitError
from multilevel.inference.denominator_df import Denominators
from multilevel.inference.estimable_hypotheses import independent_rows
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.option_values import as_tail_share

_SINGULAR = 1e-13
"""Share of a contrast's standard error that is rounding."""


class CheckedContrasts(ContrastResults):
    """statsmodels' table of contrasts, which takes no coverage for a tail's share."""

    def conf_int(self, alpha: float = 0.05) -> FloatMatrix:
        """Confidence limits of each contrast, (rows, 2).

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        """
        return np.asarray(super().conf_int(as_tail_share(alpha)))


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertainEffects:
    """Fixed effects, and how well they are known.

    Parameters
    ----------
    beta : (p,)
    root : (p, p)
        Square root of the covariance of beta.
    denominators : Denominators
        Degrees of freedom of contrasts.
    """

    beta: FloatVector
    root: FloatMatrix
    denominators: Denominators

    @classmethod
    def of(
        cls, fitted: FittedModel, denominators: Denominators, covariance: Any = None
    ) -> UncertainEffects:
        """Those of a fit, or with another covariance matrix of all columns."""
        if covariance is None:
            root = fitted.fixed_root
        else:
            whole, kept = np.asarray(covariance, dtype=float), fitted.design.kept
            root = covariance_root(whole[np.ix_(kept, kept)])
        return cls(beta=fitted.beta, root=root, denominators=denominators)


def t_tests(
    L: FloatMatrix,
    q: FloatVector,
    effects: UncertainEffects,
    *,
    use_t: bool,
    estimable: BoolVector,
) -> ContrastResults:
    """One t (or z) test for each row of ``L beta = q``.

    Parameters
    ----------
    L : (rows, p)
    q : (rows,)
    effects : UncertainEffects
    use_t : bool
        t distribution; normal if not.
    estimable : (rows,)
        Rows without an estimate are NaN.

    Returns
    -------
    ContrastResults
    """
    unknown = np.where(estimable, 0.0, np.nan)
    effect = L @ effects.beta + unknown
    sd = np.linalg.norm(L @ effects.root, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (effect - q) / sd
    if use_t:
        df = effects.denominators.df(L) + unknown
        return CheckedContrasts(
            effect=effect, t=statistic, sd=sd + unknown, df_denom=df
        )
    return CheckedContrasts(
        effect=effect, statistic=statistic, sd=sd + unknown, distribution="norm"
    )


def wald_test(
    L: FloatMatrix,
    q: FloatVector,
    effects: UncertainEffects,
    *,
    use_f: bool,
    scalar: bool = True,
) -> ContrastResults:
    """Joint test of ``L beta = q``: F with denominator df, or chi-square.

    The F statistic is the mean of the squared t statistics of uncorrelated contrasts,
    and its denominator matches the mean of their distributions. Hypotheses that
    follow from others count once.

    Parameters
    ----------
    L, q, effects
        As for `t_tests`; without rows that have no estimate. Without any row the
        statistic is NaN.
    use_f : bool
    scalar : bool
        The statistic as a float, not as a (1, 1) array.

    Returns
    -------
    ContrastResults

    References
    ----------
    Fai & Cornelius (1996), J. Stat. Comput. Simul. 54, 363-378.
    Kuznetsova, Brockhoff & Christensen (2017), J. Stat. Softw. 82(13), section 2.
    """
    if not len(L):
        return _untested(use_f=use_f, scalar=scalar)
    root = effects.root
    L, q = independent_rows(L, q, np.linalg.norm(root, axis=1))
    rows = L @ root
    # In units of each contrast's standard error, so that the cut below knows no units.
    lengths = np.linalg.norm(rows, axis=1)
    scaled = rows / np.where(lengths > 0, lengths, 1.0)[:, None]
    left, values, _ = np.linalg.svd(scaled, full_matrices=False)
    known = values > _SINGULAR
    n_tests = int(known.sum())
    if not n_tests:
        raise FitError("the hypothesis has no row that the data say anything about")
    lengths = np.where(lengths > 0, lengths, 1.0)
    turned = left[:, known].T / lengths
    chi2 = float(np.sum((turned @ (L @ effects.beta - q) / values[known]) ** 2))
    shaped = chi2 if scalar else np.array([[chi2]])
    if not use_f:
        return _chi_square(shaped, n_tests)
    # Of the same uncorrelated contrasts that the statistic is made of.
    df = effects.denominators.f_df(turned @ L)
    test = ContrastResults(F=shaped / n_tests, df_denom=df, df_num=n_tests)
    if np.isinf(df):
        # scipy's F distribution knows no infinite denominator.
        test.pvalue = np.asarray(chdtrc(n_tests, chi2))
    return test


def _chi_square(statistic: float | FloatMatrix, df: int) -> ContrastResults:
    return ContrastResults(
        chi2=statistic,
        statistic=statistic,
        df_denom=df,
        distribution="chi2",
        distargs=(df,),
    )


def _untested(*, use_f: bool, scalar: bool) -> ContrastResults:
    """What is reported for a hypothesis without any part that has an estimate."""
    nothing = np.nan if scalar else np.array([[np.nan]])
    if use_f:
        return ContrastResults(F=nothing, df_denom=np.nan, df_num=0)
    return _chi_square(nothing, 0)
