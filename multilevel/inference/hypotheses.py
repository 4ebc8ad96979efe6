"""Tests of linear hypotheses about fixed effects, as statsmodels reports them."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc
from statsmodels.stats.contrast import ContrastResults

from multilevel.array_types import FloatMatrix, FloatVector, IntVector
from multilevel.errors import FitError
from multilevel.inference.denominator_df import Denominators

_RANK_TOLERANCE = 1e-8


def estimable_columns(L: FloatMatrix, kept: IntVector) -> FloatMatrix:
    """Contrasts in the columns that were kept.

    Parameters
    ----------
    L : (rows, p_all)
    kept : (p,)
        Positions of the columns that were not aliased.

    Returns
    -------
    (rows, p) array

    Raises
    ------
    FitError
        If a contrast involves an aliased column, which has no estimate.
    """
    dropped = np.setdiff1d(np.arange(L.shape[1]), kept)
    if np.any(L[:, dropped]):
        raise FitError(
            "the hypothesis involves a fixed effect that was dropped because it is "
            "aliased with others; it has no estimate"
        )
    return np.ascontiguousarray(L[:, kept])


def t_tests(
    L: FloatMatrix,
    q: FloatVector,
    beta: FloatVector,
    cov_beta: FloatMatrix,
    denominators: Denominators,
    *,
    use_t: bool,
) -> ContrastResults:
    """One t (or z) test for each row of ``L beta = q``.

    Parameters
    ----------
    L : (rows, p)
    q : (rows,)
    beta : (p,)
    cov_beta : (p, p)
    denominators : Denominators
        Degrees of freedom of contrasts.
    use_t : bool
        t distribution; normal if not.

    Returns
    -------
    ContrastResults
    """
    effect = L @ beta
    sd = np.sqrt(np.einsum("ip,pq,iq->i", L, cov_beta, L))
    statistic = (effect - q) / sd
    if use_t:
        return ContrastResults(
            effect=effect, t=statistic, sd=sd, df_denom=denominators.df(L)
        )
    return ContrastResults(
        effect=effect, statistic=statistic, sd=sd, distribution="norm"
    )


def wald_test(
    L: FloatMatrix,
    q: FloatVector,
    beta: FloatVector,
    cov_beta: FloatMatrix,
    denominators: Denominators,
    *,
    use_f: bool,
    scalar: bool = True,
) -> ContrastResults:
    """Joint test of ``L beta = q``: F with denominator df, or chi-square.

    The contrasts are rotated so that their estimates are uncorrelated; the F
    statistic is the mean of the squared t statistics of those, and its denominator
    matches the mean of their distributions.

    Parameters
    ----------
    L, q, beta, cov_beta, denominators
        As for `t_tests`.
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
    values, vectors = np.linalg.eigh(L @ cov_beta @ L.T)
    independent = values > _RANK_TOLERANCE * max(float(values[-1]), 0.0)
    n_tests = int(independent.sum())
    if not n_tests:
        raise FitError("the hypothesis has no row that the data say anything about")
    values, vectors = values[independent], vectors[:, independent]
    distances = vectors.T @ (L @ beta - q)
    chi2 = float(np.sum(distances**2 / values))
    shaped = chi2 if scalar else np.array([[chi2]])
    if not use_f:
        return ContrastResults(
            chi2=shaped,
            statistic=shaped,
            df_denom=n_tests,
            distribution="chi2",
            distargs=(n_tests,),
        )
    df = denominators.f_df(vectors.T @ L)
    test = ContrastResults(F=shaped / n_tests, df_denom=df, df_num=n_tests)
    if np.isinf(df):
        # scipy's F distribution knows no infinite denominator.
        test.pvalue = np.asarray(chdtrc(n_tests, chi2))
    return test
