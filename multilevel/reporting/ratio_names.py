"""What exponentials of coefficients are, where they are ratios.

Held by tests/results/test_mixedglm_results.py.
"""

from __future__ import annotations

from multilevel.errors import DataError
from multilevel.likelihood.families.traits import Family


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
    >>> from multilevel.likelihood.families.registry import family_of
    >>> from multilevel.reporting.ratio_names import ratio_name
    >>> ratio_name(family_of("binomial"))
    'odds ratios'
    """
    name = family.ratio_name()
    if name:
        return name
    raise DataError(
        f"exponentiate=True has no meaning for the {family.link.name} link of this "
        f"{family.name} model: exponentials of its coefficients are no ratios. Those "
        "of a log link are ratios of means, of a binomial model's logit link odds "
        "ratios, of its cloglog link hazard ratios; leave exponentiate out, or fit one "
        "of these"
    )
