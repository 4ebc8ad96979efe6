"""The covariance matrix of one random term, and its single entries.

Held by tests/inference/test_variance_components.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.covariance.registry import STRUCTURES
from multilevel.covariance.standard_deviations import correlation_name, sd_name
from multilevel.covariance.structure import CovarianceStructure


@dataclass(frozen=True, slots=True)
class TermCovariance:
    """Covariance matrix of the effects of one random term.

    Attributes
    ----------
    factor : str
        Name of the grouping factor.
    effects : tuple of str
        k names.
    structure : str
        Name of the covariance structure.
    theta : (m,)
        Relative parameters.
    relative_factor : (k, k)
        Lower triangular; the covariance is sigma^2 times its square.
    """

    factor: str
    effects: tuple[str, ...]
    structure: str
    theta: FloatVector
    relative_factor: FloatMatrix

    @property
    def covariance(self) -> CovarianceStructure:
        """The structure itself."""
        return STRUCTURES[self.structure](len(self.effects))

    def relative_covariance(self) -> FloatMatrix:
        """Covariance matrix (k, k) in units of the residual variance."""
        return np.asarray(self.relative_factor @ self.relative_factor.T)

    def correlated_pairs(self) -> tuple[tuple[int, int], ...]:
        """Positions (i, j), i < j, whose covariance is a parameter, not zero."""
        return self.covariance.correlated_pairs


@dataclass(frozen=True, slots=True)
class Component:
    """One standard deviation or correlation."""

    group: str
    effect1: str | None
    effect2: str | None
    vcov: float
    sdcor: float

    @property
    def is_sd(self) -> bool:
        """Whether it is a standard deviation."""
        return self.effect2 is None

    @property
    def name(self) -> str:
        """As in `conf_int`: ``sd(ses | school)``, ``cor(...)``, ``sigma``."""
        if self.effect1 is None:
            return "sigma"
        if self.effect2 is None:
            return sd_name(self.effect1, self.group)
        return correlation_name(self.effect1, self.effect2, self.group)
