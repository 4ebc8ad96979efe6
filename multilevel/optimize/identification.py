"""Variance parameters that no data of a design could tell apart.

Free of fixed effects, the covariance of the rows is linear in sigma^2 and the entries
of the covariance matrices; they are identified if and only if their matrices
``P dV_a P`` are linearly independent, that is if the Gram matrix of these has full
rank.  P leaves out what lies in the span of the fixed columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.grouping import GroupingFactor
from multilevel.design.model_design import ModelDesign
from multilevel.errors import DataError, RankDeficiencyWarning, warn_caller
from multilevel.likelihood.entry_products import entry_products, projected_effects
from multilevel.likelihood.null_information import null_information
from multilevel.optimize.linear_problem import LinearProblem

# A squared part of this size is rounding; honest designs are left more than 1e-8.
_NOTHING_LEFT = 1e-11

# Above so many numbers the projected products are not formed.
_LARGEST_PROJECTION = 30_000_000

# A random term, and a symmetric matrix that its covariance may move along.
Entry: TypeAlias = tuple[int, FloatMatrix]

# With so few rows per parameter all factors together are looked at as well.
_FEW_ROWS = 3


def refuse_unidentified(problem: LinearProblem, design: ModelDesign) -> None:
    """Refuse random terms about which the data can say nothing.

    Parameters
    ----------
    problem : LinearProblem
        Cross-products of the design.
    design : ModelDesign

    Raises
    ------
    DataError
        Naming the term, with what it is confounded with: no part of its variance, or
        of sigma, can be estimated.

    Warns
    -----
    RankDeficiencyWarning
        If the variances of random terms can be shared out in several ways.
    """
    for factor in range(len(design.factors)):
        if _is_surely_identified(problem, factor):
            continue
        if _has_independent_columns(problem, design, factor):
            _refuse_dependent_entries(problem, design, factor)
    _refuse_equal_factors(problem, design)
    left = problem.n_rows - problem.n_fixed
    if len(design.factors) > 1 and left <= _FEW_ROWS * (problem.terms.n_theta + 1):
        _refuse_dependent_terms(problem, design)


def _is_surely_identified(problem: LinearProblem, factor: int) -> bool:
    """Whether ranks alone settle it, for a factor with one effect.

    ``P (a I + b Z Z') P = 0`` needs a rank of at most 2 p; the rank is n - J at least,
    or, for a = 0, the number of levels with an effect.
    """
    diagonal = problem.products.diagonal[factor]
    n_levels = np.count_nonzero(diagonal[0, 0])
    rank = min(n_levels, problem.n_rows - diagonal.shape[2])
    return len(diagonal) == 1 and rank > 2 * problem.n_fixed


def _terms_of(problem: LinearProblem, factor: int) -> list[int]:
    """Positions of the terms on a factor, as their blocks are stacked."""
    found = enumerate(problem.terms.factor_of_term)
    return [term for term, own in found if own == factor]


def _has_independent_columns(
    problem: LinearProblem, design: ModelDesign, factor: int
) -> bool:
    """Refuse effects that the fixed columns span; warn of dependent columns."""
    independent = True
    products = problem.products
    whole = np.asarray(products.diagonal[factor].sum(axis=2))
    projected = projected_effects(products, factor).reshape(len(whole), -1)
    left = whole - projected @ projected.T
    for term in _terms_of(problem, factor):
        block = problem.terms.blocks[term]
        structure = problem.terms.structures[term]
        scale = np.sqrt(np.diag(whole)[block])
        bar = _bar(problem.effect_names[term], problem.factor_names[factor])
        if (scale == 0).any():
            name = problem.effect_names[term][int(np.argmin(scale))]
            raise DataError(f"{name!r} is 0 in all rows; leave it out of {bar}")
        outer = np.outer(scale, scale)
        # Back to the user's columns: a combination v of the working ones is T v.
        back = problem.basis.terms[term] / scale
        dependent = _involved(
            problem, term, back @ _null_space(whole[block, block] / outer)
        )
        if dependent and structure.freedom == "any":
            warn_caller(
                f"the columns {' and '.join(dependent)} of the random term {bar} "
                "depend linearly on each other: their variances are one choice among "
                "many. Leave one of them out",
                RankDeficiencyWarning,
            )
            independent = False
            continue
        rest = left[block, block] / outer
        if structure.freedom == "scale":
            rest = np.diag(np.diag(rest))
        null = _null_space(rest)
        if structure.freedom == "none" and null.shape[1] < len(rest):
            continue
        lost = _involved(problem, term, back @ null)
        if lost:
            raise DataError(_confounded(problem, design, term, lost))
    return independent


def _null_space(matrix: FloatMatrix) -> FloatMatrix:
    """Orthonormal directions that a scaled Gram matrix has nothing of."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors[:, values < _NOTHING_LEFT])


def _involved(problem: LinearProblem, term: int, directions: FloatMatrix) -> list[str]:
    """The user's effects in some combinations (k, d) of them; none for d = 0."""
    sizes = np.abs(directions).max(axis=1, initial=0.0) * problem.column_scales[term]
    names = problem.effect_names[term]
    used = sizes > 1e-6 * sizes.max()
    return [name for name, is_used in zip(names, used, strict=True) if is_used]


def _confounded(
    problem: LinearProblem, design: ModelDesign, term: int, lost: Sequence[str]
) -> str:
    """What is wrong, and what to write instead."""
    names = problem.effect_names[term]
    group = problem.factor_names[problem.terms.factor_of_term[term]]
    kept = [name for name in names if name not in lost]
    own = f"the fixed effect of {group!r}"
    by = own if _is_fixed(design, group) else "the fixed effects"
    whole = _bar(names, group)
    advice = f"write {_bar(kept, group)} for {whole}" if kept else f"leave out {whole}"
    return (
        f"the random {_effects_in_words(lost)} of {group!r} is confounded with {by}: "
        f"no difference between the levels of {group!r} is left to estimate a "
        f"variance from. Either {advice}, or leave out the fixed effects that tell "
        f"the levels of {group!r} apart"
    )


def _effects_in_words(names: Sequence[str]) -> str:
    """``intercept``, ``effect of x``, or several of these."""
    words = ["intercept" if n == "Intercept" else f"effect of {n}" for n in names]
    return " and ".join(words)


def _bar(names: Sequence[str], group: str) -> str:
    """A random term as it is written."""
    if "Intercept" in names:
        right = " + ".join(n for n in names if n != "Intercept") or "1"
    else:
        right = " + ".join(["0", *names])
    return f"({right} | {group})"


def _is_fixed(design: ModelDesign, factor: str) -> bool:
    """Whether a grouping factor is a fixed effect too."""
    return any(
        name == factor or name.startswith((f"{factor}[", f"C({factor}"))
        for name in design.exog_names
    )


def _refuse_dependent_entries(
    problem: LinearProblem, design: ModelDesign, factor: int
) -> None:
    """Refuse entries of one factor's covariance matrices that cannot be told apart."""
    products = problem.products
    size = len(products.diagonal[factor])
    if (size * problem.n_fixed) ** 2 > _LARGEST_PROJECTION:
        return
    entries = _entries(problem, _terms_of(problem, factor))
    directions = np.zeros((len(entries), size, size))
    for direction, (term, entry) in zip(directions, entries, strict=True):
        block = problem.terms.blocks[term]
        direction[block, block] = entry
    traces, sizes = entry_products(products, factor, list(directions))
    _refuse_singular(problem, design, traces, sizes, entries)


def _entries(problem: LinearProblem, terms: Sequence[int]) -> list[Entry]:
    """Symmetric matrices (k, k) that span the covariances of some terms."""
    found = []
    for term in terms:
        structure = problem.terms.structures[term]
        identity = np.eye(structure.n_effects)
        if structure.freedom == "none":
            found.append((term, identity))
            continue
        for r, c in zip(*np.tril_indices(len(identity)), strict=True):
            if r == c or structure.freedom == "any":
                entry = np.outer(identity[r], identity[c])
                found.append((term, np.maximum(entry, entry.T)))
    return found


def _refuse_equal_factors(problem: LinearProblem, design: ModelDesign) -> None:
    """Look closer at factors of different names that group the rows alike."""
    for k, first in enumerate(design.factors):
        for second in design.factors[:k]:
            if len(first.levels) != len(second.levels):
                continue
            partner = np.empty(len(first.levels), dtype=np.intp)
            partner[first.codes] = second.codes
            if (partner[first.codes] == second.codes).all():
                why = f"{second.name!r} and {first.name!r} group the rows alike, so "
                _refuse_dependent_terms(problem, design, why)


def _refuse_dependent_terms(
    problem: LinearProblem, design: ModelDesign, why: str = ""
) -> None:
    """Refuse entries of all covariance matrices that cannot be told apart."""
    terms = [
        (design.factors[term.factor_index].codes, term.columns @ transform)
        for term, transform in zip(design.terms, problem.basis.terms, strict=True)
    ]
    entries = _entries(problem, range(len(terms)))
    widths = [structure.n_effects for structure in problem.terms.structures]
    ends = np.cumsum([1, *(width * (width + 1) // 2 for width in widths)])
    free = np.zeros((len(entries) + 1, ends[-1]))
    free[0, 0] = 1.0
    for row, (term, entry) in zip(free[1:], entries, strict=True):
        columns, rows = np.triu_indices(len(entry))  # lower triangle, by column
        row[ends[term] : ends[term + 1]] = entry[rows, columns]
    left = null_information(terms, design.X, design.weights, reml=True)
    whole = null_information(terms, design.X, design.weights, reml=False)
    sizes = np.diag(free @ whole @ free.T)
    _refuse_singular(problem, design, free @ left @ free.T, sizes, entries, why)


def _refuse_singular(
    problem: LinearProblem,
    design: ModelDesign,
    gram: FloatMatrix,
    sizes: FloatVector,
    entries: Sequence[Entry],
    why: str = "",
) -> None:
    """Refuse a singular Gram matrix of sigma^2 and entries, given their own sizes."""
    scale = np.sqrt(sizes)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        return
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
    null = vectors[:, values < _NOTHING_LEFT].T / scale
    if not null.size:
        return
    names = [n for n, value in _parameters(problem, null, entries) if value > 1e-4]
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    advice = "Keep one of them" if why else _advice(problem, design, entries)
    message = (
        f"{why}these data cannot tell apart {shown}: other values of them give the "
        f"same distribution of the response. {advice}"
    )
    if "sigma" in names:
        raise DataError(message)
    # The likelihood, the fixed effects and the predictions are well defined still.
    warn_caller(message, RankDeficiencyWarning)


def _advice(
    problem: LinearProblem, design: ModelDesign, entries: Sequence[Entry]
) -> str:
    """What to write instead."""
    for term in dict.fromkeys(term for term, _ in entries):
        factor = design.factors[design.terms[term].factor_index]
        columns = dict(
            zip(problem.effect_names[term], design.terms[term].columns.T, strict=True)
        )
        still = [
            name.partition("[")[0]
            for name, column in columns.items()
            if (column != column[0]).any() and _is_constant_within(column, factor)
        ]
        if still:
            return (
                f"{still[0]!r} is constant within each level of {factor.name!r} and "
                "has too few distinct values for a variance, another and their "
                f"correlation: write (1 | {factor.name}), or a variance for each value "
                f"by (0 + C({still[0]}) || {factor.name})"
            )
    return (
        "Use fewer random effects, independent ones (|| for |), or columns less their "
        "means"
    )


def _is_constant_within(column: FloatVector, factor: GroupingFactor) -> bool:
    value = np.empty(len(factor.levels))
    value[factor.codes] = column
    return bool((value[factor.codes] == column).all())


def _parameters(
    problem: LinearProblem, null: FloatMatrix, entries: Sequence[Entry]
) -> list[tuple[str, float]]:
    """Each printed parameter with its part, at most one, in the null directions."""
    found = [("sigma", float(np.abs(null[:, 0]).max()))]
    for term in dict.fromkeys(term for term, _ in entries):
        direction = sum(
            np.multiply.outer(null[:, a], entry)
            for a, (own, entry) in enumerate(entries, 1)
            if own == term
        )
        scale = problem.column_scales[term]
        back = problem.basis.terms[term] * scale[:, None]
        sizes = np.abs(back @ direction @ back.T).max(axis=0)
        group = problem.factor_names[problem.terms.factor_of_term[term]]
        names = problem.effect_names[term]
        for r, c in zip(*np.tril_indices(len(names)), strict=True):
            pair = f"cor({names[c]}, {names[r]} | {group})"
            name = f"sd({names[r]} | {group})" if r == c else pair
            found.append((name, float(sizes[r, c])))
    largest = max(value for _, value in found)
    return [(name, value / largest) for name, value in found]
