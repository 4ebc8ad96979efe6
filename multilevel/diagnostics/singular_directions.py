"""Which directions of which random terms have no variance at the estimates.

With F the factor of a term's covariance in well-conditioned columns, Cov = F F', the
left singular vectors of the singular values near zero are the directions lost; how many
they are depends on no unit and no origin.  Of the user's effects those come first that
have no variance themselves.  What is lost beyond them is told in units of the effects'
own standard deviations, by the eigenvectors of their correlation matrix.

Held by tests/diagnostics/test_singular_fit.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import BoolVector, FloatMatrix
from multilevel.covariance.standard_deviations import StandardDeviations
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.common.singularity import SINGULAR
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.optimize.generalized.likelihood import modes_of
from multilevel.optimize.generalized.start import row_unit


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LostDirections:
    """What a random term lacks.

    Parameters
    ----------
    term : int
        Position in the design.
    zero : (k,) booleans
        Effects without variance.
    combinations : (r, k)
        Combinations of the others that have none, of effects in units of their own
        standard deviations; of length one, zero for effects without variance.
    """

    term: int
    zero: BoolVector
    combinations: FloatMatrix

    def __bool__(self) -> bool:
        return bool(self.zero.any() or len(self.combinations))


def lost_directions(fitted: FittedModel) -> tuple[LostDirections, ...]:
    """The terms whose covariance matrices are not of full rank.

    Parameters
    ----------
    fitted : FittedModel

    Returns
    -------
    tuple of LostDirections
        In formula order; empty if the fit is not singular.
    """
    if not fitted.fit.is_singular:
        return ()
    below = SINGULAR * _unit(fitted)
    found = (_of_term(fitted, t, below) for t in range(len(fitted.design.terms)))
    return tuple(lost for lost in found if lost)


def _unit(fitted: FittedModel) -> float:
    """In which theta is measured, as where the fit judged it."""
    if isinstance(fitted, GeneralizedFittedModel):
        return row_unit(fitted.problem, modes_of(fitted.problem, fitted.fit))
    return 1.0


def _of_term(fitted: FittedModel, t: int, below: float) -> LostDirections:
    problem = fitted.problem
    working = problem.working_terms
    factor = working.terms.term_factors(fitted.fit.working_theta)[t]
    n_lost = int((np.linalg.svd(factor, compute_uv=False) < below).sum())
    own = StandardDeviations.of(working.transforms[t] @ factor)
    zero = own.sd * problem.column_scales[t] < below
    n_more = max(n_lost - int(zero.sum()), 0)
    combinations = np.zeros((n_more, len(zero)))
    if n_more:
        left = np.flatnonzero(~zero)
        _, vectors = np.linalg.eigh(own.correlation[np.ix_(left, left)])
        combinations[:, left] = _signed(vectors[:, :n_more].T)
    return LostDirections(term=t, zero=zero, combinations=combinations)


def _signed(rows: FloatMatrix) -> FloatMatrix:
    """Each row with its largest entry positive: the sign means nothing."""
    # Among entries of one size the first, whatever rounding makes of them.
    sizes = np.abs(rows)
    first = (sizes > sizes.max(axis=1, keepdims=True) * (1 - 1e-6)).argmax(axis=1)
    signs = np.sign(rows[np.arange(len(rows)), first])
    return np.asarray(rows * signs[:, None])
