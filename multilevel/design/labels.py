"""Labels of any kind to integer codes, in one pass over the column.

Held by tests/design/test_label_coding.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import BoolVector, IntVector
from multilevel.design.plain_columns import unmasked
from multilevel.errors import DataError

# Integers are coded through a table of their range if that is at most this many times
# the number of rows; measured six times faster than hashing for two million rows.
_WIDEST_TABLE = 4


@dataclass(frozen=True, slots=True)
class Labels:
    """A column of labels, coded.

    Attributes
    ----------
    codes : (n,) integers
        Position in `levels`; -1 where the label is missing.
    levels : Index (J,)
        The distinct labels, sorted if they can be, else in order of appearance;
        those of a categorical in its own order.
    """

    codes: IntVector
    levels: pd.Index[Any]

    @property
    def missing(self) -> BoolVector:
        """Rows without a label, (n,)."""
        return np.asarray(self.codes < 0)

    def of_rows(self, rows: IntVector) -> Labels:
        """The same levels, other rows."""
        return Labels(self.codes[rows], self.levels)

    def without_unused_levels(self) -> Labels:
        """Only the levels that occur, codes renumbered."""
        n_levels = len(self.levels)
        used = np.zeros(n_levels + 1, dtype=bool)
        used[self.codes] = True  # -1 marks the extra place at the end
        used = used[:n_levels]
        if used.all():
            return self
        renumbered = np.append(np.cumsum(used) - 1, -1)
        return Labels(renumbered[self.codes], self.levels[used])


def encode_labels(values: Any, name: Hashable | None = None) -> Labels:
    """Code a column of labels.

    Parameters
    ----------
    values : Series, Categorical or array (n,)
        Strings, numbers, booleans, timestamps, tuples, categories.
    name : hashable, optional
        Of the column, for errors.

    Returns
    -------
    Labels
        Categories that do not occur are kept.

    Raises
    ------
    DataError
        For lists, dicts and other values that cannot be told apart.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.design.labels import encode_labels
    >>> labels = encode_labels(np.array(["b", "a", None, "b"], dtype=object))
    >>> labels.codes.tolist(), list(labels.levels)
    ([1, 0, -1, 1], ['a', 'b'])
    """
    values = unmasked(values)
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        categorical = getattr(values, "array", values)
        return Labels(categorical.codes.astype(np.intp), dtype.categories)
    if isinstance(dtype, np.dtype) and dtype.kind in "iu" and len(values):
        by_table = _integer_labels(np.asarray(values))
        if by_table is not None:
            return by_table
    # pandas 2.1 deprecates its own wrapper of a numpy array here.
    array = np.asarray(values) if isinstance(dtype, np.dtype) else values
    try:
        codes, uniques = pd.factorize(getattr(array, "array", array))
    except TypeError as error:
        called = "a column of labels" if name is None else repr(name)
        raise DataError(
            f"{called} holds values that are no labels ({error}); make a column with "
            "one text or number per row of what is meant"
        ) from None
    return _sorted_labels(codes.astype(np.intp, copy=False), uniques)


def _integer_labels(values: np.ndarray[Any, Any]) -> Labels | None:
    """Codes by looking up a table of the range; None if that would be too long."""
    low, high = int(values.min()), int(values.max())
    if high > np.iinfo(np.intp).max or high - low >= _WIDEST_TABLE * len(values) + 1024:
        return None
    positions = values.astype(np.intp)
    positions -= low
    present = np.zeros(high - low + 1, dtype=bool)
    present[positions] = True
    levels = pd.Index((np.flatnonzero(present) + low).astype(values.dtype))
    if len(levels) == len(present):
        return Labels(positions, levels)
    return Labels(np.cumsum(present)[positions] - 1, levels)


def _sorted_labels(codes: IntVector, uniques: Any) -> Labels:
    levels = pd.Index(uniques, tupleize_cols=False)
    try:
        if levels.dtype == object:
            order = np.array(sorted(range(len(levels)), key=levels.__getitem__), int)
        else:
            order = np.asarray(levels.argsort())
    except TypeError:
        return Labels(codes, levels)
    rank = np.empty(len(order) + 1, dtype=np.intp)
    rank[order] = np.arange(len(order))
    rank[-1] = -1
    return Labels(rank[codes], levels.take(order))


def cross_labels(first: Labels, second: Labels) -> Labels:
    """Labels ``"a:b"`` for each pair that occurs, the first varying slowest.

    Parameters
    ----------
    first, second : Labels
        Of the same rows.

    Returns
    -------
    Labels
        Only the levels that occur; missing where either is.
    """
    width = len(second.levels)
    pairs = first.codes * width + second.codes
    pairs[first.missing | second.missing] = -1
    n_pairs = len(first.levels) * width
    if n_pairs <= _WIDEST_TABLE * len(pairs) + 1024:
        present = np.zeros(n_pairs + 1, dtype=bool)
        # -1, for missing, is the last place of the table, which stands for no pair.
        present[pairs] = True
        found = np.flatnonzero(present[:-1])
        codes = np.append(np.cumsum(present[:-1]) - 1, -1)[pairs]
    else:
        codes, uniques = pd.factorize(pairs[pairs >= 0], sort=True)
        spread = np.full(len(pairs), -1, dtype=np.intp)
        spread[pairs >= 0] = codes
        codes, found = spread, np.asarray(uniques)
    # As objects: joining them is five times faster than in pandas' text type.
    a, b = (
        np.array([str(level) for level in levels_told_apart(part.levels.tolist())], "O")
        for part in (first, second)
    )
    levels = pd.Index(a[found // width] + ":" + b[found % width])
    if not levels.is_unique:  # "x:y" crossed with "z", and "x" with "y:z"
        levels = pd.Index(distinct_labels(levels.tolist()))
    return Labels(codes.astype(np.intp, copy=False), levels)


def distinct_labels(labels: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """Labels that clash told apart: the second ``x`` is called ``x#2``.

    Parameters
    ----------
    labels : sequence of str
        What things would be called.
    taken : iterable of str
        Labels that other things have.

    Returns
    -------
    list of str
        The same where nothing clashes.

    Examples
    --------
    >>> from multilevel.design.labels import distinct_labels
    >>> distinct_labels(["Intercept", "x", "Intercept"], taken=["x"])
    ['Intercept', 'x#2', 'Intercept#2']
    """
    used = set(taken)
    if not used and len(set(labels)) == len(labels):
        return list(labels)
    asked = used | set(labels)
    distinct = []
    for label in labels:
        called, number = label, 2
        while called in used or (called != label and called in asked):
            called, number = f"{label}#{number}", number + 1
        used.add(called)
        distinct.append(called)
    return distinct


class _QuotedText(str):
    """A text that prints in quotes and is equal to itself without them."""

    __slots__ = ()

    def __str__(self) -> str:
        return repr(str.__str__(self))

    def __format__(self, specification: str) -> str:
        return format(str(self), specification)


def levels_told_apart(levels: Iterable[Any]) -> list[Any]:
    """Levels of which no two print alike: texts in quotes next to 1 and "1".

    Parameters
    ----------
    levels : iterable
        Distinct, of any type.

    Returns
    -------
    list
        Equal to the levels; only how they print differs.

    Examples
    --------
    >>> from multilevel.design.labels import levels_told_apart
    >>> [str(level) for level in levels_told_apart([1, "1", "a"])]
    ['1', "'1'", 'a']
    """
    listed = list(levels)
    counts = Counter(map(str, listed))
    if len(counts) == len(listed):
        return listed
    return [
        _QuotedText(level) if isinstance(level, str) and counts[level] > 1 else level
        for level in listed
    ]


def shown_levels(levels: pd.Index[Any], most: int = 4) -> str:
    """Some levels as Python prints them, for messages.

    Examples
    --------
    >>> import pandas as pd
    >>> from multilevel.design.labels import shown_levels
    >>> shown_levels(pd.Index([1, 2, 3]), most=2)
    '1, 2, ...'
    """
    shown = ", ".join(repr(level) for level in levels[:most].tolist())
    return shown + (", ..." if len(levels) > most else "")


def match_levels(values: Any, levels: pd.Index[Any], name: str) -> Labels:
    """Code new labels by the levels of a fit.

    Numbers match numbers by value (1 and 1.0), text matches text, whatever the type of
    the columns; a number never matches a text.

    Parameters
    ----------
    values : Series, Categorical or array (n,)
        New labels.
    levels : Index (J,)
        Levels of the fit.
    name : str
        Of the column, for errors.

    Returns
    -------
    Labels
        `codes` count in the fit's levels, which come first in `levels`; the new ones
        follow.

    Raises
    ------
    DataError
        If none match, but would if numbers were written as text.

    Examples
    --------
    >>> import pandas as pd
    >>> from multilevel.design.labels import match_levels
    >>> match_levels(pd.Series([2.0, 7.0]), pd.Index([1, 2]), "g").codes.tolist()
    [1, 2]
    """
    found = values if isinstance(values, Labels) else encode_labels(values)
    new = found.without_unused_levels()
    known = {level: position for position, level in enumerate(levels.tolist())}
    asked = new.levels.tolist()
    positions = [known.get(level, -1) for level in asked]
    unseen = [level for level, at in zip(asked, positions, strict=True) if at < 0]
    if len(unseen) == len(asked):
        _refuse_other_spelling(unseen, known, name)
    extra = iter(range(len(levels), len(levels) + len(unseen)))
    table = np.array([at if at >= 0 else next(extra) for at in positions] + [-1])
    both = pd.Index([*levels.tolist(), *unseen], dtype=object, tupleize_cols=False)
    return Labels(table[new.codes], both)


def _refuse_other_spelling(unseen: list[Any], known: dict[Any, int], name: str) -> None:
    spelled = {str(level): level for level in known}
    for level in unseen:
        if str(level) in spelled:
            raise DataError(
                f"{name!r} has {level!r} ({type(level).__name__}) in the new data, "
                f"{spelled[str(level)]!r} ({type(spelled[str(level)]).__name__}) in "
                "the data of the fit; convert the new column to the same type"
            )
