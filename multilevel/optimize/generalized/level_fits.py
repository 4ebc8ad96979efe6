"""A generalized linear model in every level of a factor, all of them at once.

Newton's method, or Fisher's scoring where the observed information of some row is
negative, each step a weighted least squares in every level. Levels leave when they are
done. A level whose responses are separated never is: there each step leads along a
direction in which no row's likelihood falls and some rise for ever, which is the
definition of separation and is looked for in every step.

References: McCullagh & Nelder (1989), Generalized Linear Models, section 2.5; Albert &
Anderson (1984), Biometrika 71, 1-10.

Held by tests/comparison/test_unpooled_glm.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import BoolVector, FloatMatrix, FloatVector
from multilevel.likelihood.rows.level_regressions import (
    LevelBasis,
    level_basis,
    level_inverses,
    level_products,
    level_solutions,
)
from multilevel.optimize.common.level_fits import LevelFits
from multilevel.optimize.generalized.level_dispersions import level_log_likelihoods
from multilevel.optimize.generalized.level_rows import GeneralizedLevels
from multilevel.optimize.generalized.rows import eta_inside
from multilevel.optimize.generalized.separation import separating_direction

MAX_STEPS = 100
HALVINGS = 30
DONE = 1e-18
"""Squared step in units of standard errors, per row, with which a level is done."""
GOOD = 1e-8
"""The same for one that cannot come nearer, by rounding."""
ROUNDING = 1e-14
"""Change of a linear predictor, relative to the largest, that is none."""
STILL = 1e-6
"""Change of a linear predictor below which nothing runs off."""
TIED = 1e-7
"""Part of the largest change of a row that counts as none."""
_FISHER_STEPS = 3


@dataclass(slots=True)
class _Search:
    """Where the levels that are not done yet stand; `number` says which they are."""

    levels: GeneralizedLevels
    number: np.ndarray
    params: FloatMatrix
    eta: FloatVector
    llf: FloatVector
    size: FloatVector


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of all levels: of the params (p, J), and of the rows' eta (n,)."""

    params: FloatMatrix
    eta: FloatVector
    size: FloatVector
    is_whole: BoolVector


def fit_generalized_levels(levels: GeneralizedLevels) -> LevelFits:
    """Maximum likelihood in each level.

    Parameters
    ----------
    levels : GeneralizedLevels
        The columns are independent in every level.

    Returns
    -------
    LevelFits
        `failed` holds separated levels, and those without a maximum that was found.
    """
    p, n_levels = levels.columns.shape[1], levels.index.n_levels
    params, failed = np.zeros((p, n_levels)), dict[int, str]()
    search = _start(levels, failed)
    for number in range(MAX_STEPS):
        if not search.levels.index.n_levels:
            break
        step = _step(search, fisher=number < _FISHER_STEPS)
        runs = _runs_off(search.levels, step.eta)
        for at in np.flatnonzero(runs).tolist():
            failed[int(search.number[at])] = _separated(search.levels, step.params, at)
        _move(search, step)
        done = _is_done(search, step) & ~runs
        params[:, search.number[done]] = search.params[:, done]
        search.size = step.size
        search = _left(search, ~(done | runs))
    for at, level in enumerate(search.number.tolist()):
        if search.size[at] < GOOD and not _separates(search.levels, at):
            params[:, level] = search.params[:, at]
        else:
            failed[level] = _no_maximum(search.levels, at)
    return _at_estimates(levels, params, failed)


def _start(levels: GeneralizedLevels, failed: dict[int, str]) -> _Search:
    """From the responses' own means, drawn together until the likelihood is finite."""
    centre = eta_inside(levels.family.link, levels.rows)
    weight = levels.rows.expected_weight(centre, levels.shapes)
    basis, roots = _weighted(levels, weight)
    target = level_solutions(basis, roots * (centre - levels.offset)).params
    mean = levels.index.sums(centre) / levels.index.sums(None)
    flat = levels.index.spread(mean) - levels.offset
    inner = level_solutions(level_basis(levels.columns, levels.index), flat).params
    n_levels = levels.index.n_levels
    search = _Search(
        levels, np.arange(n_levels), inner, centre, np.full(n_levels, -np.inf),
        np.full(n_levels, np.inf),
    )  # fmt: skip
    away = _Step(target - inner, centre, search.size, np.ones(n_levels, dtype=bool))
    _move(search, away)
    lost = ~np.isfinite(search.llf)
    failed |= {int(at): "no estimates with a finite likelihood were found" for at in
               np.flatnonzero(lost)}  # fmt: skip
    return _left(search, ~lost)


def _weighted(
    levels: GeneralizedLevels, weight: FloatVector
) -> tuple[LevelBasis, FloatVector]:
    """Basis of the columns times the roots of the weights, and these (n,)."""
    usable = np.isfinite(weight) & (weight > 0.0)
    roots = np.sqrt(np.where(usable, weight, 0.0))
    return level_basis(levels.columns * roots[:, None], levels.index), roots


def _step(search: _Search, *, fisher: bool) -> _Step:
    """By the observed information of levels in which that of every row is positive."""
    levels = search.levels
    terms = levels.rows.terms(search.eta, levels.shapes)
    weight = terms.weight
    if not levels.family.is_canonical:
        expected = levels.rows.expected_weight(search.eta, levels.shapes)
        by_fisher = (levels.index.largest(-weight) >= 0.0) | fisher
        weight = np.where(levels.index.spread(by_fisher), expected, weight)
    basis, roots = _weighted(levels, weight)
    response = np.divide(terms.score, roots, where=roots > 0.0, out=0.0 * roots)
    found = level_solutions(basis, response)
    along = np.square(response - found.rest)
    squares = levels.index.sums(along)
    return _Step(
        found.params,
        level_products(levels.columns, found.params, levels.index),
        squares / levels.unit(levels.index.sums(np.square(response))),
        np.asarray(basis.kept.all(axis=0)),
    )


def _move(search: _Search, step: _Step) -> None:
    """Each level as far as its likelihood does not fall."""
    levels, before, start = search.levels, search.llf, search.params
    share = np.ones(levels.index.n_levels)
    for halving in range(HALVINGS + 1):
        search.params = start + share * step.params
        fitted = level_products(levels.columns, search.params, levels.index)
        search.eta = fitted + levels.offset
        search.llf = levels.log_likelihoods(search.eta)
        slack = 1e-10 * (1.0 + np.abs(np.nan_to_num(before)))
        falls = ~(search.llf >= before - slack) | ~np.isfinite(search.llf)
        if not falls.any():
            break
        share[falls] *= 0.5 if halving < HALVINGS - 1 else 0.0


def _is_done(search: _Search, step: _Step) -> BoolVector:
    """Levels at their maximum, (J,)."""
    index = search.levels.index
    change, reached = (index.largest(np.abs(v)) for v in (step.eta, search.eta))
    done = (step.size <= DONE) | (change <= ROUNDING * reached)
    if search.levels.ends is not None:
        done &= change < STILL
    return done & step.is_whole


def _runs_off(levels: GeneralizedLevels, change: FloatVector) -> BoolVector:
    """Levels whose linear predictors change as only separated ones may, (J,)."""
    n_levels = levels.index.n_levels
    if levels.ends is None:
        return np.zeros(n_levels, dtype=bool)
    size = np.abs(change)
    # Rows with an end may go there; the others must not move.
    wrong = np.where(levels.ends == 0.0, size, -levels.ends * change)
    most = levels.index.largest(size)
    return np.asarray((levels.index.largest(wrong) <= TIED * most) & (most > STILL))


def _left(search: _Search, inside: BoolVector) -> _Search:
    if inside.all():
        return search
    rows = search.levels.index.spread(inside)
    return _Search(
        search.levels.of(inside, rows), search.number[inside],
        search.params[:, inside], search.eta[rows], search.llf[inside],
        search.size[inside],
    )  # fmt: skip


def _separates(levels: GeneralizedLevels, at: int) -> bool:
    """Whether a level is separated, by a linear programme."""
    if levels.ends is None:
        return False
    rows = levels.rows_of(at)
    sizes = np.abs(levels.columns[rows]).max(axis=0)
    columns = levels.columns[rows] / np.where(sizes > 0.0, sizes, 1.0)
    return separating_direction(columns, levels.ends[rows]) is not None


def _separated(levels: GeneralizedLevels, step: FloatMatrix, at: int) -> str:
    """Why a level runs off: one outcome, or columns that tell the outcomes."""
    rows = levels.rows_of(at)
    y = levels.y[rows]
    if (y == y[0]).all():
        return f"separated: every response is {y[0]:g}"
    parts = np.abs(step[:, at]) * np.sqrt((levels.columns[rows] ** 2).mean(axis=0))
    names = [levels.names[k] for k in np.flatnonzero(parts > 1e-3 * parts.max())]
    return f"separated: no finite estimate of {', '.join(names)}"


def _no_maximum(levels: GeneralizedLevels, at: int) -> str:
    if _separates(levels, at):
        return "separated: no finite estimates"
    return f"no maximum of the likelihood was found in {MAX_STEPS} steps"


def _at_estimates(
    levels: GeneralizedLevels, params: FloatMatrix, failed: dict[int, str]
) -> LevelFits:
    """What is known at the maximum; by the expected information, as R's glm."""
    inside = np.ones(levels.index.n_levels, dtype=bool)
    inside[list(failed)] = False
    rows = levels.index.spread(inside)
    kept = levels.of(inside, rows)
    fitted = level_products(kept.columns, params[:, inside], kept.index)
    eta = np.full(len(levels.y), np.nan)
    eta[rows] = fitted + kept.offset
    weight = kept.rows.expected_weight(eta[rows], kept.shapes)
    score = kept.rows.terms(eta[rows], kept.shapes).score
    pearson = np.divide(score**2, weight, where=weight > 0.0, out=0.0 * score)
    squares = kept.without_rounding(kept.index.sums(pearson), eta[rows])
    basis, _ = _weighted(kept, weight)
    llf = level_log_likelihoods(kept, eta[rows], squares)
    return LevelFits(
        params[:, inside], level_inverses(basis), squares, llf, eta, failed
    )
