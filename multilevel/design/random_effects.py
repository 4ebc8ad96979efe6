"""Random terms: the raw columns that vary by group, and how arrays name them.

Held by tests/design/test_encoding_new_rows.py and tests/design/test_array_interface.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.covariance.registry import STRUCTURES
from multilevel.covariance.structure import CovarianceStructure
from multilevel.design.fixed_effects import (
    INTERCEPT,
    ColumnPlan,
    content_of,
    factors_of,
)
from multilevel.design.labels import distinct_labels
from multilevel.design.variables import Variable


@dataclass(frozen=True, slots=True)
class RandomTermDesign:
    """One random term on the rows of a model; its Z is never formed.

    Attributes
    ----------
    factor_index : int
        Position of its grouping factor in `ModelDesign.factors`.
    effects : tuple of str
        Names of the k columns, as ``("Intercept", "ses")``; no two on one factor
        are the same, and a fixed effect of that name is the same column.
    columns : (n, k)
        Row i of Z holds row i of this in the columns of its level; Fortran order.
    shared : tuple of int
        For each column the position of the identical one in `ModelDesign.exog`, or -1.
    structure : str
        Name of the covariance structure.
    """

    factor_index: int
    effects: tuple[str, ...]
    columns: FloatMatrix
    shared: tuple[int, ...]
    structure: str

    @property
    def covariance(self) -> CovarianceStructure:
        """The structure itself."""
        return STRUCTURES[self.structure](len(self.effects))


@dataclass(frozen=True, slots=True)
class RandomTerm:
    """A random term for the array interface.

    Parameters
    ----------
    groups : array-like (n,)
        Group label of each row; a Series is aligned by index if the response is one.
    exog_re : array-like (n,) or (n, k), optional
        What varies by group; None for an intercept. It gets no intercept of its own.
    name : str
        Of the grouping factor. Terms of one name are on one factor and must have the
        same groups.
    structure : str
        Name of the covariance structure, as in formulas.

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.design.random_effects import RandomTerm
    >>> term = RandomTerm(np.repeat(["a", "b"], 5), name="school")
    >>> term.name, term.structure
    ('school', 'us')
    """

    groups: Any
    exog_re: Any = None
    name: str = "group"
    structure: str = "us"


def term_columns(
    plan: ColumnPlan,
    variables: Mapping[str, Variable],
    exog: FloatMatrix,
    fixed: ColumnPlan,
) -> tuple[FloatMatrix, tuple[int, ...]]:
    """The columns of a term, taken from the fixed effects' where they are the same.

    Parameters
    ----------
    plan : ColumnPlan
        The term's columns.
    variables : mapping
        Expression -> values.
    exog : (n, p)
        Fixed-effects columns.
    fixed : ColumnPlan
        How they are made. Equal contents mean equal columns; equal names do not.

    Returns
    -------
    columns : (n, k), Fortran order
        A view of `exog` if the columns stand there side by side.
    shared : tuple of int
        As `RandomTermDesign.shared`.
    """
    shared = _positions(plan, fixed)
    first = shared[0]
    if first >= 0 and shared == tuple(range(first, first + len(shared))):
        # A view: nothing of the size of the data is made twice.
        return exog[:, first : first + len(shared)], shared
    columns = np.empty((len(exog), len(shared)), order="F")
    for number, source in enumerate(shared):
        if source >= 0:
            columns[:, number] = exog[:, source]
        else:
            target = columns[:, number : number + 1]
            plan.fill(target, variables, range(number, number + 1))
    return columns, shared


def _positions(plan: ColumnPlan, fixed: ColumnPlan) -> tuple[int, ...]:
    """For each column of a plan the first fixed one of the same content, or -1."""
    contents = [content_of(recipe) for recipe in plan.recipes]
    # A fixed factor of thousands of levels is not looked at without need.
    wanted = {frozenset(piece for piece, _ in content) for content in contents}
    position: dict[frozenset[tuple[str, int | bytes]], int] = {}
    for number, recipe in enumerate(fixed.recipes):
        if frozenset(piece for piece, _ in factors_of(recipe)) in wanted:
            position.setdefault(content_of(recipe), number)
    return tuple(position.get(content, -1) for content in contents)


def told_apart(
    exog: FloatMatrix, written: Sequence[str], terms: Sequence[RandomTermDesign]
) -> tuple[tuple[str, ...], tuple[RandomTermDesign, ...]]:
    """Labels of the fixed columns and of the effects, distinct where columns differ.

    Parameters
    ----------
    exog : (n, p)
        Fixed-effects columns.
    written : sequence of str
        What they would be called, one by one.
    terms : sequence of RandomTermDesign
        Named by themselves.

    Returns
    -------
    exog_names : tuple of str
        Distinct. ``Intercept`` is the constant, if the model has it anywhere.
    terms : tuple of RandomTermDesign
        No two effects on a factor have the same name, and an effect has the name of a
        fixed effect only if it is the same column.
    """
    if _is_one_column(INTERCEPT, written, terms):
        # The usual case, which needs no look at the rows.
        exog_names = distinct_labels(written, set())
        return tuple(exog_names), _labelled(terms, exog_names, written, set())
    columns = [*zip(written, exog.T, strict=True)]
    fixed_constant = any(map(_is_the_intercept, columns))
    for term in terms:
        columns += zip(term.effects, term.columns.T, strict=True)
    is_reserved = fixed_constant or any(map(_is_the_intercept, columns))
    reserved = {INTERCEPT} if is_reserved else set()
    exog_names = distinct_labels(written, set() if fixed_constant else reserved)
    return tuple(exog_names), _labelled(terms, exog_names, written, reserved)


def _is_one_column(
    name: str, written: Sequence[str], terms: Sequence[RandomTermDesign]
) -> bool:
    """Whether all columns of that name are one and the same fixed column."""
    positions = [at for at, other in enumerate(written) if other == name]
    of_terms = (pair for t in terms for pair in zip(t.effects, t.shared, strict=True))
    return len(positions) == 1 and all(
        shared == positions[0] for effect, shared in of_terms if effect == name
    )


def _is_the_intercept(column: tuple[str, FloatVector]) -> bool:
    name, values = column
    return name == INTERCEPT and bool((values == 1.0).all())


def _labelled(
    terms: Sequence[RandomTermDesign],
    exog_names: Sequence[str],
    written: Sequence[str],
    reserved: set[str],
) -> tuple[RandomTermDesign, ...]:
    taken: dict[int, set[str]] = {}
    labelled = []
    for term in terms:
        used = taken.setdefault(term.factor_index, set())
        own = dict(zip(term.effects, term.shared, strict=True))
        # A coding that reuses another's names for other columns leaves them to it.
        misleads = any(
            name in own and own[name] not in (number, -1)
            for number, name in enumerate(written)
        )
        effects = []
        for name, position, values in zip(
            term.effects, term.shared, term.columns.T, strict=True
        ):
            called = name
            if position >= 0 and (misleads or name == written[position]):
                called = exog_names[position]
            is_free = called not in used and (position >= 0 or called not in exog_names)
            if called in reserved and not _is_the_intercept((name, values)):
                is_free = called != name
            if not is_free:
                called = distinct_labels([name], used.union(exog_names, reserved))[0]
            used.add(called)
            effects.append(called)
        labelled.append(replace(term, effects=tuple(effects)))
    return tuple(labelled)
