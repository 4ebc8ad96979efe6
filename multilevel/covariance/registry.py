"""The covariance structures that formulas and arrays can ask for, by name."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from multilevel.covariance.diagonal import Diagonal
from multilevel.covariance.structure import CovarianceStructure
from multilevel.covariance.unstructured import Unstructured

STRUCTURES: MappingProxyType[str, Callable[[int], CovarianceStructure]] = (
    MappingProxyType({"us": Unstructured, "diag": Diagonal})
)
"""Name of the structure -> class taking the number of effects."""
