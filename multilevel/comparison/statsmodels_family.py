"""A family of this package as an instance of statsmodels."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from multilevel.errors import DataError
from multilevel.likelihood.families.traits import Family

FAMILY_CLASSES: MappingProxyType[str, str] = MappingProxyType(
    {
        "gaussian": "Gaussian",
        "binomial": "Binomial",
        "poisson": "Poisson",
        "gamma": "Gamma",
        "inversegaussian": "InverseGaussian",
        "negativebinomial": "NegativeBinomial",
    }
)
"""Name of a family -> statsmodels' class."""

LINK_CLASSES: MappingProxyType[str, str] = MappingProxyType(
    {
        "logit": "Logit",
        "probit": "Probit",
        "cauchy": "Cauchy",
        "cloglog": "CLogLog",
        "loglog": "LogLog",
        "logc": "LogC",
        "log": "Log",
        "identity": "Identity",
        "inverse_power": "InversePower",
        "inverse_squared": "InverseSquared",
        "sqrt": "Sqrt",
    }
)
"""Name of a link -> statsmodels' class."""


def statsmodels_link(name: str) -> Any:
    """statsmodels' link of that name.

    Raises
    ------
    DataError
        For an unknown name, listing those that there are.
    """
    # Imported here: it takes scipy.stats along, which no fit needs.
    from statsmodels.genmod.families import links

    if name not in LINK_CLASSES:
        raise DataError(f"link {name!r} is not one of {', '.join(LINK_CLASSES)}")
    return getattr(links, LINK_CLASSES[name])()


def statsmodels_family(given: Any, family: Family, size: float) -> Any:
    """statsmodels' instance of a family.

    Parameters
    ----------
    given : str, Family or statsmodels family
        As the model was asked for.
    family : Family
        What that means.
    size : float
        For a negative binomial whose dispersion is estimated.

    Returns
    -------
    statsmodels family
    """
    from statsmodels.genmod import families

    if not isinstance(given, str | Family):
        return given() if isinstance(given, type) else given
    kind = getattr(families, FAMILY_CLASSES[family.name])
    more = {"alpha": 1.0 / size} if family.name == "negativebinomial" else {}
    link = statsmodels_link(family.link.name)
    return kind(link=link, check_link=False, **more)
