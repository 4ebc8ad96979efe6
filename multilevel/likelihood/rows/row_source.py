"""From the rows of a data set to working rows, some of them at a time.

Nothing of the size of the data is made: every pass transforms a slice of rows, uses
it and drops it.

Held by tests/likelihood/products/test_cross_products.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.rows.column_basis import (
    ColumnBasis,
    centring_basis,
    common_scale_basis,
    constant_column,
    depend_by_rounding,
    orthonormal_basis,
    row_slices,
    scaling_basis,
    weighted_mean,
)
from multilevel.likelihood.rows.working_rows import (
    RandomColumns,
    WorkingBasis,
    WorkingColumn,
    WorkingRows,
)


@dataclass(frozen=True, slots=True)
class RowSource:
    """The rows of a data set and the basis of their working columns.

    Parameters
    ----------
    y : (n,)
    X : (n, p)
    terms : random terms in formula order
    weights : (n,) or None
    basis : WorkingBasis
    own : one ColumnBasis for each term, None where it shares the fixed columns
    """

    y: FloatVector
    X: FloatMatrix
    terms: tuple[RandomColumns, ...]
    weights: FloatVector | None
    basis: WorkingBasis
    own: tuple[ColumnBasis | None, ...]

    @property
    def n_rows(self) -> int:
        """n."""
        return len(self.y)

    def rows(self, part: slice = slice(None)) -> WorkingRows:
        """Working rows of a slice of the data, all by default."""
        basis = self.basis
        Xy = _working_columns(self.X[part], basis)
        Xy[:, -1] = self.working_response(part, Xy[:, :-1])
        constant = _fixed_constant(basis)
        random = []
        key = Xy.shape[1]
        for term, own in zip(self.terms, self.own, strict=True):
            if own is None:
                random.append(_shared_columns(Xy, constant, len(term.shared)))
                continue
            values = own.apply(term.columns[part])
            random.append(
                tuple(
                    _working_column(key + j, values[:, j])
                    for j in range(values.shape[1])
                )
            )
            key += values.shape[1]
        weights = None if self.weights is None else self.weights[part]
        return WorkingRows(
            Xy=Xy, constant=constant, random=tuple(random), weights=weights, basis=basis
        )

    def working_response(self, part: slice, fixed: FloatMatrix) -> FloatVector:
        """Working response of a slice, given its working fixed columns (n, p)."""
        basis = self.basis
        response = self.y[part] - basis.response_mean
        if len(basis.response_fit):
            response -= fixed @ basis.response_fit
        response /= basis.response_scale
        return response

    def with_responses(self, Y: FloatMatrix) -> tuple[RowSource, ...]:
        """The same columns with other responses.

        Parameters
        ----------
        Y : (n, r)
            Less any offset.
        """
        # Without a constant column there is nothing that could give a mean back.
        centred = self.basis.constant[0] >= 0
        means = [weighted_mean(y, self.weights) if centred else 0.0 for y in Y.T]
        fits, squares = _fits_and_squares(self, Y, means)
        return tuple(map(self._less_fit, Y.T, means, fits, squares))

    def _less_fit(
        self, y: FloatVector, mean: float, fit: FloatVector, squares: float
    ) -> RowSource:
        """With a response less its fit (p,) on X, scaled to unit mean square."""
        left = squares - self.n_rows * float(fit @ fit)
        # The difference has lost six digits: once more from residuals, row by row.
        if left < 1e-6 * squares:
            left = _residual_squares(self, y - mean, fit)
        scale = float(np.sqrt(left / self.n_rows)) if left > 0 else 1.0
        basis = replace(
            self.basis, response_mean=mean, response_fit=fit, response_scale=scale
        )
        return replace(self, y=y, basis=basis)


def _working_columns(X: FloatMatrix, basis: WorkingBasis) -> FloatMatrix:
    """Working fixed columns and, last, room for the response; Fortran order."""
    n_rows, n_fixed = X.shape
    Xy = np.empty((n_rows, n_fixed + 1), order="F")
    if n_fixed:
        basis.fixed.apply(_ordered(X, basis), Xy[:, :-1])
    return Xy


def _ordered(X: FloatMatrix, basis: WorkingBasis) -> FloatMatrix:
    in_order = bool((basis.order == np.arange(X.shape[1])).all())
    return X if in_order else X[:, basis.order]


def _fixed_constant(basis: WorkingBasis) -> float:
    position, value = basis.constant
    return value * float(basis.fixed.inner[0, 0]) if position == 0 else 0.0


def row_source(
    y: FloatVector,
    X: FloatMatrix,
    terms: Sequence[RandomColumns],
    weights: FloatVector | None,
) -> RowSource:
    """Find the working columns of a data set.

    Parameters
    ----------
    y : (n,)
        Response less any offset.
    X : (n, p)
        Of full column rank.
    terms : random terms in formula order
    weights : (n,) or None
        Prior weights, positive.
    """
    constant = constant_column(X)
    order = _column_order(X, terms, constant)
    ordered = X if order == list(range(X.shape[1])) else X[:, order]
    fixed = orthonormal_basis(ordered, weights) or scaling_basis(ordered, weights)
    own = tuple(
        None if _shares_leading(term, order, constant) else own_basis(term, weights)
        for term in terms
    )
    transforms = tuple(
        _shared_transform(fixed, term, order) if basis is None else basis.transform
        for term, basis in zip(terms, own, strict=True)
    )
    basis = WorkingBasis(
        order=np.asarray(order, dtype=np.intp),
        fixed=fixed,
        response_mean=0.0,
        response_scale=1.0,
        response_fit=np.zeros(X.shape[1]),
        constant=(0, float(X[0, constant])) if constant >= 0 else (-1, 0.0),
        terms=transforms,
    )
    source = RowSource(
        y=y, X=X, terms=tuple(terms), weights=weights, basis=basis, own=own
    )
    return source.with_responses(y[:, None])[0]


def _fits_and_squares(
    source: RowSource, Y: FloatMatrix, means: Sequence[float]
) -> tuple[FloatMatrix, FloatVector]:
    """Coefficients (r, p) and sums of squares (r,) of the centred responses."""
    basis, n_rows = source.basis, source.n_rows
    fits, squares = np.zeros((len(means), source.X.shape[1])), np.zeros(len(means))
    for part in row_slices(n_rows):
        # Centred only: the triangle that makes them orthonormal multiplies the sums.
        columns = basis.fixed.centred(_ordered(source.X[part], basis))
        for j, mean in enumerate(means):
            response = Y[part, j] - mean
            weighted = _weighted(response, source.weights, part)
            fits[j] += weighted @ columns
            squares[j] += response @ weighted
    return fits @ basis.fixed.inner / n_rows, squares


def _residual_squares(
    source: RowSource, centred: FloatVector, fit: FloatVector
) -> float:
    squares = 0.0
    for part in row_slices(source.n_rows):
        Xy = _working_columns(source.X[part], source.basis)
        left = centred[part] - Xy[:, :-1] @ fit
        squares += float(left @ _weighted(left, source.weights, part))
    return squares


def _weighted(
    column: FloatVector, weights: FloatVector | None, part: slice
) -> FloatVector:
    return column if weights is None else column * weights[part]


def _shares_leading(term: RandomColumns, order: list[int], constant: int) -> bool:
    """Whether the leading fixed columns are exactly the term's columns."""
    leading = order[: len(term.shared)]
    shared = sorted(leading) == sorted(term.shared)
    return shared and constant >= 0 and term.freedom == "any"


def _shared_transform(
    fixed: ColumnBasis, term: RandomColumns, order: list[int]
) -> FloatMatrix:
    size = len(term.shared)
    positions = [order.index(j) for j in term.shared]
    return np.asarray(fixed.transform[:size, :size][positions])


def _column_order(
    X: FloatMatrix, terms: Sequence[RandomColumns], constant: int
) -> list[int]:
    """Constant first, then the columns that an unstructured term shares, then rest."""
    # In this order the leading working columns span what the term spans, so that its
    # random columns are working columns already and their products are shared.
    order = [constant] if constant >= 0 else []
    for term in terms:
        if term.freedom == "any" and len(term.shared) > 1 and min(term.shared) >= 0:
            order += [j for j in term.shared if j not in order]
            break
    return order + [j for j in range(X.shape[1]) if j not in order]


def _shared_columns(
    Xy: FloatMatrix, constant: float, n_columns: int
) -> tuple[WorkingColumn, ...]:
    first = WorkingColumn(0, None, constant)
    rest = (WorkingColumn(j, Xy[:, j]) for j in range(1, n_columns))
    return (first, *rest)


def own_basis(term: RandomColumns, weights: FloatVector | None) -> ColumnBasis:
    """As well conditioned a basis of a term's columns as its structure allows."""
    # Only an unstructured covariance maps onto itself under any change of columns; one
    # of independent effects allows scaling, others not even that.
    if term.freedom == "any" and term.columns.shape[1] > 1:
        basis = orthonormal_basis(term.columns, weights)
        if basis is None or depend_by_rounding(basis):
            return centring_basis(term.columns, weights)
        return basis
    build = common_scale_basis if term.freedom == "none" else scaling_basis
    return build(term.columns, weights)


def _working_column(key: int, values: FloatVector) -> WorkingColumn:
    if len(values) and (values == values[0]).all():
        return WorkingColumn(key, None, float(values[0]))
    return WorkingColumn(key, values)
