"""What an expression learns from the data of the fit, and uses for new rows.

Three kinds, each called in the place of what stands in the formula: a transform that
remembers (``poly(x, 2)``), a number computed from a whole column (``x.mean()``), and
the intervals of ``pd.cut(x, 4)``. What they have learned is plain data: numbers,
text, arrays and lists.

Held by tests/design/test_whole_columns.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector
from multilevel.errors import DataError


@dataclass(slots=True)
class Remembering:
    """A stateful transform that learns from its first call.

    Attributes
    ----------
    kind : type
        A class with patsy's protocol.
    transform : object or None
        What has been learned.
    model_rows : (n,) booleans or None
        During the fit, the rows to learn from; None for all. Rows in which an argument
        is missing are never learned from, and stay missing.
    """

    kind: type
    transform: Any = None
    model_rows: BoolVector | None = None

    def __call__(self, *args: Any, **options: Any) -> Any:
        """The transformed values, learning first if nothing is learned yet."""
        n_rows = len(args[0]) if args and np.ndim(args[0]) else None
        if not n_rows:
            return self._learned(args, options).transform(*args, **options)
        complete = _complete_rows(args, n_rows)
        if self.transform is None:
            usable = _both(complete, self.model_rows)
            if usable is not None and not usable.any():
                return np.full(n_rows, np.nan)
            self._learned(_of_rows(args, usable, n_rows), options)
        if complete is None:
            return self.transform.transform(*args, **options)
        if not complete.any():
            return np.full(n_rows, np.nan)
        values = self.transform.transform(*_of_rows(args, complete, n_rows), **options)
        return _spread(np.asarray(values, dtype=float), complete)

    def _learned(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if self.transform is None:
            transform = self.kind()
            transform.memorize_chunk(*args, **options)
            transform.memorize_finish()
            self.transform = transform
        return self.transform

    def __getstate__(self) -> tuple[type, dict[str, Any] | None]:
        # patsy's own transforms refuse to be pickled; what they learned is in here.
        learned = None if self.transform is None else vars(self.transform)
        return self.kind, learned

    def __setstate__(self, state: tuple[type, dict[str, Any] | None]) -> None:
        self.kind, learned = state
        self.transform = None
        self.model_rows = None
        if learned is not None:
            self.transform = object.__new__(self.kind)
            vars(self.transform).update(learned)


@dataclass(slots=True)
class RememberedValue:
    """A number computed from a whole column, as ``x.mean()``, the same ever after.

    Attributes
    ----------
    value : number, text, date, (k,) array, or None
        What the first call gave; None before that.
    index : (k,) array or None
        Its labels, if it was a Series, as ``x.quantile([0.1, 0.9])`` is.
    """

    value: Any = None
    index: Any = None

    def __call__(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """``function(*args, **options)`` at the first call, then that again."""
        if self.value is None:
            value = function(*args, **options)
            if _is_nothing(value):
                # np.median and max do not leave missing values out, as means do.
                value = _of_present(function, args, options)
            if isinstance(value, pd.Series):
                self.value, self.index = value.to_numpy(), value.index.to_numpy()
            else:
                self.value = value
        if self.index is not None:
            return pd.Series(self.value, index=self.index)
        return self.value


@dataclass(slots=True)
class RememberedBins:
    """The intervals of ``pd.cut(x, 4)`` or ``pd.qcut(x, 4)``, the same ever after.

    Attributes
    ----------
    is_whole : bool
        Whether the intervals are all of the expression. Then a new value outside them
        belongs to a further level, which the fit has not seen; else it is refused.
    edges : (k + 1,) or None
        Ends of the intervals; None before the first call.
    labels : list or False
        A label per interval; False if they are counted.
    closed_right : bool
        Whether an interval contains its upper end.
    with_lowest : bool
        Whether the first one contains both ends.
    is_ordered : bool
        Whether the labels have an order.
    reaches_all : bool
        Whether every value of the fit was inside, as for a number of intervals. If
        the ends were given, a value outside is missing.
    """

    is_whole: bool
    edges: Any = None
    labels: Any = False
    closed_right: bool = True
    with_lowest: bool = False
    is_ordered: bool = True
    reaches_all: bool = True

    def __call__(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """The interval of each value, learning the intervals at the first call."""
        if self.edges is None:
            return self._learn(function, args, options)
        x = args[0]
        found = pd.cut(
            x,
            self.edges,
            right=self.closed_right,
            labels=self.labels,
            include_lowest=self.with_lowest,
            ordered=self.is_ordered,
        )
        outside = np.asarray(pd.isna(found)) & ~np.asarray(pd.isna(x))
        if not self.reaches_all or not outside.any():
            return found
        return self._with_outside(found, outside, np.asarray(x))

    def _learn(
        self, function: Callable[..., Any], args: Any, options: dict[str, Any]
    ) -> Any:
        given = inspect.signature(function).bind(*args, **options)
        given.apply_defaults()
        asked = given.arguments
        found, edges = function(*args, **options, retbins=True)
        self.edges = np.asarray(edges)
        # qcut has none of these options: closed on the right,
        # the lowest value included.
        self.closed_right = asked.get("right", True)
        self.with_lowest = asked.get("include_lowest", True)
        self.is_ordered = asked.get("ordered", True)
        self.reaches_all = "q" in asked or np.ndim(asked["bins"]) == 0
        self.labels = asked["labels"]
        if self.labels is None:
            self.labels = list(getattr(found, "array", found).categories)
        elif self.labels is not False:
            self.labels = list(self.labels)
        return found

    def _with_outside(self, found: Any, outside: BoolVector, x: Any) -> Any:
        lowest, highest = (_shown(self.edges[end]) for end in (0, -1))
        if not self.is_whole or self.labels is False:
            raise DataError(
                f"{_shown(x[outside][0])} is outside the intervals of the fit, from "
                f"{lowest} to {highest}, as are {int(outside.sum())} of the "
                f"{len(outside)} new rows; leave them out, or give the ends of the "
                "intervals, as in pd.cut(x, [0, 10, 20])"
            )
        level = f"outside {lowest} to {highest}"
        categorical = getattr(found, "array", found)
        categories = [*categorical.categories, level]
        codes = np.where(outside, len(categories) - 1, categorical.codes)
        return pd.Categorical.from_codes(codes, pd.Index(categories, dtype=object))


Learned: TypeAlias = Remembering | RememberedValue | RememberedBins


@contextmanager
def learning_from(
    transforms: Mapping[str, Learned], model_rows: BoolVector | None
) -> Iterator[None]:
    """While this lasts, transforms learn from some of the rows only."""
    remembering = [t for t in transforms.values() if isinstance(t, Remembering)]
    for transform in remembering:
        transform.model_rows = model_rows
    try:
        yield
    finally:
        for transform in remembering:
            transform.model_rows = None


def missing_rows(value: Any) -> BoolVector | None:
    """Rows in which something per row is missing, (n,); None if none is."""
    # Integers and booleans of numpy have no missing value: nothing to look for.
    if isinstance(value, np.ndarray) and value.dtype.kind in "iub":
        return None
    missing: BoolVector = np.asarray(pd.isna(value))
    if missing.ndim > 1:
        missing = np.asarray(missing.any(axis=1))
    return missing if missing.any() else None


def _is_per_row(value: Any, n_rows: int) -> bool:
    has_rows = isinstance(value, (np.ndarray, pd.Series, pd.DataFrame, pd.Categorical))
    return has_rows and np.ndim(value) > 0 and len(value) == n_rows


def _complete_rows(args: tuple[Any, ...], n_rows: int) -> BoolVector | None:
    """Rows in which no argument is missing; None if that is all of them."""
    complete = None
    for value in args:
        missing = missing_rows(value) if _is_per_row(value, n_rows) else None
        complete = _both(complete, None if missing is None else ~missing)
    return complete


def _both(first: BoolVector | None, second: BoolVector | None) -> BoolVector | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second


def _of_rows(
    args: tuple[Any, ...], rows: BoolVector | None, n_rows: int
) -> tuple[Any, ...]:
    if rows is None:
        return args
    return tuple(arg[rows] if _is_per_row(arg, n_rows) else arg for arg in args)


def _spread(values: Any, rows: BoolVector) -> Any:
    """Values of some rows among all, NaN in the others."""
    spread = np.full((len(rows), *values.shape[1:]), np.nan)
    spread[rows] = values
    return spread


def _shown(end: Any) -> str:
    is_number = isinstance(end, (float, np.floating))
    return f"{end:.6g}" if is_number else f"{end!s}"


def _is_nothing(value: Any) -> bool:
    return np.ndim(value) == 0 and bool(pd.isna(value))


def _of_present(
    function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """The function of the rows in which its argument is there."""
    owner = (
        args[0] if args and np.ndim(args[0]) else getattr(function, "__self__", None)
    )
    if owner is None or not np.ndim(owner):
        return function(*args, **options)
    missing = missing_rows(owner)
    if missing is None or missing.all():
        return function(*args, **options)
    if args and owner is args[0]:
        return function(owner[~missing], *args[1:], **options)
    return getattr(owner[~missing], function.__name__)(*args, **options)
