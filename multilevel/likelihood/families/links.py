"""What is true of each link. A new one is its formulas and one row of `LINKS`.

Held by tests/likelihood/families/test_registry.py and
tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from scipy.special import expit, ndtr, ndtri

from multilevel.array_types import FloatArray, FloatVector
from multilevel.likelihood.families import link_curves as curves
from multilevel.likelihood.families import log_probabilities as logs
from multilevel.likelihood.families.link_curves import MarginalMean, MeanCurve
from multilevel.likelihood.families.log_probabilities import LogProbabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class InverseLink:
    """One link.

    Parameters
    ----------
    name : str
        statsmodels' lower-case name.
    curve : callable
        eta -> MeanCurve.
    mean : callable
        eta -> mean.
    eta : callable
        mean -> eta, for starting values.
    lowest, highest : float
        Between which its means lie; NaN where that is not known.
    aliases : tuple of str
        Other names by which it may be asked for.
    statsmodels_class : str
        Name of statsmodels' class; empty for a link of the user's own.
    statsmodels_options : mapping
        What that class is made with.
    is_bounded : bool
        Whether an infinite eta gives a mean on the edge of its range: eta then has no
        unit.
    is_even : bool
        Whether eta and -eta have one mean, least at zero.
    is_symmetric : bool
        Whether the means at eta and -eta add up to one.
    mean_at_zero : float or None
        Limit of the mean where the domain ends at eta = 0; None where it does not end.
    log_probabilities : LogProbabilities or None
        log(mean) and log(1 - mean) in forms that keep their digits.
    marginal : callable or None
        (eta, variance) -> MarginalMean, where there is a closed form.
    is_analytic : bool
        Whether the mean is analytic within one unit of the real line.
    ratios : str
        What exponentials of coefficients are in any family; empty if nothing.
    latent_variance : float or None
        Variance of the distribution whose distribution function the mean is: that of a
        latent response, which is a success above a threshold.
    is_logarithm : bool
        Whether effects multiply the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.likelihood.families.links import LINKS
    >>> LINKS["logit"].mean(np.zeros(1))
    array([0.5])
    """

    name: str
    curve: Callable[[FloatArray], MeanCurve]
    mean: Callable[[FloatArray], FloatArray]
    eta: Callable[[FloatArray], FloatArray]
    lowest: float = np.nan
    highest: float = np.nan
    aliases: tuple[str, ...] = ()
    statsmodels_class: str = ""
    statsmodels_options: Mapping[str, float] = field(default_factory=dict)
    is_bounded: bool = False
    is_even: bool = False
    is_symmetric: bool = False
    mean_at_zero: float | None = None
    log_probabilities: LogProbabilities | None = None
    marginal: Callable[[FloatVector, FloatVector], MarginalMean] | None = None
    is_analytic: bool = False
    ratios: str = ""
    latent_variance: float | None = None
    is_logarithm: bool = False

    def is_same(self, other: InverseLink) -> bool:
        """Whether another one is the same function, made anew perhaps."""
        own, theirs = ((one.name, one.statsmodels_options) for one in (self, other))
        return self == other or bool(self.statsmodels_class and own == theirs)


def power_link(power: float) -> InverseLink:
    """eta = mean ** power; the log link for power 0.

    The domain is eta > 0, but all of eta for powers 1 and 0.5, all but zero for -1.
    """
    return LINKS[_POWERS[power]] if power in _POWERS else _power(power)


def _power(
    power: float, name: str = "", aliases: tuple[str, ...] = (), statsmodels: str = ""
) -> InverseLink:
    q = 1.0 / power

    def inside(eta: FloatArray) -> FloatArray:
        if power == -1.0:
            return np.where(eta == 0.0, np.nan, eta)
        return np.where(eta > 0.0, eta, np.nan)

    def curve(eta: FloatArray) -> MeanCurve:
        base = inside(eta)
        mean = base**q
        # By division, as the powers q - 1 to q - 3 would cost one call of pow each.
        first = q * mean / base
        second = (q - 1.0) * first / base
        return MeanCurve(mean, first, second, (q - 2.0) * second / base)

    return InverseLink(
        name=name or f"power({power:g})",
        curve=curve,
        mean=lambda eta: np.asarray(inside(eta) ** q),
        eta=lambda mean: np.asarray(mean**power),
        lowest=-np.inf if power == -1.0 else 0.0,
        highest=np.inf,
        aliases=aliases,
        statsmodels_class=statsmodels or "Power",
        statsmodels_options={} if statsmodels else {"power": power},
        mean_at_zero=np.inf if power < 0.0 else 0.0,
    )


def negative_binomial_link(alpha: float) -> InverseLink:
    """eta = log(mean / (mean + 1/alpha)), the canonical link for a known alpha."""

    def mean(eta: FloatArray) -> FloatArray:
        return 1.0 / (alpha * np.expm1(-np.where(eta < 0.0, eta, np.nan)))

    def curve(eta: FloatArray) -> MeanCurve:
        r = alpha * mean(eta)
        first = r * (1.0 + r)
        second = first * (1.0 + 2.0 * r)
        third = first * (1.0 + 6.0 * first)
        return MeanCurve(r / alpha, first / alpha, second / alpha, third / alpha)

    def eta(mean: FloatArray) -> FloatArray:
        return np.asarray(-np.log1p(1.0 / (alpha * mean)))

    return InverseLink(
        name="nbinom",
        curve=curve,
        mean=mean,
        eta=eta,
        lowest=0.0,
        highest=np.inf,
        statsmodels_class="NegativeBinomial",
        statsmodels_options={"alpha": alpha},
    )


def differenced_link(
    name: str,
    mean: Callable[[FloatArray], FloatArray],
    eta: Callable[[FloatArray], FloatArray],
    first: Callable[[FloatArray], FloatArray],
    second: Callable[[FloatArray], FloatArray],
) -> InverseLink:
    """A link of unknown formula: its third derivative by central differences."""

    def curve(at: FloatArray) -> MeanCurve:
        # The cube root of rounding: there truncation and cancellation of a central
        # difference are equally small.
        step = 1e-5 * np.maximum(np.abs(at), 1.0)
        third = (second(at + step) - second(at - step)) / (2.0 * step)
        return MeanCurve(mean(at), first(at), second(at), third)

    return InverseLink(name=name, curve=curve, mean=mean, eta=eta)


_POWERS = {
    0.0: "log",
    0.5: "sqrt",
    1.0: "identity",
    -1.0: "inverse_power",
    -2.0: "inverse_squared",
}
"""Powers that have a name."""

LINKS: MappingProxyType[str, InverseLink] = MappingProxyType(
    {
        link.name: link
        for link in (
            InverseLink(
                name="identity",
                curve=curves.identity_curve,
                mean=np.asarray,
                eta=np.asarray,
                lowest=-np.inf,
                highest=np.inf,
                statsmodels_class="Identity",
                marginal=curves.identity_marginal,
            ),
            InverseLink(
                name="log",
                curve=curves.log_curve,
                mean=np.exp,
                eta=np.log,
                lowest=0.0,
                highest=np.inf,
                statsmodels_class="Log",
                is_bounded=True,
                log_probabilities=logs.LOG,
                marginal=curves.log_marginal,
                ratios="ratios of means",
                is_logarithm=True,
            ),
            InverseLink(
                name="sqrt",
                curve=curves.square_curve,
                mean=np.square,
                eta=np.sqrt,
                lowest=0.0,
                highest=np.inf,
                statsmodels_class="Sqrt",
                is_even=True,
                marginal=curves.square_marginal,
            ),
            _power(-1.0, "inverse_power", ("inverse",), "InversePower"),
            _power(-2.0, "inverse_squared", (), "InverseSquared"),
            InverseLink(
                name="logit",
                curve=curves.logit_curve,
                mean=expit,
                eta=lambda m: np.log(m) - np.log1p(-m),
                lowest=0.0,
                highest=1.0,
                statsmodels_class="Logit",
                is_bounded=True,
                is_symmetric=True,
                log_probabilities=logs.LOGIT,
                is_analytic=True,
                latent_variance=np.pi**2 / 3.0,
            ),
            InverseLink(
                name="probit",
                curve=curves.probit_curve,
                mean=ndtr,
                eta=ndtri,
                lowest=0.0,
                highest=1.0,
                statsmodels_class="Probit",
                is_bounded=True,
                is_symmetric=True,
                log_probabilities=logs.PROBIT,
                marginal=curves.probit_marginal,
                latent_variance=1.0,
            ),
            InverseLink(
                name="cauchy",
                curve=curves.cauchit_curve,
                mean=curves.cauchit,
                eta=lambda m: -1.0 / np.tan(np.pi * m),
                lowest=0.0,
                highest=1.0,
                aliases=("cauchit",),
                statsmodels_class="Cauchy",
                is_bounded=True,
                is_symmetric=True,
                is_analytic=True,
            ),
            InverseLink(
                name="cloglog",
                curve=curves.cloglog_curve,
                mean=curves.cloglog,
                eta=lambda m: np.log(-np.log1p(-m)),
                lowest=0.0,
                highest=1.0,
                statsmodels_class="CLogLog",
                is_bounded=True,
                log_probabilities=logs.CLOGLOG,
                is_analytic=True,
                latent_variance=np.pi**2 / 6.0,
            ),
            InverseLink(
                name="loglog",
                curve=curves.loglog_curve,
                mean=curves.loglog,
                eta=lambda m: -np.log(-np.log(m)),
                lowest=0.0,
                highest=1.0,
                statsmodels_class="LogLog",
                is_bounded=True,
                log_probabilities=logs.LOGLOG,
                is_analytic=True,
                latent_variance=np.pi**2 / 6.0,
            ),
            InverseLink(
                name="logc",
                curve=curves.logc_curve,
                mean=lambda eta: -np.expm1(eta),
                eta=lambda m: np.log1p(-m),
                lowest=-np.inf,
                highest=1.0,
                statsmodels_class="LogC",
                is_bounded=True,
                log_probabilities=logs.LOGC,
                marginal=curves.logc_marginal,
            ),
        )
    }
)
"""Links without parameters, by name."""
