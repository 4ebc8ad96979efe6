"""Which combinations of the fixed effects the rows of a fit determine.

x'beta is estimable if x lies in the row space of X, that is if whatever depends
linearly in all rows of X depends in the same way in x. The columns that were left out
say what depends: each is a combination of the kept ones in every row of the fit.

References
----------
Searle (1971), Linear Models, section 5.4.

Held by tests/prediction/test_estimable_rows.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector, IntVector
from multilevel.design.rank import scaled_triangle

# A departure below this part of a column's spread in the fit moves no prediction that
# is worth printing, and may be the rounding of new data written with eight digits.
_NEGLIGIBLE = 1e-8

# Rounding errors of a row, in units of its largest product.
_ROUNDING = 1e4 * np.finfo(float).eps


@dataclass(frozen=True, slots=True)
class EstimableSpace:
    """The row space of a fit's fixed-effects columns, free of their units and origins.

    Attributes
    ----------
    kept, aliased : integers
        Positions of the columns that were estimated, and of those left out.
    scale : (p_all,)
        Largest size of each column in the fit; all that follows is in these units.
    combinations : (rank, n_aliased)
        Each aliased column from the kept ones.
    root : (rank, rank)
        Upper triangular; root' root are the cross-products of the kept columns.
    left_over : (n_aliased,)
        Norm over the rows of the fit of what the combinations leave.
    spread : (n_aliased,)
        Largest distance of an aliased column from its mean.
    """

    kept: IntVector
    aliased: IntVector
    scale: FloatVector
    combinations: FloatMatrix
    root: FloatMatrix
    left_over: FloatVector
    spread: FloatVector

    @staticmethod
    def of(exog: FloatMatrix, kept: IntVector) -> EstimableSpace:
        """The space of the rows of a matrix.

        Parameters
        ----------
        exog : (n, p_all)
            All columns, aliased ones too.
        kept : (rank,)
            As `independent_columns` gives them.

        Examples
        --------
        >>> import numpy as np
        >>> from multilevel.design.estimability import EstimableSpace
        >>> X = np.array([[1.0, 0, 0], [1, 1, 2], [1, 3, 6]])
        >>> space = EstimableSpace.of(X, np.array([0, 1]))
        >>> space.contains(np.array([[1.0, 9, 18], [1, 9, 17]])).tolist()
        [True, False]
        """
        aliased = np.setdiff1d(np.arange(exog.shape[1]), kept)
        triangle, scale = scaled_triangle(exog)
        # The triangle stands for all rows: lengths and angles
        # of its columns are the same.
        q, root = np.linalg.qr(triangle[:, kept])
        combinations = np.zeros((len(kept), len(aliased)))
        if len(kept):
            combinations = solve_triangular(root, q.T @ triangle[:, aliased])
        left = triangle[:, aliased] - triangle[:, kept] @ combinations
        columns = exog[:, aliased] / scale[aliased]
        return EstimableSpace(
            kept=kept,
            aliased=aliased,
            scale=scale,
            combinations=np.asarray(combinations),
            root=root,
            left_over=np.linalg.norm(left, axis=0),
            spread=np.abs(columns - columns.mean(axis=0)).max(axis=0, initial=0.0),
        )

    def departures(self, rows: FloatMatrix) -> BoolVector:
        """Which aliased columns of new rows (m, p_all) do not combine as in the fit.

        Returns
        -------
        (m, n_aliased) booleans
        """
        inside = rows[:, self.kept] / self.scale[self.kept]
        given = rows[:, self.aliased] / self.scale[self.aliased]
        # Of the terms, not of their sum: what cancels exactly
        # in the fit need not be small.
        sizes = np.abs(inside) @ np.abs(self.combinations) + np.abs(given)
        # A row of the space is c'X; its own left-over is then at most |c| times that
        # of the fit, and the shortest such c has this length.
        reach = np.zeros((len(rows), 1))
        if inside.size:
            shortest = solve_triangular(self.root, inside.T, trans="T")
            reach = np.linalg.norm(shortest, axis=0)[:, np.newaxis]
        allowed = _ROUNDING * sizes + _NEGLIGIBLE * self.spread
        allowed += 10.0 * reach * self.left_over
        return np.asarray(np.abs(given - inside @ self.combinations) > allowed)

    def contains(self, rows: FloatMatrix) -> BoolVector:
        """Whether x'beta is estimable, for rows x (m, p_all) of finite numbers."""
        return np.asarray(~self.departures(rows).any(axis=1))

    def columns_involved(self, departed: BoolVector) -> IntVector:
        """Columns whose dependence some aliased ones (n_aliased,) do not keep to."""
        used = np.abs(self.combinations[:, departed]).max(axis=1, initial=0.0) > 1e-9
        return np.union1d(self.kept[used], self.aliased[departed])
