"""Columns of a design matrix from terms, coded by patsy's rules.

The rules (which categorical factor of which term gets a full set of columns, and in
what order the terms come) are patsy's own functions; the columns are filled here, each
distinct expression being evaluated once for all parts of the model.

Held by tests/design/test_gaps_in_expressions.py and
tests/design/test_linear_constraints.py.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from patsy import DesignInfo, PatsyError
from patsy import builtins as patsy_builtins
from patsy.contrasts import ContrastMatrix, Treatment, code_contrast_matrix
from patsy.desc import Term as PatsyTerm
from patsy.redundancy import pick_contrasts_for_term
from patsy.splines import BS

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.expressions import Scope
from multilevel.design.labels import levels_told_apart, shown_levels
from multilevel.design.transforms import STATEFUL_TRANSFORMS
from multilevel.design.variables import CategoricalVariable, Variable
from multilevel.errors import FormulaError
from multilevel.formula.algebra import EffectTerms, Term

INTERCEPT = "Intercept"

# Per factor of a column: the expression, with the number of its numeric column or with
# the value for each level.
Ingredient: TypeAlias = tuple[str, int | FloatVector]


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """How the columns of one right-hand side are made.

    Attributes
    ----------
    names : tuple of str
        One per column, as patsy names them; not always distinct.
    recipes : tuple of tuple
        Per column the ingredients that are multiplied; none for the intercept.
    terms : tuple of (Term, start, stop)
        Which columns belong to which term, in column order; ``()`` is the intercept.
    """

    names: tuple[str, ...]
    recipes: tuple[tuple[Ingredient, ...], ...]
    terms: tuple[tuple[Term, int, int], ...]

    def fill(
        self, out: FloatMatrix, variables: Mapping[str, Variable], columns: range
    ) -> None:
        """Write columns of the plan into an array.

        Parameters
        ----------
        out : (n, len(columns))
            Overwritten.
        variables : mapping
            Expression -> values of the n rows, without missing ones.
        columns : range
            Which columns of the plan.
        """
        for position, column in enumerate(columns):
            target = out[:, position]
            recipe = self.recipes[column]
            if not recipe:
                target[:] = 1.0
            for step, ingredient in enumerate(recipe):
                _write_ingredient(target, ingredient, variables, multiply=step > 0)


def factors_of(recipe: tuple[Ingredient, ...]) -> tuple[Ingredient, ...]:
    """What a column is made of; one that is 1 at every level multiplies nothing."""
    return tuple(
        (piece, source)
        for piece, source in recipe
        if isinstance(source, int) or (source != 1.0).any()
    )


def content_of(recipe: tuple[Ingredient, ...]) -> frozenset[tuple[str, int | bytes]]:
    """What a column is, whatever it is called: equal for equal columns."""
    return frozenset(
        # Adding zero makes -0.0 and 0.0 the same.
        (piece, source if isinstance(source, int) else (source + 0.0).tobytes())
        for piece, source in factors_of(recipe)
    )


def linear_constraints(
    hypotheses: Any, names: Sequence[str]
) -> tuple[FloatMatrix, FloatVector]:
    """Read linear hypotheses about fixed effects.

    Parameters
    ----------
    hypotheses : str, list of str, (p,) or (rows, p) array_like, tuple (R, q) or dict
        ``"a = b, 2 * c = 1"``, ``["a = b", "c = 1"]``, rows of R in ``R beta = 0`` or
        ``R beta = q``, or name -> value.
    names : sequence of str
        Of the p fixed effects.

    Returns
    -------
    R : (rows, p)
    q : (rows,)

    Raises
    ------
    FormulaError
        For a hypothesis that cannot be read, or not about these fixed effects.

    Examples
    --------
    >>> from multilevel.design.fixed_effects import linear_constraints
    >>> R, q = linear_constraints("x = 2 * z, Intercept = 1", ["Intercept", "x", "z"])
    >>> R.tolist(), q.tolist()
    ([[0.0, 1.0, -2.0], [1.0, 0.0, 0.0]], [0.0, 1.0])
    """
    if not len(names):
        raise FormulaError("the model has no fixed effects to test")
    try:
        with np.errstate(all="ignore"):
            read = DesignInfo(list(names)).linear_constraint(_as_patsy_has(hypotheses))
    except PatsyError as error:
        raise _unreadable_hypothesis(error, names) from None
    except (ValueError, TypeError, IndexError, AssertionError) as error:
        raise FormulaError(
            f"cannot read the hypothesis {hypotheses!r}: {error}",
            hint=f"give text such as '{names[-1]} = 0', or rows of {len(names)} "
            f"numbers, one for each of {', '.join(names)}",
        ) from None
    if not (np.isfinite(read.coefs).all() and np.isfinite(read.constants).all()):
        raise FormulaError(f"the hypothesis {hypotheses!r} has numbers not finite")
    return np.asarray(read.coefs), np.ravel(read.constants)


def _as_patsy_has(hypotheses: Any) -> Any:
    """Texts in a list, and the right-hand side of (R, q) as a vector."""
    listed = isinstance(hypotheses, (tuple, list, np.ndarray, pd.Series, pd.Index))
    if listed and len(hypotheses) and all(isinstance(h, str) for h in hypotheses):
        return list(hypotheses)
    if isinstance(hypotheses, tuple) and len(hypotheses) == 2:
        return hypotheses[0], np.ravel(hypotheses[1])
    return hypotheses


def _unreadable_hypothesis(error: PatsyError, names: Sequence[str]) -> FormulaError:
    """patsy's error, placed under the whole word, with the names there are."""
    origin, message = error.origin, str(error.message)
    if origin is None:
        return FormulaError(message)
    start, end = origin.start, origin.end
    hint = f"the fixed effects are {', '.join(names)}"
    for word in re.finditer(r"[^\W\d][\w.]*(\[[^\]]*\])?", origin.code):
        if word.start() <= start < word.end() and word[0] not in names:
            start, end = word.span()
            message = f"no fixed effect {word[0]!r}"
            close = difflib.get_close_matches(word[0], names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else hint
    return FormulaError(message, text=origin.code, start=start, end=end, hint=hint)


def formula_functions() -> dict[str, Any]:
    """What a formula may call without any import, by name."""
    return dict(_FUNCTIONS)


def plan_columns(
    effects: EffectTerms, variables: Mapping[str, Variable], scope: Scope
) -> ColumnPlan:
    """Choose the coding of every term.

    Parameters
    ----------
    effects : EffectTerms
        The terms.
    variables : mapping
        Expression -> variable; only kind, levels and contrast matter.
    scope : Scope
        For errors.

    Returns
    -------
    ColumnPlan
        Terms without numbers first, then by the numeric expressions they share, in
        each of these by degree: patsy's order.

    Raises
    ------
    FormulaError
        If a contrast cannot be made for the levels there are.
    """
    names: list[str] = []
    recipes: list[tuple[Ingredient, ...]] = []
    slices: list[tuple[Term, int, int]] = []
    for bucket in _terms_by_numeric_part(effects, variables):
        # patsy judges within terms of the same numbers which
        # contrasts would be redundant.
        used: set[Any] = set()
        for term in bucket:
            start = len(names)
            numeric = {p for p in term if not _is_categorical(variables[p])}
            codings = pick_contrasts_for_term(_patsy_term(term), numeric, used)
            for coding in codings:
                try:
                    columns = _columns_of(term, coding, numeric, variables)
                except FormulaError as error:
                    pieces = [piece for piece in term if piece in error.message]
                    raise scope.error(error.message, pieces, error.hint) from None
                names += [name for name, _ in columns]
                recipes += [recipe for _, recipe in columns]
            slices.append((term, start, len(names)))
    return ColumnPlan(tuple(names), tuple(recipes), tuple(slices))


def _terms_by_numeric_part(
    effects: EffectTerms, variables: Mapping[str, Variable]
) -> list[list[Term]]:
    buckets: dict[frozenset[str], list[Term]] = {frozenset(): []}
    if effects.intercept:
        buckets[frozenset()].append(())
    for term in effects.terms:
        numeric = frozenset(p for p in term if not _is_categorical(variables[p]))
        buckets.setdefault(numeric, []).append(term)
    return [sorted(bucket, key=len) for bucket in buckets.values()]


def _is_categorical(variable: Variable) -> bool:
    return isinstance(variable, CategoricalVariable)


@lru_cache(maxsize=4096)
def _patsy_term(term: Term) -> PatsyTerm:
    return PatsyTerm(term)


def _columns_of(
    term: Term,
    coding: dict[str, bool],
    numeric: set[str],
    variables: Mapping[str, Variable],
) -> list[tuple[str, tuple[Ingredient, ...]]]:
    """Name and recipe of each product of the factors' columns, leftmost fastest."""
    products: list[tuple[list[str], tuple[Ingredient, ...]]] = [([], ())]
    # Backwards, so that the columns of the leftmost factor vary fastest, as in patsy.
    for piece in reversed([p for p in term if p in numeric or p in coding]):
        columns = _ingredients(piece, variables[piece], coding.get(piece, False))
        products = [
            ([suffix, *pieces], (ingredient, *recipe))
            for pieces, recipe in products
            for suffix, ingredient in columns
        ]
    return [(":".join(pieces) or INTERCEPT, recipe) for pieces, recipe in products]


def _ingredients(
    piece: str, variable: Variable, full_rank: bool
) -> list[tuple[str, Ingredient]]:
    if isinstance(variable, CategoricalVariable):
        contrast = _contrast(piece, variable, full_rank)
        return [
            (piece + suffix, (piece, np.ascontiguousarray(column, dtype=float)))
            for suffix, column in zip(
                contrast.column_suffixes, contrast.matrix.T, strict=True
            )
        ]
    n_columns = variable.values.shape[1]
    if n_columns == 1:
        return [(piece, (piece, 0))]
    return [(f"{piece}[{number}]", (piece, number)) for number in range(n_columns)]


def _contrast(
    piece: str, variable: CategoricalVariable, full_rank: bool
) -> ContrastMatrix:
    # A list, not an Index: patsy looks levels up, and prints Python's own numbers.
    levels = levels_told_apart(variable.labels.levels.tolist())
    try:
        contrast = code_contrast_matrix(
            full_rank, levels, variable.contrast, default=Treatment
        )
    except PatsyError as error:
        raise FormulaError(
            f"{piece!r}: {error.message}",
            hint=f"its levels are {shown_levels(variable.labels.levels, most=6)}",
        ) from None
    if len(contrast.matrix) != len(levels):
        raise FormulaError(
            f"{piece!r}: the contrast has {len(contrast.matrix)} rows, "
            f"the variable {len(levels)} levels",
            hint=f"its levels are {shown_levels(variable.labels.levels, most=6)}",
        )
    return contrast


def _write_ingredient(
    target: FloatVector,
    ingredient: Ingredient,
    variables: Mapping[str, Variable],
    *,
    multiply: bool,
) -> None:
    piece, source = ingredient
    variable = variables[piece]
    if isinstance(variable, CategoricalVariable):
        codes = variable.labels.codes
        if multiply:
            target *= np.asarray(source)[codes]
        else:
            # Every code is valid; "clip" only spares numpy a buffer.
            np.take(np.asarray(source), codes, out=target, mode="clip")
    elif multiply:
        # What overflows here is refused, by name, when all columns are there.
        with np.errstate(over="ignore"):
            target *= variable.values[:, source]
    else:
        target[:] = variable.values[:, source]


class Splines(BS):
    """``bs(x, ...)`` that is NaN outside of its knots, where patsy raises an error."""

    _all_knots: FloatVector

    @property
    def knot_range(self) -> tuple[float, float]:
        """The outermost knots."""
        return float(self._all_knots[0]), float(self._all_knots[-1])

    def memorize_finish(self) -> None:
        """Place the knots; the data of the fit must lie between the outermost."""
        values = np.concatenate(self._tmp["xs"])
        super().memorize_finish()
        low, high = self.knot_range
        n_outside = int(((values < low) | (values > high)).sum())
        if n_outside:
            raise ValueError(f"{n_outside} values lie outside of {low:g} to {high:g}")

    def transform(self, x: Any, *args: Any, **options: Any) -> Any:
        """The basis (n, df) at x (n,)."""
        # patsy sorts its knots in place, and those of a file are read-only.
        self._all_knots = np.array(self._all_knots)
        values = np.asarray(x, dtype=float)
        low, high = self.knot_range
        inside = (values >= low) & (values <= high)
        if inside.all():
            return super().transform(x, *args, **options)
        basis = super().transform(np.where(inside, values, low), *args, **options)
        basis[~np.ravel(inside)] = np.nan
        return basis


_FUNCTIONS: dict[str, Any] = {
    **{name: getattr(patsy_builtins, name) for name in patsy_builtins.__all__},
    **STATEFUL_TRANSFORMS,
    "bs": Splines,
    **{
        name: getattr(np, name)
        for name in ("log", "log2", "log10", "log1p", "exp", "sqrt")
    },
    "factor": patsy_builtins.C,
    "np": np,
    "pd": pd,
}
