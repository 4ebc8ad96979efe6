"""Standard deviations and correlations: the only place where they are computed.

Held by tests/covariance/test_standard_deviations.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector


def sd_name(effect: str, group: str) -> str:
    """Name of a standard deviation.

    Examples
    --------
    >>> sd_name("ses", "school")
    'sd(ses | school)'
    """
    return f"sd({effect} | {group})"


def correlation_name(first: str, second: str, group: str) -> str:
    """Name of a correlation.

    Examples
    --------
    >>> correlation_name("Intercept", "ses", "school")
    'cor(Intercept, ses | school)'
    """
    return f"cor({first}, {second} | {group})"


@dataclass(frozen=True, slots=True)
class StandardDeviations:
    """Those of a covariance matrix, by a square root of it.

    Standard deviations are lengths of the root's rows, correlations products of its
    unit rows.

    Attributes
    ----------
    sd : (k,)
    directions : (k, r)
        Unit rows of the root; NaN where the standard deviation is zero.
    """

    sd: FloatVector
    directions: FloatMatrix

    @classmethod
    def of(cls, root: FloatMatrix) -> StandardDeviations:
        """Of ``root root'``, root (k, r)."""
        # Nothing underflows that the root does not, as each row is scaled before its
        # entries are squared.
        largest = np.abs(root).max(axis=1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            scaled = root / largest[:, None]
            relative = np.linalg.norm(scaled, axis=1)
            sd = np.where(largest > 0, largest * relative, 0.0)
            return cls(sd=sd, directions=scaled / relative[:, None])

    @property
    def correlation(self) -> FloatMatrix:
        """Correlation matrix (k, k); NaN beside a standard deviation of zero."""
        return np.clip(self.directions @ self.directions.T, -1.0, 1.0)

    def sd_slopes(self, moves: FloatArray) -> FloatMatrix:
        """Derivatives (m, k) of the standard deviations, of moves (m, k, r) of root."""
        return np.asarray(np.einsum("aij,ij->ai", moves, self.directions))

    def correlation_slopes(self, moves: FloatArray) -> FloatArray:
        """Derivatives (m, k, k) of the correlations, of moves (m, k, r) of the root."""
        longer = self.sd_slopes(moves)[:, :, None] * self.directions
        # Infinite or NaN next to a zero row.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            turned = (moves - longer) / self.sd[:, None]
            half = turned @ self.directions.T
        return half + half.transpose(0, 2, 1)
