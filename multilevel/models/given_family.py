"""The family as a user gives it: a name, or an instance of statsmodels.

Held by tests/models/test_mixedglm.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from multilevel.errors import DataError, FitError
from multilevel.likelihood.families.registry import FAMILIES, family_of
from multilevel.likelihood.families.traits import Family


def read_family(given: Any) -> Family:
    """The family that a name or an instance means.

    Parameters
    ----------
    given : str, statsmodels family or Family

    Returns
    -------
    Family

    Raises
    ------
    DataError
        For one that cannot be fitted, listing those that can.

    Examples
    --------
    >>> from multilevel.models.given_family import read_family
    >>> read_family("poisson").link.name
    'log'
    """
    if isinstance(given, Family):
        return given
    instance = given() if isinstance(given, type) else given
    try:
        return family_of(instance)
    except FitError as error:
        raise DataError(str(error)) from None


def family_with_link(name: str, link: str | None) -> str | Family:
    """What `mixedglm` takes for a family and a link given by name.

    Parameters
    ----------
    name : str
    link : str or None
        None for the family's usual link.

    Returns
    -------
    str or Family

    Raises
    ------
    DataError
        For an unknown family or link, listing those that there are.
    """
    try:
        return read_family(name).name if link is None else family_of(name, link)
    except FitError as error:
        raise DataError(str(error)) from None


def family_document(given: Any) -> dict[str, Any]:
    """Plain values from which `family_from_document` makes the family again.

    Raises
    ------
    DataError
        For a link of the user's own, which is code.
    """
    if isinstance(given, str):
        return {"name": given}
    family = read_family(given)
    if isinstance(given, Family):
        return {"name": family.name, "link_name": family.link.name}
    instance = given() if isinstance(given, type) else given
    link = family.link
    if not link.statsmodels_class:
        raise DataError(
            f"the link {type(instance.link).__name__} is not one of statsmodels', or "
            "is made of a distribution, so a data-only file cannot hold it; pickle the "
            "result"
        )
    return {
        "name": family.name,
        "alpha": getattr(instance, "alpha", None),
        "link": link.statsmodels_class,
        "link_parameters": dict(link.statsmodels_options),
    }


def family_from_document(document: Mapping[str, Any]) -> Any:
    """What `family_document` described.

    Raises
    ------
    DataError
        For a family or link that is none of statsmodels', and parameters of a link
        that are no positive numbers.
    """
    if len(document) == 1:
        return document["name"]
    if "link_name" in document:
        return family_with_link(document["name"], document["link_name"])
    from statsmodels.genmod import families

    kind = getattr(families.links, str(document["link"]), None)
    if not (isinstance(kind, type) and issubclass(kind, families.links.Link)):
        raise DataError(f"there is no link {document['link']!r:.40}")
    parameters = document["link_parameters"]
    numbers = [value for value in (*parameters.values(), document["alpha"]) if value]
    if not parameters.keys() <= {"power", "alpha"} or not np.isfinite(numbers).all():
        raise DataError("the parameters of the link are none")
    link = kind(**parameters)
    more = {} if document["alpha"] is None else {"alpha": document["alpha"]}
    return getattr(families, FAMILIES[document["name"]].statsmodels.family)(
        link=link, check_link=False, **more
    )
