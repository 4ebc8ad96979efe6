"""Which hypotheses about fixed effects can be tested, where columns are aliased.

With aliased columns, X_dropped = X_kept B, the fitted model sets their coefficients to
zero. A contrast l'beta that involves them has an estimate that does not depend on this
choice if and only if l_dropped = B'l_kept. A contrast of kept columns alone is that of
the model as fitted, as in its table of coefficients. Contrasts have no size of their
own, unlike rows to predict: what cancels is compared with the terms that cancel.

References
----------
Searle (1971), Linear Models, section 5.4.

Held by tests/inference/test_units_and_origins.py and
tests/results/test_mixedlm_results.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector, IntVector
from multilevel.design.estimability import EstimableSpace
from multilevel.errors import FitError

_NOT_ESTIMABLE = 1e-6
"""Of the size of the terms that must cancel."""

_ROUNDING = 1e-9
"""Of the dependence of columns whose largest values are one."""

_RANK = 1e-11
"""Least share of a row's length that other rows leave, for a row of its own."""


@dataclass(frozen=True, slots=True)
class Estimability:
    """How the columns that were left out depend on those that were kept.

    Parameters
    ----------
    kept : (p,)
        Positions of the kept columns.
    dropped : (d,)
        Of the others.
    dependence : (p, d)
        B in X_dropped = X_kept B.
    """

    kept: IntVector
    dropped: IntVector
    dependence: FloatMatrix

    def estimable(self, L: FloatMatrix) -> BoolVector:
        """Which rows of L (rows, p_all) have an estimate, (rows,)."""
        missed, size = self._missed(L)
        alone = ~L[:, self.dropped].any(axis=1)
        return np.asarray(alone | (missed <= _NOT_ESTIMABLE * size).all(axis=1))

    def estimable_part(
        self, L: FloatMatrix, q: FloatVector
    ) -> tuple[FloatMatrix, FloatVector]:
        """What of the hypotheses L beta = q has an estimate, in the kept columns.

        Parameters
        ----------
        L : (rows, p_all)
        q : (rows,)

        Returns
        -------
        (c, p) and (c,) arrays
        """
        if self.estimable(L).all():
            return L[:, self.kept], q
        combined = self._combinations(L)
        return combined @ L[:, self.kept], combined @ q

    def _combinations(self, L: FloatMatrix) -> FloatMatrix:
        """Combinations (c, rows) of the rows of L that have an estimate."""
        missed, size = self._missed(L, signed=True)
        scaled = missed / np.maximum(size.max(axis=0), 1e-300)
        dropped = L[:, self.dropped]
        peak = np.abs(dropped).max(axis=0)
        alone = _left_null(dropped / np.where(peak > 0, peak, 1.0))
        # Without any column that was left out, or with all that is missed cancelling:
        # what is estimable is spanned by both, which may have rows in common.
        both = np.vstack([alone, _left_null(scaled)])
        values, vectors = np.linalg.svd(both, full_matrices=False)[1:]
        return np.asarray(vectors[values > 1e-8])

    def _missed(
        self, L: FloatMatrix, *, signed: bool = False
    ) -> tuple[FloatMatrix, FloatMatrix]:
        """L_dropped - L_kept B and the size of its terms, (rows, d) each."""
        own, through = L[:, self.dropped], L[:, self.kept]
        missed = own - through @ self.dependence
        # What cancels is judged by the terms that cancel, not by what is left of them.
        size = np.abs(own) + np.abs(through) @ np.abs(self.dependence)
        return (missed if signed else np.abs(missed)), size


def estimability(exog: FloatMatrix, kept: IntVector) -> Estimability:
    """Find how the columns left out depend on those kept.

    Parameters
    ----------
    exog : (n, p_all)
    kept : (p,)

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(4.0)
    >>> X = np.column_stack([np.ones(4), x, 2.0 * x + 1.0])
    >>> found = estimability(X, np.array([0, 1]))
    >>> found.dependence.round(6).ravel().tolist()
    [1.0, 2.0]
    >>> found.estimable(np.array([[0.0, 0.0, 1.0], [1.0, 2.0, 5.0]])).tolist()
    [False, True]
    """
    space = EstimableSpace.of(exog, kept)
    found = space.combinations.copy()
    found[np.abs(found) < _ROUNDING] = 0.0  # not a part of the dependence
    kept_scale, own_scale = space.scale[space.kept], space.scale[space.aliased]
    dependence = found * own_scale / kept_scale[:, np.newaxis]
    return Estimability(space.kept, space.aliased, dependence)


def independent_rows(
    L: FloatMatrix, q: FloatVector, scales: FloatVector
) -> tuple[FloatMatrix, FloatVector]:
    """Hypotheses L beta = q without those that follow from others.

    The rank is that of L itself, as a matrix: how strongly the estimates are
    correlated plays no part, nor do the units of columns and rows.

    Parameters
    ----------
    L : (rows, p)
    q : (rows,)
    scales : (p,)
        Standard errors of the coefficients: makes columns comparable.

    Returns
    -------
    (rank, p) and (rank,) arrays

    Raises
    ------
    FitError
        If hypotheses contradict each other.
    """
    scaled = L * np.where(scales > 0, scales, 1.0)
    lengths = np.linalg.norm(scaled, axis=1)
    some = lengths > 0
    if np.any(q[~some] != 0.0):
        raise FitError("a hypothesis says that zero is another number")
    scaled, lengths = scaled[some] / lengths[some, None], lengths[some]
    L, q = L[some] / lengths[:, None], q[some] / lengths
    left, values, _ = np.linalg.svd(scaled, full_matrices=False)
    rank = int((values > _RANK).sum())
    if rank == len(L):
        return L, q
    left = left[:, :rank]
    if np.linalg.norm(q - left @ (left.T @ q)) > 1e-6 * np.linalg.norm(q):
        raise FitError(
            "the hypotheses contradict each other: some are combinations of others "
            "but for their right-hand sides; leave these out"
        )
    return left.T @ L, left.T @ q


def _left_null(matrix: FloatMatrix) -> FloatMatrix:
    """Orthonormal rows a with a'matrix = 0, (c, rows)."""
    left, values, _ = np.linalg.svd(matrix, full_matrices=True)
    rank = int((values > _NOT_ESTIMABLE * max(values.max(initial=0.0), 1.0)).sum())
    return np.asarray(left[:, rank:].T)
