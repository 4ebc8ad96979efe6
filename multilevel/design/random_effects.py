"""Random terms: the raw columns that vary by group, and how arrays name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multilevel.array_types import FloatMatrix
from multilevel.design.fixed_effects import ColumnPlan
from multilevel.design.variables import Variable


@dataclass(frozen=True, slots=True)
class RandomTermDesign:
    """One random term on the rows of a model; its Z is never formed.

    Attributes
    ----------
    factor_index : int
        Position of its grouping factor in `ModelDesign.factors`.
    effects : tuple of str
        Names of the k columns, as ``("Intercept", "ses")``.
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
    exog_names: Sequence[str],
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
    exog_names : sequence of str
        Their names. Equal names mean equal columns: a name tells expression, level
        and contrast.

    Returns
    -------
    columns : (n, k), Fortran order
        A view of `exog` if the columns stand there side by side.
    shared : tuple of int
        As `RandomTermDesign.shared`.
    """
    position = {name: number for number, name in enumerate(exog_names)}
    shared = tuple(position.get(name, -1) for name in plan.names)
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
