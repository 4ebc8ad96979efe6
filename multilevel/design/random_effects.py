"""Random terms: the raw columns that vary by group, and how arrays name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from multilevel.array_types import FloatMatrix
from multilevel.design.fixed_effects import ColumnPlan
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
        Covariance structure.
    """

    factor_index: int
    effects: tuple[str, ...]
    columns: FloatMatrix
    shared: tuple[int, ...]
    structure: str


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
        Covariance structure, as ``"us"`` or ``"diag"``.

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
    position = {
        content: number for number, content in reversed([*enumerate(fixed.contents())])
    }
    shared = tuple(position.get(content, -1) for content in plan.contents())
    first = shared[0]
    if first >= 0 and shared == tuple(range(first, first + len(shared))):
        return exog[:, first : first + len(shared)], shared
    columns = np.empty((len(exog), len(shared)), order="F")
    for number, source in enumerate(shared):
        if source >= 0:
            columns[:, number] = exog[:, source]
        else:
            target = columns[:, number : number + 1]
            plan.fill(target, variables, range(number, number + 1))
    return columns, shared


def label_effects(
    terms: Sequence[RandomTermDesign],
    exog_names: Sequence[str],
    written: Sequence[str],
) -> tuple[RandomTermDesign, ...]:
    """Random terms whose effects' names tell them apart, on each factor.

    Parameters
    ----------
    terms : sequence of RandomTermDesign
        Named by themselves.
    exog_names : sequence of str
        Of the fixed effects, distinct.
    written : sequence of str
        The same before they were told apart.

    Returns
    -------
    tuple of RandomTermDesign
        An effect has the name of a fixed effect only if it is the same column.
    """
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
        for name, position in zip(term.effects, term.shared, strict=True):
            called = name
            if position >= 0 and (misleads or name == written[position]):
                called = exog_names[position]
            if called in used or (called in exog_names and position < 0):
                called = distinct_labels([name], used.union(exog_names))[0]
            used.add(called)
            effects.append(called)
        labelled.append(replace(term, effects=tuple(effects)))
    return tuple(labelled)
