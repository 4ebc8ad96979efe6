"""Chi-bar-square null distributions of tests of variance parameters.

When a null hypothesis puts variance parameters on the edge of their range, the
likelihood-ratio statistic is asymptotically distributed as ``|P z|^2``, where z is
normal with the inverse information as its covariance and P projects onto the cone
of the directions in which the alternative lies, both in the metric of the
information. That is a mixture of chi-square distributions; its weights depend on
the cone and on the information.

The covariance matrix of k random effects that is zero under the null may move into
the cone of positive-semidefinite (k, k) matrices, a variance onto a half-line, and
several terms into the product of their cones.

References
----------
Chernoff (1954), Ann. Math. Statist. 25, 573-578.
Shapiro (1985), Biometrika 72, 133-144 (mixtures; nuisance parameters).
Self & Liang (1987), JASA 82, 605-610.
Stram & Lee (1994), Biometrics 50, 1171-1177 (random effects).
Takemura & Kuriki (1997), Ann. Statist. 25, 2368-2387 (weights of smooth cones).
Kuriki & Takemura (2000), Ann. Inst. Statist. Math. 52, 1-14 (semidefinite matrices).
Silvapulle & Sen (2005), Constrained Statistical Inference, chapters 3 and 4.

Held by tests/inference/test_chi_bar_square.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.errors import ComparisonError
from multilevel.inference.cone_coordinates import canonical_metric, unit_information
from multilevel.inference.psd_cone import (
    block_slices,
    positive_ranks,
    project_in_metric,
    projection_derivative_eigenvalues,
    svec_scale,
)

_DRAWS = 2000
# Each draw costs the third power of the dimension. In many dimensions the local weights
# vary less, and fewer draws leave p-values uncertain by some 3 % of themselves.
_FULL_DIMENSION, _FEWEST_DRAWS = 36, 300
_SEED = 19941171  # Stram & Lee; fixed, so that a p-value is a function of the fit
_NODES = 512
_MOST_LISTED = 7
_EXACT = 1e-7  # of sums of weights by a formula
_DRAWN = 2.5  # five standard errors of half a weight from one draw
_FAILED = (
    "the null distribution cannot be computed from the information matrix of the "
    "variance parameters "
)
_SIMPLER = (
    "Leave out random effects that the data hardly tell apart, or test fewer of them "
    "at once"
)


@dataclass(frozen=True, slots=True)
class ChiBarSquare:
    """Mixture of chi-square distributions.

    Attributes
    ----------
    weights : tuple of float
        Weight of ``chi2(first_df + i)``; they sum to one.
    first_df : int
        Degrees of freedom of the first component.

    Examples
    --------
    >>> null = ChiBarSquare((0.5, 0.5))
    >>> print(null)
    0.5 chi2(0) + 0.5 chi2(1)
    >>> round(null.survival(2.706), 3)
    0.05
    """

    weights: tuple[float, ...]
    first_df: int = 0

    def survival(self, statistic: float) -> float:
        """P(X >= statistic); chi2(0) is a point mass at zero."""
        degrees = self.first_df + np.arange(len(self.weights))
        if statistic <= 0:
            return 1.0
        tails = np.where(degrees > 0, chdtrc(np.maximum(degrees, 1), statistic), 0.0)
        return min(float(np.dot(self.weights, tails)), 1.0)

    def __str__(self) -> str:
        if len(self.weights) == 1:
            return f"chi2({self.first_df})"
        degrees = self.first_df + np.arange(len(self.weights))
        if len(degrees) > _MOST_LISTED:
            mean = float(np.dot(self.weights, degrees))
            return (
                f"mixture of chi2({degrees[0]}) to chi2({degrees[-1]}), mean {mean:.1f}"
            )
        return " + ".join(
            f"{weight:.3g} chi2({df})"
            for df, weight in zip(degrees, self.weights, strict=True)
            if weight >= 5e-5
        )


def efficient_information(information: FloatMatrix, n_nuisance: int) -> FloatMatrix:
    """Information of the last parameters when the first `n_nuisance` are estimated.

    ``I_22 - I_21 I_11^-1 I_12``, whatever units the parameters are in.

    Parameters
    ----------
    information : (d, d)
    n_nuisance : int

    Returns
    -------
    (d - n_nuisance, d - n_nuisance) array
    """
    # Units first: the cut below compares eigenvalues, which variances in seconds and
    # correlations would otherwise not be on one scale for.
    unit, units = unit_information(information)
    first, second = slice(0, n_nuisance), slice(n_nuisance, None)
    values, vectors = np.linalg.eigh(unit[first, first])
    # What the data cannot tell apart among the nuisance parameters takes nothing away.
    known = values > 1e-12 * values.max(initial=1.0)
    across = vectors[:, known].T @ unit[first, second] / np.sqrt(values[known, None])
    left = unit[second, second] - across.T @ across
    return np.asarray(left * np.outer(units[second], units[second]))


def cone_mixture(
    information: FloatMatrix, sizes: Sequence[int], *, free: int = 0
) -> ChiBarSquare:
    """Null distribution when covariance matrices may leave zero.

    Parameters
    ----------
    information : (d, d)
        Information of the entries of the covariance matrices under the null, after
        allowance for nuisance parameters (`efficient_information`). Entries of a
        block: its lower triangle, column by column, d = sum k (k + 1) / 2.
    sizes : sequence of int
        Number of random effects k in each block.
    free : int
        Further parameters that the null fixes inside their range.

    Returns
    -------
    ChiBarSquare

    Examples
    --------
    One variance:

    >>> print(cone_mixture(np.eye(1), [1]))
    0.5 chi2(0) + 0.5 chi2(1)

    Two independent variances, estimated independently:

    >>> print(cone_mixture(np.eye(2), [1, 1]))
    0.25 chi2(0) + 0.5 chi2(1) + 0.25 chi2(2)
    """
    if not len(sizes):
        return ChiBarSquare((1.0,), free)
    # An off-diagonal entry counts twice in the norm of a matrix: coordinates grow by
    # sqrt(2), so the information per unit of them shrinks by as much.
    scale = np.concatenate([svec_scale(size) for size in sizes])
    weights = cone_weights(information / np.outer(scale, scale), sizes)
    return ChiBarSquare(tuple(float(weight) for weight in weights), free)


def cone_weights(metric: FloatMatrix, sizes: Sequence[int]) -> FloatVector:
    """Weights of chi2(0), ..., chi2(d) for a product of semidefinite cones.

    Exact where a formula is known (up to three variances, one covariance matrix of
    two effects, and products of these that are independent), otherwise from the
    derivative of the projection at draws from a fixed seed.

    Parameters
    ----------
    metric : (d, d)
        Information in svec coordinates (`multilevel.inference.psd_cone`).
    sizes : sequence of int

    Returns
    -------
    (d + 1,) array
    """
    weights = np.ones(1)
    try:
        for part in _independent_parts(*canonical_metric(metric, sizes)):
            # Orthogonal cones are projected on one by one, and the squares of
            # independent projections add up: so degrees of freedom add and weights
            # convolve.
            weights = np.convolve(weights, _checked(_part_weights(*part)))
    except np.linalg.LinAlgError as error:
        raise ComparisonError(_FAILED + f"({error}). " + _SIMPLER) from error
    return weights


def _part_weights(metric: FloatMatrix, sizes: tuple[int, ...]) -> FloatVector:
    """Weights where no block is independent of all others."""
    if sizes == (1,):
        return np.array([0.5, 0.5])
    if sizes == (1, 1):
        return _quadrant_weights(metric)
    if sizes == (1, 1, 1):
        return _octant_weights(metric)
    if sizes == (2,):
        return _two_effect_weights(metric)
    return _drawn_weights(metric, sizes)


def _checked(weights: FloatVector) -> FloatVector:
    """Weights of a cone that is no linear space, or an error that they are not.

    Each lies between 0 and 1, and by Gauss and Bonnet those of even and of odd degrees
    of freedom sum to one half each (Takemura & Kuriki 1997, section 2).
    """
    halves = np.array([weights[::2].sum(), weights[1::2].sum()])
    if not (weights.min() >= -_EXACT and np.abs(halves - 0.5).max() <= _EXACT):
        raise ComparisonError(
            _FAILED + f"(its weights would be {weights.round(4).tolist()}). " + _SIMPLER
        )
    return np.maximum(weights, 0.0)


def _independent_parts(
    metric: FloatMatrix, sizes: Sequence[int]
) -> list[tuple[FloatMatrix, tuple[int, ...]]]:
    """Groups of blocks between which the metric is zero."""
    slices = block_slices(sizes)
    units = np.sqrt(np.diag(metric))
    # Weights are smooth in the couplings: one of 1e-6 moves them by less than that,
    # while a formula for each part spares the noise of draws for the whole.
    linked = np.abs(metric) > 1e-6 * np.outer(units, units)
    left = list(range(len(sizes)))
    parts = []
    while left:
        group = [left.pop(0)]
        for member in group:
            near = [k for k in left if linked[slices[member], slices[k]].any()]
            group.extend(near)
            left = [k for k in left if k not in near]
        group.sort()
        where = np.concatenate([np.arange(len(metric))[slices[k]] for k in group])
        parts.append((metric[np.ix_(where, where)], tuple(sizes[k] for k in group)))
    return parts


def _quadrant_weights(metric: FloatMatrix) -> FloatVector:
    """Two variances: the angles of the quadrant in the metric and of its polar."""
    cosine = metric[0, 1] / np.sqrt(metric[0, 0] * metric[1, 1])
    # The weight of the highest degree is the share of all directions that lie in the
    # cone, that of the lowest the share of its polar, whose angle is pi less this one.
    both = float(np.arccos(np.clip(cosine, -1.0, 1.0))) / (2.0 * np.pi)
    return np.array([0.5 - both, 0.5, both])


def _octant_weights(metric: FloatMatrix) -> FloatVector:
    """Three variances: a spherical triangle."""
    units = np.sqrt(np.diag(metric))
    cosines = metric / np.outer(units, units)
    pairs = cosines[[0, 0, 1], [1, 2, 2]]
    # The sides of the triangle are the angles between the rays.
    perimeter = float(np.arccos(np.clip(pairs, -1.0, 1.0)).sum())
    volume = np.sqrt(max(float(np.linalg.det(cosines)), 0.0))
    area = 2.0 * np.arctan2(volume, 1.0 + pairs.sum())  # Van Oosterom & Strackee
    return _spherical_weights(float(area), perimeter)


def _two_effect_weights(metric: FloatMatrix) -> FloatVector:
    """One covariance matrix of two effects: a cone in three dimensions.

    Area and perimeter of the region that it cuts out of the unit sphere are
    integrals of smooth periodic functions along the boundary v v', v = (cos t,
    sin t), for which the trapezoidal rule is exact to rounding.
    """
    # Half a turn closes the curve: v and -v have the same v v'.
    t = np.arange(_NODES) * (np.pi / _NODES)
    cosine, sine = np.cos(t), np.sin(t)
    root = np.sqrt(2.0)
    rays = np.column_stack([cosine**2, root * cosine * sine, sine**2])
    turning = np.column_stack([-np.sin(2 * t), root * np.cos(2 * t), np.sin(2 * t)])
    # x'H x = |L'x|^2: angles in the metric are plain angles of the rows times L.
    whiten = np.linalg.cholesky(metric)
    points, tangents = rays @ whiten, turning @ whiten
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    points, tangents = points / lengths, tangents / lengths
    # Only what is across the ray moves the point on the sphere.
    tangents -= points * np.sum(points * tangents, axis=1, keepdims=True)
    perimeter = np.linalg.norm(tangents, axis=1).sum() * np.pi / _NODES
    middle = points.mean(axis=0)
    middle /= np.linalg.norm(middle)
    # The area as a fan of thin triangles around the middle, each of them by the formula
    # of `_octant_weights`; any middle within the cone would do.
    turned = np.cross(points, tangents) @ middle / (1.0 + points @ middle)
    return _spherical_weights(abs(turned.sum()) * np.pi / _NODES, perimeter)


def _spherical_weights(area: float, perimeter: float) -> FloatVector:
    """Weights of a cone in three dimensions, by Steiner's formula on the sphere."""
    full = 2.0 * np.pi
    return np.array([full - perimeter, full - area, perimeter, area]) / (2.0 * full)


def _drawn_weights(metric: FloatMatrix, sizes: Sequence[int]) -> FloatVector:
    """Weights by integration over normal draws of the local weights.

    Where the projection of z has derivative eigenvalues l_1, ..., l_t, the tube
    around the cone's surface contributes to the weight of chi2(i) the probability
    that i of t independent events with these probabilities happen: expand the
    Jacobian ``prod (1 + k_j)`` of Weyl's tube formula with l_j = 1 / (1 + k_j).
    For a polyhedral cone all l_j are one and faces are counted.
    """
    half = n_draws(len(metric)) // 2
    draws = np.random.default_rng(_SEED).standard_normal((half, len(metric)))
    # In pairs: a draw that projects onto much of the cone has an opposite that projects
    # onto little of it, so that their noise partly cancels.
    draws = np.vstack([draws, -draws])
    points = np.linalg.solve(np.linalg.cholesky(metric).T, draws.T).T
    projections = project_in_metric(points, metric, sizes)
    ranks = positive_ranks(projections, sizes)
    weights = np.zeros(len(metric) + 1)
    if all(size == 1 for size in sizes):
        # A polyhedral cone: faces are counted, and there may be a face for each draw.
        weights += np.bincount(ranks.sum(axis=1), minlength=len(weights))
    for pattern in np.unique(ranks, axis=0) if not weights.any() else ():
        same = np.all(ranks == pattern, axis=1)
        chances = projection_derivative_eigenvalues(
            points[same], projections[same], metric, sizes, pattern
        )
        counts = _counts_of_events(chances)
        weights[: len(counts)] += counts
    even = weights[::2].sum() / weights.sum()
    # Off by more than noise, or not a number: as they are, for `_checked` to refuse.
    if not abs(even - 0.5) <= _DRAWN / np.sqrt(len(draws)):
        return np.asarray(weights / weights.sum())
    # Even and odd weights sum to one half each, which spares some of the noise.
    weights[::2] *= 0.5 / weights[::2].sum()
    weights[1::2] *= 0.5 / weights[1::2].sum()
    return weights


def n_draws(dimension: int) -> int:
    """Draws for a cone of that many dimensions, so that the cost stays bounded.

    Examples
    --------
    >>> n_draws(6), n_draws(78), n_draws(210)
    (2000, 300, 300)
    """
    share = min(_FULL_DIMENSION / dimension, 1.0) ** 3
    return max(round(_DRAWS * share), _FEWEST_DRAWS)


def _counts_of_events(chances: FloatMatrix) -> FloatVector:
    """Summed over rows (n, t): the probabilities (t + 1,) of 0, ..., t events."""
    counts = np.zeros((len(chances), chances.shape[1] + 1))
    counts[:, 0] = 1.0
    for chance in chances.T[:, :, None]:
        happened = counts[:, :-1] * chance
        counts *= 1.0 - chance
        counts[:, 1:] += happened
    return np.asarray(counts.sum(axis=0))
