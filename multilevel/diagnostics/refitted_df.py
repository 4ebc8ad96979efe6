"""Effective numbers of parameters of counts and of binary responses, by refits.

The bias of the conditional log-likelihood of n rows is, by Stein's identity for counts
and by enumeration for binary responses,

    Poisson     sum_i y_i (log mu_i(y) - log mu_i(y with y_i - 1 in place of y_i))
    Bernoulli   sum_i mu_i (1 - mu_i) (logit mu_i(y with 1) - logit mu_i(y with 0))

with mu_i(.) the mean of row i by the model fitted to that response, and nothing taken
as known. Rows that are alike are refitted once.

References
----------
Saefken, Kneib, van Waveren & Greven (2014), Electron. J. Statist. 8, 201-225,
section 3.

Held by tests/diagnostics/test_conditional_aic.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from multilevel.array_types import IntVector
from multilevel.errors import ConvergenceWarning, DataError, SingularFitWarning
from multilevel.optimize.common.fitted_model import FittedModel


def refitted_df(fitted: FittedModel) -> float:
    """The bias correction, one refit for every row with another response.

    Raises
    ------
    DataError
        For other families, for weights, and for more than one trial in a row.
    """
    traits = fitted.family.traits
    if fitted.design.weights is not None and (fitted.design.weights != 1.0).any():
        raise _not_offered("rows with weights or with several trials")
    if traits.has_trials:
        return _binary(fitted)
    if traits.is_count and not traits.shapes:
        return _counts(fitted)
    raise _not_offered(f"the {traits.spoken_name} family")


def _not_offered(what: str) -> DataError:
    return DataError(
        'method="saefken" is for Poisson counts and binary responses in rows without '
        f'weights, not for {what}: use method="vaida-blanchard"'
    )


def _counts(fitted: FittedModel) -> float:
    y, total = fitted.design.y, 0.0
    for i, number in _distinct_rows(fitted):
        if y[i] > 0.0:
            fewer = _log_mean(fitted, i, y[i] - 1.0)
            total += number * y[i] * (float(np.log(fitted.mean[i])) - fewer)
    return total


def _log_mean(fitted: FittedModel, i: int, value: float) -> float:
    """log mu_i of the model of the response with another value in row i."""
    return float(np.log(_moved(fitted, i, value).mean[i]))


def _binary(fitted: FittedModel) -> float:
    y, total = fitted.design.y, 0.0
    for i, number in _distinct_rows(fitted):
        other = _moved(fitted, i, 1.0 - y[i])
        gap = _logit(fitted.mean[i]) - _logit(other.mean[i])
        sign = 1.0 if y[i] > 0.5 else -1.0
        total += number * sign * fitted.mean[i] * (1.0 - fitted.mean[i]) * gap
    return float(total)


def _logit(mean: float) -> float:
    return float(np.log(mean) - np.log1p(-mean))


def _moved(fitted: FittedModel, i: int, value: float) -> FittedModel:
    y = fitted.design.y.copy()
    y[i] = value
    with warnings.catch_warnings():
        # About a response that nobody observed.
        warnings.simplefilter("ignore", SingularFitWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fitted.with_response(y).refit()


def _distinct_rows(fitted: FittedModel) -> Iterator[tuple[int, int]]:
    """The first of the rows that are alike, with the number of these."""
    design = fitted.design
    columns = [
        design.y,
        *design.X.T,
        *(column for term in design.terms for column in term.columns.T),
        *(factor.codes for factor in design.factors),
    ]
    if design.offset is not None:
        columns.append(design.offset)
    table = np.column_stack(columns)
    _, first, number = np.unique(table, axis=0, return_index=True, return_counts=True)
    pairs: tuple[IntVector, IntVector] = (first, number)
    return zip(*(array.tolist() for array in pairs), strict=True)
