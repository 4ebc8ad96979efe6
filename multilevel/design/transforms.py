"""Transforms that remember what they saw: the same basis for the fit and for new data.

Each class follows patsy's protocol: `memorize_chunk` sees the data of the fit,
`memorize_finish` ends that, `transform` is applied to any data. `STATEFUL_TRANSFORMS`
maps the names that a formula uses to these classes.

Held by tests/design/test_fixed_columns.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector


class Center:
    """``center(x)``: x minus its mean."""

    def __init__(self) -> None:
        self.mean: FloatArray | None = None

    def memorize_chunk(self, x: Any) -> None:
        """Remember the mean of x (n,) or of each column (n, k)."""
        self.mean = np.asarray(x, dtype=float).mean(axis=0)

    def memorize_finish(self) -> None:
        """Nothing is left to do."""

    def transform(self, x: Any) -> FloatArray:
        """X minus the remembered mean, in the shape of x."""
        return np.asarray(x, dtype=float) - self.mean


class Standardize:
    """``standardize(x, center=True, rescale=True, ddof=0)``: mean 0 and sd 1."""

    def __init__(self) -> None:
        self.mean: FloatArray | None = None
        self.centered_squares: FloatArray | None = None
        self.n_rows = 0

    def memorize_chunk(
        self, x: Any, center: bool = True, rescale: bool = True, ddof: int = 0
    ) -> None:
        """Remember mean and sum of squares about it, of x (n,) or each column."""
        values = np.asarray(x, dtype=float)
        self.n_rows = len(values)
        self.mean = values.mean(axis=0)
        # About the mean: sums of squares less the square of the sum lose all
        # digits of a column far from zero.
        self.centered_squares = ((values - self.mean) ** 2).sum(axis=0)

    def memorize_finish(self) -> None:
        """Nothing is left to do."""

    def transform(
        self, x: Any, center: bool = True, rescale: bool = True, ddof: int = 0
    ) -> FloatArray:
        """X on the remembered scale, in the shape of x."""
        values = np.asarray(x, dtype=float)
        if center:
            values = values - self.mean
        if rescale:
            squares = np.asarray(self.centered_squares)
            values = values / np.sqrt(squares / (self.n_rows - ddof))
        return values


class Poly:
    """``poly(x, degree)``: orthogonal polynomials with R's normalisation and sign.

    Column d has norm 1 over the rows of the fit, is orthogonal to 1 and to the lower
    degrees there, and its leading coefficient is positive. On new data the three-term
    recursion is evaluated with the remembered coefficients.

    References
    ----------
    Kennedy & Gentle (1980), Statistical Computing, section 5.6 (the source that R's
    ``poly`` names).
    """

    def __init__(self) -> None:
        self.center = 0.0
        self.unit = 1.0
        self.alpha: list[float] = []
        self.norm2: list[float] = []

    def memorize_chunk(self, x: Any, degree: int = 1, raw: bool = False) -> None:
        """Remember the recursion's coefficients for x (n,)."""
        if raw:
            return
        values = _one_column(x)
        n_points = len(np.unique(values))
        if not 1 <= degree < n_points:
            raise ValueError(
                f"poly() of degree {degree} needs more than {degree} different "
                f"values; there are {n_points}"
            )
        # In units of its range, so that no power of x over- or underflows.
        self.center = float(values.mean())
        self.unit = float(np.abs(values - self.center).max())
        scaled = (values - self.center) / self.unit
        before, current = np.zeros_like(scaled), np.ones_like(scaled)
        self.norm2 = [float(len(scaled))]
        for _ in range(degree):
            self.alpha.append(float(scaled @ current**2) / self.norm2[-1])
            before, current = current, self._next(scaled, before, current)
            self.norm2.append(float(current @ current))

    def memorize_finish(self) -> None:
        """Nothing is left to do."""

    def transform(self, x: Any, degree: int = 1, raw: bool = False) -> FloatMatrix:
        """The polynomials (n, degree) at x (n,)."""
        values = _one_column(x)
        if raw:
            return np.asarray(np.power.outer(values, np.arange(1, degree + 1)))
        scaled = (values - self.center) / self.unit
        remembered = Poly()
        before, current = np.zeros_like(scaled), np.ones_like(scaled)
        columns = []
        for step in range(degree):
            remembered.alpha = self.alpha[: step + 1]
            remembered.norm2 = self.norm2[: step + 1]
            before, current = current, remembered._next(scaled, before, current)
            columns.append(current / np.sqrt(self.norm2[step + 1]))
        return np.column_stack(columns)

    def _next(
        self, x: FloatVector, before: FloatVector, current: FloatVector
    ) -> FloatVector:
        """P_{d+1} = (x - alpha_d) P_d - (|P_d|^2 / |P_{d-1}|^2) P_{d-1}."""
        following = (x - self.alpha[-1]) * current
        if len(self.norm2) > 1:
            following -= (self.norm2[-1] / self.norm2[-2]) * before
        return following


def _one_column(x: Any) -> FloatVector:
    values = np.asarray(x, dtype=float)
    if values.ndim != 1:
        raise ValueError(f"poly() takes one column, not {values.shape[1]}")
    return values


STATEFUL_TRANSFORMS: dict[str, type] = {
    "center": Center,
    "standardize": Standardize,
    "scale": Standardize,
    "poly": Poly,
}
