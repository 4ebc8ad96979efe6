"""The arrays of a model, and what it takes to make them again from new data.

Held by tests/design/test_column_identity.py.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.design.column_kinds import ColumnKind
from multilevel.design.expressions import FittedExpression
from multilevel.design.fixed_effects import ColumnPlan
from multilevel.design.frames import ColumnTable
from multilevel.design.grouping import GroupEncoding, GroupingFactor
from multilevel.design.missing import DroppedRows
from multilevel.design.random_effects import RandomTermDesign
from multilevel.formula.terms import ModelFormula


@dataclass(frozen=True, slots=True)
class VariableCoding:
    """Kind of an expression of the fixed or random effects.

    Attributes
    ----------
    levels : Index or None
        Levels of a categorical one; None if it is numeric.
    n_columns : int
        Columns of a numeric one; 1 for a categorical.
    """

    levels: pd.Index[Any] | None
    n_columns: int


@dataclass(frozen=True, slots=True)
class DesignEncoding:
    """What new data need to be coded as the data of the fit were.

    Attributes
    ----------
    expressions : dict
        Code -> expression, with what its transforms learned.
    variables : dict
        Code -> coding, for what the fixed and random effects use.
    fixed : ColumnPlan
        Columns of `ModelDesign.exog`; its `terms` say which belong to which term.
    random : tuple of ColumnPlan
        Columns of each random term.
    groups : tuple of GroupEncoding
        One per grouping factor.
    offsets : tuple of str
        Expressions of ``offset(...)`` terms.
    offset_column : str or None
        The column given as ``offset=``.
    offset_was_array : bool
        Whether ``offset=`` was an array, which new data cannot have.
    whole : ColumnTable or None
        All rows of the columns of expressions that may look at other rows, by which
        such an expression is checked in new rows; None if there is none.
    kinds : dict
        Column -> what it held, for columns that expressions compute with.
    """

    expressions: dict[str, FittedExpression]
    variables: dict[str, VariableCoding]
    fixed: ColumnPlan
    random: tuple[ColumnPlan, ...]
    groups: tuple[GroupEncoding, ...]
    offsets: tuple[str, ...]
    offset_column: str | None
    offset_was_array: bool
    whole: ColumnTable | None = None
    kinds: dict[Hashable, ColumnKind] = field(default_factory=dict)

    def columns_of(self, codes: tuple[str, ...]) -> tuple[Hashable, ...]:
        """The data columns that some expressions need, without repetition."""
        names = (self.expressions[code].expression.columns for code in codes)
        return tuple(dict.fromkeys(name for group in names for name in group))


@dataclass(frozen=True, slots=True)
class ModelDesign:
    """Response, fixed effects and random terms of a model, on the rows it uses.

    Attributes
    ----------
    formula : ModelFormula or None
        None for the array interface.
    response : str
        The response as written.
    y : (n,)
        Response; for successes + failures the proportion of successes.
    exog : (n, p_all)
        Fixed-effects columns, aliased ones too; Fortran order.
    exog_names : tuple of str
        Their names.
    kept : (p,) integers
        Positions of the columns that do not depend on earlier ones.
    weights : (n,) or None
        Prior weights; trials (times weights) if the response has them.
    offset : (n,) or None
        Sum of all offsets.
    factors : tuple of GroupingFactor
        In order of first appearance.
    terms : tuple of RandomTermDesign
        In the order of the formula.
    index : Index (n,)
        Row labels of the data.
    dropped : DroppedRows
        Rows left out.
    encoding : DesignEncoding or None
        None for the array interface.
    response_levels : (failure, success) or None
        The two values of a categorical or boolean binomial response.
    rows : (n,) integers or None
        Positions of the rows in the data; None if none was left out.
    trials : (n,) or None
        Numbers of trials of a binomial response whose weights are these times case
        weights; None where the weights are the trials, or there are none.
    """

    formula: ModelFormula | None
    response: str
    y: FloatVector
    exog: FloatMatrix
    exog_names: tuple[str, ...]
    kept: IntVector
    weights: FloatVector | None
    offset: FloatVector | None
    factors: tuple[GroupingFactor, ...]
    terms: tuple[RandomTermDesign, ...]
    index: pd.Index[Any]
    dropped: DroppedRows
    encoding: DesignEncoding | None = None
    response_levels: tuple[Any, Any] | None = None
    rows: IntVector | None = None
    trials: FloatVector | None = None

    @property
    def X(self) -> FloatMatrix:  # noqa: N802 - the paper's letter
        """The columns that are estimated, (n, p); not copied if none is aliased."""
        if len(self.kept) == self.exog.shape[1]:
            return self.exog
        return self.exog[:, self.kept]

    @property
    def observation_weights(self) -> FloatVector | None:
        """Trials or prior weights of single observations, without case weights, (n,).

        The case weights of counts are among them: no observation depends on those.
        """
        return self.weights if self.trials is None else self.trials

    @property
    def nobs(self) -> int:
        """Number of rows n."""
        return len(self.y)

    @property
    def kept_names(self) -> tuple[str, ...]:
        """Names of the columns that are estimated, (p,)."""
        return tuple(self.exog_names[position] for position in self.kept)

    def with_aliased(self, values: FloatArray) -> FloatArray:
        """Values (p,) or (p, p) of the kept columns of X among those of all columns.

        NaN for the columns that were left out as aliased.
        """
        n_columns = len(self.exog_names)
        if len(self.kept) == n_columns:
            return values
        out = np.full((n_columns,) * values.ndim, np.nan)
        out[np.ix_(*[self.kept] * values.ndim)] = values
        return out

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the grouping factors."""
        return tuple(factor.name for factor in self.factors)

    @property
    def stacked_terms(self) -> StackedTerms:
        """From theta to the covariance of the random effects."""
        return StackedTerms(
            tuple(term.covariance for term in self.terms),
            tuple(term.factor_index for term in self.terms),
            len(self.factors),
        )

    def terms_on(self, position: int) -> tuple[int, ...]:
        """Positions of the random terms on one grouping factor, in formula order."""
        return tuple(
            t for t, term in enumerate(self.terms) if term.factor_index == position
        )

    def factor(self, name: str) -> GroupingFactor:
        """The grouping factor of that name.

        Raises
        ------
        KeyError
            If there is none; the message lists them.
        """
        for factor in self.factors:
            if factor.name == name:
                return factor
        raise KeyError(
            f"no grouping factor {name!r}; there are {', '.join(self.factor_names)}"
        )
