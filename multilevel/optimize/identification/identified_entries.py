"""Variance parameters that no data of a design could tell apart.

Free of fixed effects, the covariance of the rows is linear in sigma^2 and the entries
of the covariance matrices; they are identified if and only if their matrices
``P dV_a P`` are linearly independent, that is if the Gram matrix of these has full
rank.  P leaves out what lies in the span of the fixed columns.

Held by tests/optimize/identification/test_identified_entries.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TypeAlias

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.covariance.standard_deviations import correlation_name, sd_name
from multilevel.design.model_design import ModelDesign
from multilevel.errors import DataError, RankDeficiencyWarning, warn_caller
from multilevel.likelihood.products.entry_products import (
    Direction,
    entry_products,
    projected_effects,
)
from multilevel.optimize.identification.identification_words import (
    advice,
    bar,
    confounded,
)
from multilevel.optimize.linear.problem import LinearProblem

# A squared part of this size is rounding; honest designs are left more than 1e-8.
_NOTHING_LEFT = 1e-11

# Above so many numbers the projected products are not formed.
_LARGEST_PROJECTION = 30_000_000

# A random term, and a symmetric matrix that its covariance may move along.
Entry: TypeAlias = tuple[int, FloatMatrix]

# With so few rows per parameter all factors together are looked at as well.
_FEW_ROWS = 3


def refuse_unidentified(
    problem: LinearProblem, design: ModelDesign, *, residual: bool = True
) -> frozenset[str]:
    """Refuse random terms about which the data can say nothing.

    Parameters
    ----------
    problem : LinearProblem
        Cross-products of the design.
    design : ModelDesign
    residual : bool
        Whether a residual variance is estimated beside the terms.

    Returns
    -------
    frozenset of str
        The standard deviations and correlations that can be shared out in several
        ways, named as they are printed.

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
    found: set[str] = set()
    for factor in range(len(design.factors)):
        if _is_surely_identified(problem, factor):
            continue
        if has_independent_columns(problem, design, factor):
            found |= _refuse_dependent_entries(
                problem, design, [factor], residual=residual
            )
    found |= _refuse_alike_factors(problem, design, residual=residual)
    left = problem.n_rows - problem.n_fixed
    few = left <= _FEW_ROWS * (problem.terms.n_theta + 1)
    if residual and len(design.factors) > 1 and few:
        every = range(len(design.factors))
        found |= _refuse_dependent_entries(problem, design, every)
    return frozenset(found)


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


def has_independent_columns(
    problem: LinearProblem, design: ModelDesign, factor: int, *, warn: bool = True
) -> bool:
    """Refuse effects that the fixed columns span; warn of dependent columns.

    Parameters
    ----------
    problem : LinearProblem
    design : ModelDesign
    factor : position of a grouping factor
    warn : bool
        False where the same columns are looked at before.
    """
    independent = True
    products = problem.products
    whole = np.asarray(products.diagonal[factor].sum(axis=2))
    projected = projected_effects(products, factor).reshape(len(whole), -1)
    left = whole - projected @ projected.T
    for term in _terms_of(problem, factor):
        block = problem.terms.blocks[term]
        structure = problem.terms.structures[term]
        scale = np.sqrt(np.diag(whole)[block])
        written = bar(problem.effect_names[term], problem.factor_names[factor])
        if (scale == 0).any():
            name = problem.effect_names[term][int(np.argmin(scale))]
            raise DataError(f"{name!r} is 0 in all rows; leave it out of {written}")
        # Relative to lengths: what counts as nothing left must not depend on units.
        outer = np.outer(scale, scale)
        # Back to the user's columns: a combination v of the working ones is T v.
        back = problem.basis.terms[term] / scale
        dependent = _involved(
            problem, term, back @ _null_space(whole[block, block] / outer)
        )
        if dependent and structure.freedom == "any":
            independent = False
            if not warn:
                continue
            warn_caller(
                f"the columns {' and '.join(dependent)} of the random term {written} "
                "depend linearly on each other: their variances are one choice among "
                "many. Leave one of them out",
                RankDeficiencyWarning,
            )
            continue
        rest = left[block, block] / outer
        if structure.freedom == "scale":
            rest = np.diag(np.diag(rest))
        null = _null_space(rest)
        # A single variance is told if any of its columns has something left.
        if structure.freedom == "none" and null.shape[1] < len(rest):
            continue
        lost = _involved(problem, term, back @ null)
        if lost:
            raise DataError(confounded(problem, design, term, lost))
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


def _entries(problem: LinearProblem, terms: Sequence[int]) -> list[Entry]:
    """Symmetric matrices (k, k) that span the covariances of some terms."""
    found: list[Entry] = []
    for term in terms:
        directions = problem.terms.structures[term].directions()
        found += [(term, direction) for direction in directions]
    return found


def _refuse_alike_factors(
    problem: LinearProblem, design: ModelDesign, *, residual: bool
) -> set[str]:
    """Look closer at factors that group the rows alike, and at cells of factors.

    The effects of a variable with levels that vary by group are intercepts of the
    cells: ``(f | g)`` contains ``(1 | g:f)``.
    """
    widths = [len(block) for block in problem.products.diagonal]
    cells, every = False, range(len(design.factors))
    for k, m in combinations(every, 2):
        first, second = design.factors[k], design.factors[m]
        if len(first.levels) == len(second.levels):
            if _is_nested(problem, m, k):
                why = f"{first.name!r} and {second.name!r} group the rows alike, so "
                return _refuse_dependent_entries(
                    problem, design, every, why, residual=residual
                )
            continue
        coarse, fine = (k, m) if len(first.levels) < len(second.levels) else (m, k)
        few = len(design.factors[fine].levels) <= (
            widths[coarse] * len(design.factors[coarse].levels)
        )
        if widths[coarse] > 1 and few and not cells:
            cells = _is_nested(problem, fine, coarse)
    if cells:
        return _refuse_dependent_entries(problem, design, every, residual=residual)
    return set()


def _is_nested(problem: LinearProblem, fine: int, coarse: int) -> bool:
    """Whether each level of one factor lies in one level of the other."""
    pairs = problem.products.pairs[min(fine, coarse), max(fine, coarse)]
    n_levels: int = problem.products.diagonal[fine].shape[2]
    return len(pairs.rows) == n_levels


def _refuse_dependent_entries(
    problem: LinearProblem,
    design: ModelDesign,
    factors: Sequence[int],
    why: str = "",
    *,
    residual: bool = True,
) -> set[str]:
    """Refuse entries of some factors' covariance matrices that cannot be told apart."""
    terms, sizes = problem.terms, problem.terms.block_sizes
    if max(sizes[k] * problem.n_fixed for k in factors) ** 2 > _LARGEST_PROJECTION:
        return set()
    here = sorted(term for k in factors for term in _terms_of(problem, k))
    entries = _entries(problem, here)
    directions = []
    for term, entry in entries:
        factor, block = terms.factor_of_term[term], terms.blocks[term]
        matrix = np.zeros((sizes[factor],) * 2)
        matrix[block, block] = entry
        directions.append(Direction(factor, matrix))
    found = entry_products(problem.products, directions)
    gram = found.restricted
    if not residual:
        gram = _without_residual(gram)
    own = np.diag(found.unrestricted)
    return _refuse_singular(problem, design, gram, own, entries, why)


def _without_residual(gram: FloatMatrix) -> FloatMatrix:
    """The Gram matrix where no residual variance is a parameter."""
    alone = gram.copy()
    alone[0, 1:] = alone[1:, 0] = 0.0
    return alone


def _own_scale(sizes: FloatVector, entries: Sequence[Entry]) -> FloatVector:
    """Root of the size of each direction, or of its variances if it has none.

    The covariance of two effects that no level shows together moves nothing.
    """
    variances: dict[tuple[int, int], float] = {}
    for size, (term, entry) in zip(sizes[1:], entries, strict=True):
        for i in np.flatnonzero(np.diag(entry)):
            variances[term, int(i)] = float(size)
    squares = sizes.copy()
    for at, (term, entry) in enumerate(entries, start=1):
        r, c = np.argwhere(entry)[0]
        if r != c:
            ends = variances[term, int(r)] * variances[term, int(c)]
            if squares[at] < _NOTHING_LEFT * np.sqrt(ends):
                squares[at] = np.sqrt(ends)
    return np.asarray(np.sqrt(squares))


def _refuse_singular(
    problem: LinearProblem,
    design: ModelDesign,
    gram: FloatMatrix,
    sizes: FloatVector,
    entries: Sequence[Entry],
    why: str = "",
) -> set[str]:
    """Refuse a singular Gram matrix of sigma^2 and entries, given their own sizes."""
    scale = _own_scale(sizes, entries)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        return set()
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
    null = vectors[:, values < _NOTHING_LEFT].T / scale
    if not null.size:
        return set()
    names = [n for n, value in _parameters(problem, null, entries) if value > 1e-4]
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    remedy = (
        "Keep one of them"
        if why
        else advice(problem, design, dict.fromkeys(term for term, _ in entries))
    )
    message = (
        f"{why}these data cannot tell apart {shown}: other values of them give the "
        f"same distribution of the response. {remedy}"
    )
    if "sigma" in names:
        raise DataError(message)
    # The likelihood, the fixed effects and the predictions are well defined still.
    warn_caller(message, RankDeficiencyWarning)
    return set(names)


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
            pair = correlation_name(names[c], names[r], group)
            name = sd_name(names[r], group) if r == c else pair
            found.append((name, float(sizes[r, c])))
    largest = max(value for _, value in found)
    return [(name, value / largest) for name, value in found]
