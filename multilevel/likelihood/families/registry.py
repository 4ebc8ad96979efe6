"""The families, and what names and statsmodels' instances mean.

Held by tests/likelihood/families/test_registry.py and
tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from multilevel.errors import FitError
from multilevel.likelihood.families.binomial import BINOMIAL
from multilevel.likelihood.families.gamma import GAMMA
from multilevel.likelihood.families.gaussian import GAUSSIAN
from multilevel.likelihood.families.inverse_gaussian import INVERSE_GAUSSIAN
from multilevel.likelihood.families.links import (
    LINKS,
    InverseLink,
    differenced_link,
    negative_binomial_link,
    power_link,
)
from multilevel.likelihood.families.negative_binomial import NEGATIVE_BINOMIAL
from multilevel.likelihood.families.poisson import POISSON
from multilevel.likelihood.families.traits import Family, FamilyTraits

FAMILIES: Mapping[str, FamilyTraits] = MappingProxyType(
    {
        family.name: family
        for family in (
            GAUSSIAN,
            BINOMIAL,
            POISSON,
            GAMMA,
            INVERSE_GAUSSIAN,
            NEGATIVE_BINOMIAL,
        )
    }
)
"""The families by name."""

_BY_ALIAS = {alias: link for link in LINKS.values() for alias in link.aliases}

_BY_CLASS = {link.statsmodels_class: link for link in LINKS.values()}


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
        if name in FAMILIES:
            return Family(FAMILIES[name], FAMILIES[name].default_link)
        raise FitError(_unknown(repr(family)))
    # By names of classes, not by isinstance, so that nothing
    # of statsmodels is imported.
    names = [kind.__name__.lower() for kind in type(family).__mro__]
    for name in names:
        if name in FAMILIES:
            traits, link = FAMILIES[name], link_of(getattr(family, "link", None))
            return Family(traits, link, traits.statsmodels.known_shapes(family))
    raise FitError(_unknown(type(family).__name__))


def _unknown(what: str) -> str:
    return (
        f"family {what} is not one of {', '.join(FAMILIES)}. Pass one of these "
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
        if name in _BY_CLASS:
            return _BY_CLASS[name]
        if name == "Power":
            return power_link(float(getattr(link, "power", 1.0)))
        if name == "NegativeBinomial":
            return negative_binomial_link(float(getattr(link, "alpha", 1.0)))
    return None


def _named_link(name: str) -> InverseLink:
    key = name.lower()
    found = LINKS.get(key) or _BY_ALIAS.get(key)
    if found is None:
        known = ", ".join(sorted([*LINKS, *_BY_ALIAS]))
        raise FitError(f"link {name!r} is not one of {known}")
    return found
