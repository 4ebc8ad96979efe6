"""Conditional modes of the random effects by penalized reweighted least squares.

u minimises D(u) = -2 sum log p(y | eta) + u'u with eta = base + Z b, b = Lam u. Every
u = Lam'v, so that b = G v with G = Lam Lam' and u'u = b'v; at the mode v = Z'l'.
A Newton step needs K = Lam M^-1 Lam' only, M = Lam'Z'WZ Lam + I:

    r = Z'l' - v,    b <- b + K r,    v <- v + r - A K r,    decrement r'K r

and no inverse of Lam, which may be singular. Where G has an inverse of enough digits,
v = G^-1 b instead: sums of rounding in A K r, huge if the rows know much, never enter.

References
----------
Bates (2010), lme4: Mixed-effects modeling with R, section 6.3 (PIRLS); Nocedal & Wright
(2006), Numerical Optimization, section 3.3 (the decrement as stopping rule).

Held by tests/likelihood/generalized/test_pirls.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.likelihood.algebra.covariance_inverse import covariance_inverse
from multilevel.likelihood.elimination.eliminate import Elimination, eliminate
from multilevel.likelihood.elimination.solve import solve
from multilevel.likelihood.elimination.weighted_rows import (
    EffectLayout,
    weighted_products,
)
from multilevel.likelihood.families.row_likelihood import RowLikelihood, RowTerms
from multilevel.likelihood.generalized.feasible_effects import feasible_effects

TIGHT = 1e-15
"""Newton decrement, in deviance units, that ends the iterations. The deviance is of
second order in the error of the modes but log|M| is of first order, so this is the
square of the accuracy wanted."""

MAX_STEPS = 100

CRAWL, MAX_CRAWLS = 1e-2, 5
"""Share of what a step promises that is next to nothing; how often is enough."""

FAILED, FAILED_SHARE = 1e-7, 1e-12
"""Decrement, and share of the deviance, above which modes have not converged."""

SURE = 1e-7
"""Decrement below which Newton's method converges whatever the rounding in D says."""


@dataclass(frozen=True, slots=True)
class GeneralizedRows:
    """Rows of a generalized model: their likelihood and their random effects.

    Parameters
    ----------
    likelihood : RowLikelihood
    layout : EffectLayout
    inside : callable, optional
        Gives an eta (n,) for which each row has a mean.
    """

    likelihood: RowLikelihood
    layout: EffectLayout
    inside: Callable[[], FloatVector] | None = None


@dataclass(frozen=True, slots=True)
class ConditionalModes:
    """The modes at given fixed part, covariance factors and shapes.

    Parameters
    ----------
    eta : (n,)
    effects : one (S, J) for each factor
        b.
    slopes : one (S, J) for each factor
        v, with b = G v.
    gradient : one (S, J) for each factor
        Z'l', which v is equal to where G is not singular.
    terms : RowTerms
        At eta.
    elimination : Elimination
        At eta, with the observed weights.
    deviance : float
        D less the normalizer of the rows.
    decrement : float
        By how much D could still fall.
    steps : int
        Newton steps taken.
    """

    eta: FloatVector
    effects: list[FloatMatrix]
    slopes: list[FloatMatrix]
    gradient: list[FloatMatrix]
    terms: RowTerms
    elimination: Elimination
    deviance: float
    decrement: float
    steps: int


@dataclass(frozen=True, slots=True)
class _Position:
    eta: FloatVector
    effects: list[FloatMatrix]
    slopes: list[FloatMatrix]
    terms: RowTerms
    deviance: float


def find_modes(
    rows: GeneralizedRows,
    base: FloatVector,
    lams: Sequence[FloatMatrix],
    shapes: FloatVector,
    *,
    start: ConditionalModes | None = None,
    tolerance: float = TIGHT,
) -> ConditionalModes:
    """Minimise D over the random effects.

    Parameters
    ----------
    rows : GeneralizedRows
    base : (n,)
        Fixed part of eta, offset included.
    lams : one (S, S) relative covariance factor for each grouping factor
    shapes : (s,)
    start : ConditionalModes, optional
        At parameters nearby.
    tolerance : float

    Raises
    ------
    numpy.linalg.LinAlgError
        If the likelihood is not finite anywhere near, or not concave at its mode.
    """
    position = _first_position(rows, base, lams, shapes, start)
    try:
        return _modes_from(rows, base, lams, shapes, position, tolerance)
    except np.linalg.LinAlgError:
        # Far from the modes, rows may tell nothing of where these are.
        drawn = _by_responses(rows, base, lams, shapes) if start is None else None
        if drawn is None:
            raise
    return _modes_from(rows, base, lams, shapes, drawn, tolerance)


def _modes_from(
    rows: GeneralizedRows,
    base: FloatVector,
    lams: Sequence[FloatMatrix],
    shapes: FloatVector,
    position: _Position,
    tolerance: float,
) -> ConditionalModes:
    """Newton's steps from a position."""
    last, steps, crawls = np.inf, 0, 0
    while True:
        steps += 1
        elimination, observed = _eliminate(rows, position, lams, shapes)
        gradient = rows.layout.rows.collect(position.terms.score)
        r = [g - v for g, v in zip(gradient, position.slopes, strict=True)]
        change = solve(elimination, r)
        decrement = inner_product(r, change)
        # Rounding ends the fall before the tolerance does if counts are huge.
        stalled = decrement < 1e-9 and decrement > 0.25 * last
        if decrement <= tolerance or stalled or steps == MAX_STEPS:
            break
        last = decrement
        sure = decrement < SURE
        moved = _move(rows, base, shapes, position, r, change, elimination, sure)
        if moved is None:
            break
        # Against the edge of a link's domain the steps become ever shorter.
        fall = position.deviance - moved.deviance
        seen = decrement > SURE + FAILED_SHARE * abs(position.deviance)
        crawls = crawls + 1 if seen and fall < CRAWL * decrement else 0
        if crawls == MAX_CRAWLS:
            break
        position = moved
    # Stalled in the rounding of huge counts is converged, with more to gain is not.
    if decrement > max(tolerance, FAILED + FAILED_SHARE * abs(position.deviance)):
        raise np.linalg.LinAlgError("the conditional modes were not found")
    if not observed:
        # Raises where these are not positive definite: a maximum of D is no mode.
        products = weighted_products(rows.layout, position.terms.weight)
        elimination = eliminate(products, lams)
    return ConditionalModes(
        position.eta,
        position.effects,
        position.slopes,
        gradient,
        position.terms,
        elimination,
        position.deviance,
        decrement,
        steps,
    )


def inner_product(left: Sequence[FloatMatrix], right: Sequence[FloatMatrix]) -> float:
    """Sum of products over all random effects."""
    return float(sum(np.vdot(a, b) for a, b in zip(left, right, strict=True)))


def _position_at(
    rows: GeneralizedRows,
    base: FloatVector,
    shapes: FloatVector,
    effects: list[FloatMatrix],
    slopes: list[FloatMatrix],
) -> _Position:
    # u'u as b'v below: where G is singular no u belongs to b, and none is needed.
    eta = rows.layout.rows.spread(effects)
    eta += base
    terms = rows.likelihood.terms(eta, shapes)
    deviance = -2.0 * terms.total + inner_product(effects, slopes)
    return _Position(eta, effects, slopes, terms, deviance)


def _position_of(
    rows: GeneralizedRows,
    base: FloatVector,
    lams: Sequence[FloatMatrix],
    shapes: FloatVector,
    elimination: Elimination,
    rhs: Sequence[FloatMatrix],
) -> _Position:
    """Where the working linear model with these products has its modes."""
    effects = solve(elimination, rhs)
    slopes = _slope_parts(rhs, effects, elimination, lams)
    return _position_at(rows, base, shapes, effects, slopes)


def _first_position(
    rows: GeneralizedRows,
    base: FloatVector,
    lams: Sequence[FloatMatrix],
    shapes: FloatVector,
    start: ConditionalModes | None,
) -> _Position:
    """Modes of the working linear model at the start's eta, or no effects at all.

    If rows have no mean without effects, these draw them to where they have one.
    """
    if start is not None:
        try:
            predicted = _predicted(rows, base, lams, shapes, start)
        except np.linalg.LinAlgError:
            predicted = None
        if predicted is not None and np.isfinite(predicted.deviance):
            return predicted
    pattern = rows.layout.pattern
    sizes = zip(pattern.sizes, pattern.levels, strict=True)
    none = [np.zeros(size) for size in sizes]
    position = _position_at(rows, base, shapes, none, none)
    if not np.isfinite(position.deviance):
        position = (
            _by_responses(rows, base, lams, shapes)
            or _drawn_inside(rows, base, lams, shapes)
            or position
        )
    if not np.isfinite(position.deviance):
        raise np.linalg.LinAlgError("the likelihood is not finite at the fixed part")
    return position


def _drawn_inside(
    rows: GeneralizedRows,
    base: FloatVector,
    lams: Sequence[FloatMatrix],
    shapes: FloatVector,
) -> _Position | None:
    if rows.inside is None:
        return None
    found = feasible_effects(
        rows.likelihood, rows.layout, base, rows.inside(), lams, shapes
    )
    if found is None:
        return None
    return _position_of(rows, base, lams, shapes, *found)


def _by_responses(
    rows: GeneralizedRows,
    base: FloatVector,
    lams: Sequence[FloatMatrix],
    shapes: FloatVector,
) -> _Position | None:
    """The modes if each row were known to be where its own response puts it."""
    if rows.inside is None:
        return None
    inside = rows.inside()
    weight = rows.likelihood.expected_weight(inside, shapes)
    if not np.isfinite(weight).all():
        return None
    elimination = eliminate(weighted_products(rows.layout, weight), lams)
    rhs = rows.layout.rows.collect(weight * (inside - base))
    position = _position_of(rows, base, lams, shapes, elimination, rhs)
    return position if np.isfinite(position.deviance) else None


def _predicted(
    rows: GeneralizedRows,
    base: FloatVector,
    lams: Sequence[FloatMatrix],
    shapes: FloatVector,
    start: ConditionalModes,
) -> _Position:
    """One working-response step from the start's eta: second-order accurate."""
    # Without shapes the products at the start stay; only the factors have changed.
    terms, products = start.terms, start.elimination.products
    if rows.likelihood.n_shapes:
        terms = rows.likelihood.terms(start.eta, shapes)
        products = weighted_products(rows.layout, terms.weight)
    elimination = eliminate(products, lams)
    response = terms.score + terms.weight * (start.eta - base)
    rhs = rows.layout.rows.collect(response)
    return _position_of(rows, base, lams, shapes, elimination, rhs)


def _slope_parts(
    rhs: Sequence[FloatMatrix],
    effects: Sequence[FloatMatrix],
    elimination: Elimination,
    lams: Sequence[FloatMatrix],
) -> list[FloatMatrix]:
    """G^-1 b for b = K rhs, as rhs - A b where G has no inverse."""
    inverses = [covariance_inverse(lam) for lam in lams]
    if all(inverse is not None for inverse in inverses):
        rest = list(rhs)
    else:
        fitted = elimination.products.times_vector(effects)
        rest = [g - a for g, a in zip(rhs, fitted, strict=True)]
    return [
        r if inverse is None else inverse @ b
        for r, inverse, b in zip(rest, inverses, effects, strict=True)
    ]


def _eliminate(
    rows: GeneralizedRows,
    position: _Position,
    lams: Sequence[FloatMatrix],
    shapes: FloatVector,
) -> tuple[Elimination, bool]:
    """By the observed weights, or by the expected ones where D is not convex."""
    try:
        products = weighted_products(rows.layout, position.terms.weight)
        return eliminate(products, lams), True
    except np.linalg.LinAlgError:
        weights = rows.likelihood.expected_weight(position.eta, shapes)
        return eliminate(weighted_products(rows.layout, weights), lams), False


def _move(
    rows: GeneralizedRows,
    base: FloatVector,
    shapes: FloatVector,
    position: _Position,
    r: Sequence[FloatMatrix],
    change: Sequence[FloatMatrix],
    elimination: Elimination,
    sure: bool,
) -> _Position | None:
    """Along the Newton step, halved until D does not rise; None if it always does.

    Rounding in D must not hold up a step that is `sure` to be a good one.
    """
    slope_change = _slope_parts(r, change, elimination, elimination.lams)
    slack = np.inf if sure else 1e-10 + 1e-13 * abs(position.deviance)
    length = 1.0
    for _ in range(40):
        trial = _position_at(
            rows,
            base,
            shapes,
            _stepped(position.effects, change, length),
            _stepped(position.slopes, slope_change, length),
        )
        if trial.deviance <= position.deviance + slack and trial.deviance < np.inf:
            return trial
        length *= 0.5
    return None


def _stepped(
    values: Sequence[FloatMatrix], change: Sequence[FloatMatrix], length: float
) -> list[FloatMatrix]:
    if length == 1.0:
        return [a + b for a, b in zip(values, change, strict=True)]
    return [a + length * b for a, b in zip(values, change, strict=True)]
