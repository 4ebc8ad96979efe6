"""Likelihood-ratio tests as values.

Held by tests/inference/test_likelihood_ratio.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scipy.special import chdtrc

from multilevel.display.fact_table import FactTable
from multilevel.display.shown import ShownAsTable
from multilevel.inference.null_distribution import NullDistribution

_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class LRTest(ShownAsTable):
    """Likelihood-ratio test of a restricted against a full model.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log-likelihoods, not below zero.
    df : int
        Difference of the numbers of parameters.
    pvalue : float
        From the null distribution that applies.
    pvalue_chi2 : float
        From chi-square with `df` degrees of freedom, as if no parameter were on
        the edge of its range.
    null : str
        The null distribution that applies, such as ``"0.5 chi2(0) + 0.5 chi2(1)"``.
    restricted, full : str
        The formulas of the two models.
    criterion : str
        ``"ML"``, or ``"REML"`` when restricted likelihoods are compared.
    null_distribution : NullDistribution
        The null distribution as a value; of a `ChiBarSquare` the weights and
        degrees of freedom.
    notes : tuple of str
        What was done to make the models comparable.

    Examples
    --------
    >>> from multilevel.inference.chi_bar_square import ChiBarSquare
    >>> from multilevel.inference.likelihood_ratio import likelihood_ratio_test
    >>> test = likelihood_ratio_test(
    ...     -166.36494, -163.66353, df=1, null=ChiBarSquare((0.5, 0.5)),
    ...     restricted="Yield ~ 1", full="Yield ~ 1 + (1 | Batch)", criterion="ML")
    >>> print(test)
    Likelihood-ratio test (ML)
      restricted  Yield ~ 1
      full        Yield ~ 1 + (1 | Batch)
      statistic   5.4028
      null        0.5 chi2(0) + 0.5 chi2(1)
      p           0.01005
      naive p     0.0201  chi2(1)
    """

    statistic: float
    df: int
    pvalue: float
    pvalue_chi2: float
    null: str
    restricted: str
    full: str
    criterion: str = "ML"
    null_distribution: NullDistribution | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    def as_table(self) -> FactTable:
        """What is printed: models, statistic, null distribution and p-values."""
        facts = [
            ("restricted", self.restricted),
            ("full", self.full),
            ("statistic", f"{self.statistic:.5g}"),
            ("null", self.null),
            ("p", f"{self.pvalue:.4g}"),
        ]
        if self.null != f"chi2({self.df})":
            facts.append(("naive p", f"{self.pvalue_chi2:.4g}  chi2({self.df})"))
        facts += [("note", note) for note in self.notes]
        return FactTable(tuple(facts), f"Likelihood-ratio test ({self.criterion})")


def likelihood_ratio_test(
    llf_restricted: float,
    llf_full: float,
    *,
    df: int,
    null: NullDistribution,
    restricted: str,
    full: str,
    criterion: str,
    notes: tuple[str, ...] = (),
) -> LRTest:
    """Test statistic and p-values from two maximized log-likelihoods.

    Parameters
    ----------
    llf_restricted, llf_full : float
        Both restricted ones (REML) or both not.
    df : int
        Difference of the numbers of parameters.
    null : NullDistribution
        Distribution of the statistic under the null hypothesis.
    restricted, full : str
        Formulas.
    criterion : str
        ``"ML"`` or ``"REML"``.
    notes : tuple of str

    Returns
    -------
    LRTest
    """
    # Below zero only by what the optimizer left on the table at a boundary.
    statistic = max(2.0 * (llf_full - llf_restricted), 0.0)
    if statistic < _NOTHING * (1.0 + 1e-7 * abs(llf_full)):
        statistic = 0.0  # rounding: at zero the mixture has a point mass
    return LRTest(
        statistic=statistic,
        df=df,
        pvalue=null.survival(statistic),
        pvalue_chi2=float(chdtrc(df, statistic)) if df else 1.0,
        null=str(null),
        restricted=restricted,
        full=full,
        criterion=criterion,
        null_distribution=null,
        notes=notes,
    )
