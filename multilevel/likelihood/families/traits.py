"""Families and links of statsmodels, and their names, as likelihoods of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.errors import DataError, FitError
from multilevel.likelihood.families.binomial_rows import BinomialRows, LogitRows
from multilevel.likelihood.families.count_rows import (
    NegativeBinomialLogRows,
    PoissonLogRows,
    count_logs,
)
from multilevel.likelihood.families.links import (
    LINKS,
    InverseLink,
    differenced_link,
    negative_binomial_link,
    power_link,
)
from multilevel.likelihood.families.log_probabilities import log_probabilities
from multilevel.likelihood.families.negative_binomial_rows import NegativeBinomialRows
from multilevel.likelihood.families.row_likelihood import RowLikelihood
from multilevel.likelihood.families.scaled_rows import ScaledRows
from multilevel.likelihood.families.stable_logs import poisson_norm

MANY_TRIALS = 1000.0
"""Trials from which a binomial's log density is taken less that at its own share."""

DEFAULT_LINKS: Mapping[str, InverseLink] = MappingProxyType(
    {
        "gaussian": LINKS["identity"],
        "binomial": LINKS["logit"],
        "poisson": LINKS["log"],
        "gamma": power_link(-1.0),
        "inversegaussian": power_link(-2.0),
        "negativebinomial": LINKS["log"],
    }
)
"""The families by name, each with the link it has if none is given."""

_CLASS_LINKS = {
    "Logit": "logit",
    "Probit": "probit",
    "Cauchy": "cauchy",
    "CLogLog": "cloglog",
    "LogLog": "loglog",
    "LogC": "logc",
    "Log": "log",
}


@dataclass(frozen=True, slots=True)
class Family:
    """A family with its link.

    Parameters
    ----------
    name : str
        A key of `DEFAULT_LINKS`.
    link : InverseLink
    known_size : float or None
        Size of a negative binomial whose dispersion is given: 1 / statsmodels' alpha.

    Examples
    --------
    >>> from multilevel.likelihood.families.traits import family_of
    >>> family_of("binomial").link.name
    'logit'
    """

    name: str
    link: InverseLink
    known_size: float | None = None

    @property
    def has_dispersion(self) -> bool:
        """Whether a dispersion parameter is estimated."""
        fixed = self.name in ("binomial", "poisson") or self.known_size is not None
        return not fixed

    @property
    def is_canonical(self) -> bool:
        """Whether observed and expected information are the same."""
        canonical = dict(DEFAULT_LINKS, negativebinomial=None)[self.name]
        return canonical is not None and canonical.name == self.link.name


def family_of(family: object, link: object = None) -> Family:
    """Read a family.

    Parameters
    ----------
    family : str or statsmodels family
        A lower-case name with its usual link, or an instance. A negative binomial's
        dispersion is estimated when the family is given by name; an instance holds it
        at its ``alpha``.
    link : str or statsmodels link, optional
        A name such as ``"probit"`` or an instance, in place of the family's own.

    Raises
    ------
    FitError
        If the family or its link is not one that can be fitted.
    """
    found = _family(family)
    return found if link is None else replace(found, link=link_of(link))


def _family(family: object) -> Family:
    if isinstance(family, str):
        name = family.lower().replace("_", "").replace(" ", "")
        if name in DEFAULT_LINKS:
            return Family(name, DEFAULT_LINKS[name])
        raise FitError(_unknown(repr(family)))
    # By names of classes, not by isinstance, so that nothing
    # of statsmodels is imported.
    names = [kind.__name__.lower() for kind in type(family).__mro__]
    for name in names:
        if name in DEFAULT_LINKS:
            link = link_of(getattr(family, "link", None))
            alpha = getattr(family, "alpha", None)
            size = 1.0 / float(alpha) if name == "negativebinomial" and alpha else None
            return Family(name, link, size)
    raise FitError(_unknown(type(family).__name__))


def _unknown(what: str) -> str:
    return (
        f"family {what} is not one of {', '.join(DEFAULT_LINKS)}. Pass one of these "
        "names, or a statsmodels family instance to choose another link."
    )


def link_of(link: object) -> InverseLink:
    """The inverse link of a name or of a statsmodels link instance.

    Raises
    ------
    FitError
        If the name is not known, or the link has no inverse with two derivatives.
    """
    if isinstance(link, str):
        return _named_link(link)
    known = _statsmodels_link(link)
    if known is not None:
        return known
    needed = ("inverse", "inverse_deriv", "inverse_deriv2")
    if not (callable(link) and all(hasattr(link, name) for name in needed)):
        raise FitError(
            f"the link {type(link).__name__} is not a statsmodels link instance: it "
            "needs a call and the methods inverse, inverse_deriv and inverse_deriv2"
        )
    inverse, first, second = (getattr(link, name) for name in needed)
    return differenced_link(type(link).__name__.lower(), inverse, link, first, second)


def _statsmodels_link(link: object) -> InverseLink | None:
    """The closed form of a link of statsmodels; None for what users wrote."""
    # A user's subclass may override the inverse: only statsmodels' own are known.
    if not type(link).__module__.startswith("statsmodels."):
        return None
    for kind in type(link).__mro__:
        name = kind.__name__
        # Probit and Cauchy come before it in their order of bases; what else is a
        # CDFLink has a distribution of the user's own.
        if name == "CDFLink":
            return None
        if name in _CLASS_LINKS:
            return LINKS[_CLASS_LINKS[name]]
        if name == "Power":
            return power_link(float(getattr(link, "power", 1.0)))
        if name == "NegativeBinomial":
            return negative_binomial_link(float(getattr(link, "alpha", 1.0)))
    return None


def _count_constant(y: FloatVector, weights: FloatVector | None) -> FloatVector:
    constant = poisson_norm(y)
    return constant if weights is None else weights * constant


_POWER_NAMES = {
    "inverse": -1.0,
    "inverse_power": -1.0,
    "inverse_squared": -2.0,
}


def _named_link(name: str) -> InverseLink:
    key = {"cauchit": "cauchy"}.get(name.lower(), name.lower())
    if key in _POWER_NAMES:
        return power_link(_POWER_NAMES[key])
    if key not in LINKS:
        known = ", ".join(sorted([*LINKS, *_POWER_NAMES]))
        raise FitError(f"link {name!r} is not one of {known}")
    return LINKS[key]


def bind_rows(
    family: Family,
    y: FloatVector,
    weights: FloatVector | None,
    trials: FloatVector | None = None,
) -> RowLikelihood:
    """The likelihood of given rows.

    Parameters
    ----------
    family : Family
    y : (n,)
        Response; for the binomial family the proportion of successes.
    weights : (n,) or None
        Binomial: number of trials, one where None. Counts: case weights, which
        multiply log p. Else prior weights: the dispersion of a row is phi / weight.
    trials : (n,), optional
        Binomial: number of trials where `weights` is this number times a case weight.

    Raises
    ------
    DataError
        If a response is outside what the family can have.
    """
    refuse_impossible(family, y)
    if family.name == "binomial":
        return _binomial(family, y, weights, trials)
    if family.name == "negativebinomial":
        size, constant = family.known_size, _count_constant(y, weights)
        if family.link.name == "log":
            logs = count_logs(y)
            return NegativeBinomialLogRows(y, logs, weights, constant, size)
        return NegativeBinomialRows(family.link, y, weights, constant, size)
    if (family.name, family.link.name) == ("poisson", "log"):
        constant = _count_constant(y, weights)
        return PoissonLogRows(y, count_logs(y), weights, constant)
    return ScaledRows(family.name, family.link, y, weights)


def _binomial(
    family: Family,
    y: FloatVector,
    weights: FloatVector | None,
    trials: FloatVector | None,
) -> RowLikelihood:
    total = np.ones_like(y) if weights is None else weights
    successes, failures = _counts(y, total if trials is None else trials)
    times = None if trials is None else total / trials
    # Binomial coefficients of many trials and the log densities they belong to are huge
    # and cancel; from there on densities are relative to those at the rows' shares.
    if family.link.name == "logit" and total.max(initial=0.0) < MANY_TRIALS:
        return LogitRows.of(successes, failures, times)
    logs = log_probabilities(family.link)
    return BinomialRows.of(successes, failures, family.link, logs, times)


def _counts(y: FloatVector, trials: FloatVector) -> tuple[FloatVector, FloatVector]:
    """Successes and failures; y is a quotient of what were whole numbers."""
    successes = trials * y
    whole = np.round(successes)
    near = np.abs(successes - whole) <= 1e-9 * np.maximum(trials, 1.0)
    successes = np.where(near, whole, successes)
    return successes, trials - successes


_RANGES: Mapping[str, tuple[float, float, bool, str]] = MappingProxyType(
    {
        "binomial": (0.0, 1.0, True, "between 0 and 1 (successes / trials)"),
        "poisson": (0.0, np.inf, True, "not negative"),
        "negativebinomial": (0.0, np.inf, True, "not negative"),
        "gamma": (0.0, np.inf, False, "positive"),
        "inversegaussian": (0.0, np.inf, False, "positive"),
    }
)


def refuse_impossible(family: Family, y: FloatVector) -> None:
    """Raise DataError if the family cannot have produced some response."""
    if family.name not in _RANGES:
        return
    low, high, closed, words = _RANGES[family.name]
    inside = (y >= low) & (y <= high) if closed else (y > low)
    if not inside.all():
        first = int(np.argmin(inside))
        count = int((~inside).sum())
        raise DataError(
            f"a {family.name} response must be {words}; {count} of {len(y)} rows are "
            f"not, the first is row {first} with {y[first]:g}"
        )
