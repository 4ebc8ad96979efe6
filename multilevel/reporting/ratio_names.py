"""What exponentials of coefficients are, where they are ratios."""

from __future__ import annotations

from types import MappingProxyType

from multilevel.errors import DataError
from multilevel.likelihood.families.traits import Family

_RATIO_NAMES = MappingProxyType(
    {
        ("binomial", "logit"): "odds ratios",
        ("binomial", "cloglog"): "hazard ratios",
        ("binomial", "log"): "risk ratios",
        ("poisson", "log"): "rate ratios",
        ("negativebinomial", "log"): "rate ratios",
    }
)
"""Of other families with a log link: ratios of means."""


def ratio_name(family: Family) -> str:
    """What exp(coefficient) is called.

    Parameters
    ----------
    family : Family

    Raises
    ------
    DataError
        If it is no ratio of anything.

    Examples
    --------
    >>> from multilevel.likelihood.families.traits import family_of
    >>> from multilevel.reporting.ratio_names import ratio_name
    >>> ratio_name(family_of("binomial"))
    'odds ratios'
    """
    key = (family.name, family.link.name)
    if key in _RATIO_NAMES:
        return _RATIO_NAMES[key]
    if family.link.name == "log":
        return "ratios of means"
    raise DataError(
        f"exponentiate=True has no meaning for the {family.link.name} link of this "
        f"{family.name} model: exponentials of its coefficients are no ratios. Those "
        "of a log link are ratios of means, of a binomial model's logit link odds "
        "ratios, of its cloglog link hazard ratios; leave exponentiate out, or fit one "
        "of these"
    )
