"""The response: a number per row, or successes and trials.

Held by tests/design/test_binomial_response.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multilevel.array_types import BoolVector, FloatVector
from multilevel.design.labels import shown_levels
from multilevel.design.variables import CategoricalVariable, Variable
from multilevel.errors import DataError, FractionalCountsWarning, warn_caller

# As R's binomial family, for proportions that were rounded when they were written.
_NEAR_A_COUNT = 1e-3

# Relative, for counts that went through arithmetic.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Response:
    """The response of a model.

    Attributes
    ----------
    y : (n,)
        Response, or proportion of successes.
    trials : (n,) or None
        Number of trials, if the response says it.
    levels : (failure, success) or None
        The two values of a categorical or boolean response.
    unusable : (n,) booleans or None
        Rows without any trial.
    """

    y: FloatVector
    trials: FloatVector | None = None
    levels: tuple[Any, Any] | None = None
    unusable: BoolVector | None = None


def read_response(
    names: Sequence[str], variables: Sequence[Variable], *, binomial: bool
) -> Response:
    """Numbers of the left side.

    Parameters
    ----------
    names : sequence of str
        The columns of the left side, one or two.
    variables : sequence of Variable
        Their values, without missing rows.
    binomial : bool
        Whether the model's family is binomial.

    Returns
    -------
    Response

    Raises
    ------
    DataError
        For text or infinite values, two columns outside a binomial model, counts
        that are none.
    """
    if len(variables) == 2:
        if not binomial:
            raise DataError(
                f"the left side has two columns, {names[0]} and {names[1]}: successes "
                "and failures of a binomial model (mixedglm with family='binomial'). "
                f"For one response write their sum as I({names[0]} + {names[1]})"
            )
        return _successes_and_failures(names, variables)
    variable = variables[0]
    if isinstance(variable, CategoricalVariable):
        return _categorical_response(names[0], variable, binomial=binomial)
    y = _single_column(names[0], variable)
    return Response(y)


def _single_column(name: str, variable: Variable) -> FloatVector:
    if isinstance(variable, CategoricalVariable):
        if _is_boolean(variable):
            return np.asarray(variable.labels.levels, dtype=float)[
                variable.labels.codes
            ]
        raise _not_numbers(name, variable)
    if variable.values.shape[1] != 1:
        raise DataError(
            f"{name!r} on the left of '~' has {variable.values.shape[1]} columns; "
            "the response is one number per row"
        )
    # A copy: what is done to the data afterwards must not reach the model.
    y = np.array(variable.values[:, 0], dtype=float)
    refuse_infinite(y, name)
    return y


def refuse_infinite(values: FloatVector, name: str) -> None:
    """Refuse infinite values.

    Raises
    ------
    DataError
        With the column's name and the number of rows.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        total = values.sum()
    if np.isfinite(total):
        return
    n_infinite = int(np.isinf(values).sum())
    if n_infinite:
        raise DataError(
            f"{name!r} is infinite in {n_infinite} of {len(values)} rows (a logarithm "
            "of 0, a division by 0?); correct these rows, or make them missing"
        )


def _is_boolean(variable: CategoricalVariable) -> bool:
    return all(isinstance(level, (bool, np.bool_)) for level in variable.labels.levels)


def _not_numbers(name: str, variable: CategoricalVariable) -> DataError:
    levels = variable.labels.without_unused_levels().levels
    hint = (
        "for a response of two classes use mixedglm with family='binomial'"
        if len(levels) == 2
        else f"if it holds numbers as text: pd.to_numeric(data[{name!r}])"
    )
    return DataError(
        f"the response {name!r} holds no numbers but {shown_levels(levels)}; {hint}"
    )


def _categorical_response(
    name: str, variable: CategoricalVariable, *, binomial: bool
) -> Response:
    if not binomial:
        return Response(_single_column(name, variable))
    labels = variable.labels.without_unused_levels()
    if len(labels.levels) > 2:
        raise DataError(
            f"the response {name!r} has {len(labels.levels)} values "
            f"({shown_levels(labels.levels)}), a binomial one has two; write what "
            f"counts as a success, for example I({name} == "
            f"{shown_levels(labels.levels[-1:])})"
        )
    if len(labels.levels) < 2 and _is_boolean(variable):
        return Response(_single_column(name, variable), levels=(False, True))
    if len(labels.levels) < 2:
        raise DataError(
            f"the response {name!r} is {shown_levels(labels.levels)} in all "
            f"{len(labels.codes)} rows; there is nothing to explain"
        )
    failure, success = labels.levels.tolist()
    return Response(labels.codes.astype(float), levels=(failure, success))


def _successes_and_failures(
    names: Sequence[str], variables: Sequence[Variable]
) -> Response:
    successes, failures = (
        _single_column(name, variable)
        for name, variable in zip(names, variables, strict=True)
    )
    for name, counts in zip(names, (successes, failures), strict=True):
        # With room for counts that are products of a proportion and a number.
        is_count = (counts >= 0) & (np.abs(counts - np.round(counts)) < 1e-7)
        if not is_count.all():
            raise DataError(
                f"{name!r} must be a count, but is {counts[~is_count][0]:g} in one of "
                f"{int((~is_count).sum())} such rows; the left side is "
                "successes + failures (not successes + trials)"
            )
    trials = successes + failures
    unusable = trials == 0
    y = successes / np.where(unusable, 1.0, trials)
    return Response(y, trials, unusable=unusable if unusable.any() else None)


def warn_of_fractions(y: FloatVector, name: str, family: str) -> None:
    """Warn of a response of counts that holds fractions.

    Coefficients keep a meaning, as those of a quasi-likelihood; the log-likelihood is
    that of no distribution.

    Parameters
    ----------
    y : (n,)
    name : str
        The response's.
    family : str
        Of counts.

    Warns
    -----
    FractionalCountsWarning
        With the number of rows, the first such value, and what to do.
    """
    fractional = np.abs(y - np.round(y)) > _ROUNDING * np.maximum(1.0, np.abs(y))
    # Negative numbers are refused by the fit.
    if fractional.any() and y.min() >= 0.0:
        warn_caller(
            f"the {family} response {name!r} is no whole number in "
            f"{int(fractional.sum())} of {len(y)} rows (for example "
            f"{y[fractional][0]:g}), but {family} responses are counts: "
            "log-likelihood, AIC, limits of observations and quantile residuals mean "
            "nothing then. If it is a rate, model the counts, with "
            "offset(log(exposure)); if it is an amount, take the gamma family",
            FractionalCountsWarning,
        )


def refuse_constant(y: FloatVector, name: str) -> None:
    """Refuse a response without variation.

    Raises
    ------
    DataError
        With the value.
    """
    if len(y) and y.min() == y.max():
        raise DataError(
            f"the response {name!r} is {y[0]:g} in all {len(y)} rows; there is nothing "
            "to explain. Is it the right column?"
        )


def refuse_wrong_proportions(
    y: FloatVector, weights: FloatVector | None, name: str
) -> None:
    """Refuse a binomial response that is no proportion of the trials.

    Parameters
    ----------
    y : (n,)
        0 or 1, or proportions.
    weights : (n,) or None
        Case weights of 0/1 responses, or numbers of trials.
    name : str
        The response's.

    Raises
    ------
    DataError
        Outside [0, 1], proportions without trials, successes that are no counts.
    """
    outside = (y < 0) | (y > 1)
    if outside.any():
        raise DataError(
            f"the binomial response {name!r} is {y[outside][0]:g} in one of "
            f"{int(outside.sum())} rows outside [0, 1]; give 0/1, a proportion with "
            "weights= the number of trials, or successes + failures"
        )
    between = (y > 0) & (y < 1)
    if not between.any():
        return
    if weights is None:
        raise DataError(
            f"the binomial response {name!r} is a proportion ({y[between][0]:g}) in "
            f"{int(between.sum())} rows; say of how many trials: weights='column'"
        )
    successes = (y * weights)[between]
    wrong = np.abs(successes - np.round(successes)) > _NEAR_A_COUNT * np.maximum(
        1.0, weights[between]
    )
    if wrong.any():
        raise DataError(
            f"{name!r} times the weights is no count in {int(wrong.sum())} rows (for "
            f"example {successes[wrong][0]:g} successes); weights= must be the number "
            "of trials"
        )
