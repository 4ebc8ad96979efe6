"""A family of this package as an instance of statsmodels.

Held by tests/comparison/test_pooled_glm.py.
"""

from __future__ import annotations

from typing import Any

from multilevel.array_types import FloatVector
from multilevel.errors import DataError
from multilevel.likelihood.families.links import InverseLink
from multilevel.likelihood.families.traits import Family


def statsmodels_link(link: InverseLink) -> Any:
    """statsmodels' instance of a link.

    Raises
    ------
    DataError
        For one that statsmodels does not have.
    """
    # Imported here: it takes scipy.stats along, which no fit needs.
    from statsmodels.genmod.families import links

    if not link.statsmodels_class:
        raise DataError(f"statsmodels has no link {link.name!r}")
    return getattr(links, link.statsmodels_class)(**link.statsmodels_options)


def statsmodels_family(given: Any, family: Family, shape_values: FloatVector) -> Any:
    """statsmodels' instance of a family.

    Parameters
    ----------
    given : str, Family or statsmodels family
        As the model was asked for.
    family : Family
        What that means.
    shape_values : (s,)
        Of a family that is made with them.

    Returns
    -------
    statsmodels family
    """
    from statsmodels.genmod import families

    if not isinstance(given, str | Family):
        return given() if isinstance(given, type) else given
    traits = family.traits.statsmodels
    if not traits.family:
        raise DataError(
            f"statsmodels has no {family.traits.spoken_name} family, so there are no "
            "results of its own; compare_pooled() tests against the pooled model"
        )
    kind, link = getattr(families, traits.family), statsmodels_link(family.link)
    return kind(link=link, check_link=False, **traits.arguments(shape_values))
