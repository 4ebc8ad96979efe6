"""The covariance structures that formulas and arrays can ask for, by name.

Held by tests/covariance/test_new_structure.py.
"""

from __future__ import annotations

from types import MappingProxyType

from multilevel.covariance.diagonal import Diagonal
from multilevel.covariance.structure import CovarianceStructure
from multilevel.covariance.unstructured import Unstructured

_ROWS: dict[str, type[CovarianceStructure]] = {
    structure.name: structure for structure in (Unstructured, Diagonal)
}

STRUCTURES: MappingProxyType[str, type[CovarianceStructure]] = MappingProxyType(_ROWS)
"""Name of the structure -> class taking the number of effects."""


def structure_of_bar(bar: str) -> str:
    """Name of the structure that a bar by itself asks for.

    Examples
    --------
    >>> structure_of_bar("|"), structure_of_bar("||")
    ('us', 'diag')
    """
    return next(name for name, found in STRUCTURES.items() if found.bar == bar)


def written_term(structure: str, effects: str, group: str) -> str:
    """A random term in a formula: in a call of its structure unless a bar is enough.

    Examples
    --------
    >>> written_term("us", "1 + x", "g"), written_term("diag", "1 + x", "g")
    ('(1 + x | g)', 'diag(1 + x | g)')
    """
    wrapper = "" if structure == structure_of_bar("|") else structure
    return f"{wrapper}({effects} | {group})"
