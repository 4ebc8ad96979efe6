"""Adaptive Gauss-Hermite quadrature for one grouping factor, with its gradient.

With M_j = lambda'A_j lambda + I = L L' at the mode u-hat and nodes z_q of weights w_q,

    f = sum_j ( log|M_j| - 2 log sum_q w_q exp( h_j(u_q) + z_q'z_q / 2 ) )
    h_j(u) = log p(y_j | u) - u'u / 2,      u_q = u-hat + L^-T z_q

One node gives the Laplace approximation. The nodes move with the parameters: their
centre by implicit differentiation of u-hat, their spread by that of L.

References
----------
Pinheiro & Bates (1995), J. Comput. Graph. Statist. 4, 12-35; Pinheiro & Chao (2006),
J. Comput. Graph. Statist. 15, 58-81.

Held by tests/likelihood/generalized/test_quadrature.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import roots_hermitenorm

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.likelihood.generalized.laplace import (
    ApproximateDeviance,
    DevianceSlopes,
)
from multilevel.likelihood.generalized.pirls import ConditionalModes, GeneralizedRows

MAX_EFFECTS = 3
"""Effects a level up to which the product rule is affordable."""

CHUNK = 40_000
"""Rows times nodes that are worked on at once, so that they stay in cache."""


@dataclass(frozen=True, slots=True)
class NodeRule:
    """Product rule for the standard normal density in S dimensions.

    Parameters
    ----------
    nodes : (S, Q)
    log_weights : (Q,)
        log w_q + z_q'z_q / 2; the w_q add up to one.
    """

    nodes: FloatMatrix
    log_weights: FloatVector


@lru_cache(maxsize=16)
def node_rule(n_nodes: int, size: int) -> NodeRule:
    """Gauss-Hermite rule with `n_nodes` in each of `size` dimensions."""
    z, w = roots_hermitenorm(n_nodes)
    grid = np.meshgrid(*[z] * size, indexing="ij")
    # With a hundred nodes and more the outer weights underflow to zero; their logarithm
    # is -inf, and the node never counts.
    with np.errstate(divide="ignore"):
        log_weights = np.log(w / w.sum()) + 0.5 * z * z
    logs = np.meshgrid(*[log_weights] * size, indexing="ij")
    nodes = np.stack([axis.ravel() for axis in grid])
    return NodeRule(nodes, np.sum([axis.ravel() for axis in logs], axis=0))


@dataclass(frozen=True, slots=True)
class _Spread:
    """How the nodes of every level lie.

    Parameters
    ----------
    modes : (S, J)
        u-hat.
    root : (J, S, S)
        L^-T, so that M^-1 = root root'.
    lam : (S, S)
    """

    modes: FloatMatrix
    root: FloatArray
    lam: FloatMatrix

    def nodes(self, rule: NodeRule, levels: slice) -> FloatArray:
        """u_q of some levels, (S, Q, J)."""
        moved = np.einsum("jst,tq->sqj", self.root[levels], rule.nodes)
        return np.asarray(self.modes[:, None, levels] + moved)


def _spread(modes: ConditionalModes) -> _Spread:
    (lam,) = modes.elimination.lams
    A = modes.elimination.products.diagonal[0].transpose(2, 0, 1)
    M = lam.T @ A @ lam + np.eye(len(lam))
    L = np.linalg.cholesky(M)
    # An explicit inverse of a small triangle: every node, and the adjoint
    # twice, takes products with it.
    root = np.linalg.inv(L).transpose(0, 2, 1)
    # u = lam'v, which needs no inverse of lam, where u = lam^-1 b would.
    return _Spread(lam.T @ modes.slopes[0], root, lam)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some levels and their rows; starts of the levels among these rows."""

    rows: slice
    levels: slice
    starts: IntVector
    counts: IntVector


def _pieces(rows: GeneralizedRows, n_nodes: int) -> Iterator[_Piece]:
    index = rows.layout.rows.factors[0].index
    ends = np.cumsum(np.bincount(index.codes, minlength=index.n_levels))
    starts = np.concatenate([[0], ends])
    first = 0
    while first < index.n_levels:
        # Whole levels only, one at least: the shares of the nodes are those of a level.
        limit = starts[first] + max(CHUNK // n_nodes, 1)
        last = max(int(np.searchsorted(ends, limit, side="right")), first + 1)
        own = starts[first : last + 1]
        yield _Piece(
            rows=slice(own[0], own[-1]),
            levels=slice(first, last),
            starts=own[:-1] - own[0],
            counts=np.diff(own),
        )
        first = last


@dataclass(frozen=True, slots=True)
class _Sums:
    """What the nodes contribute; filled piece by piece.

    Parameters
    ----------
    logs : (J,)
        Log of the integral of each level, in units of |M|^-1/2.
    score : (n,)
        Posterior mean of l'.
    centre : (S, J)
        Posterior mean of dh/du at the nodes.
    turn : (J, S, S)
        Posterior mean of (dh/du) z'.
    lam : (J, S, S)
        Posterior mean of (Z'l') u'.
    shapes : (s, J)
        Posterior mean of the derivatives in the shapes.
    """

    logs: FloatVector
    score: FloatVector
    centre: FloatMatrix
    turn: FloatArray
    lam: FloatArray
    shapes: FloatMatrix

    @classmethod
    def empty(cls, n_rows: int, size: int, n_levels: int, n_shapes: int) -> _Sums:
        return cls(
            np.empty(n_levels),
            np.empty(n_rows),
            np.empty((size, n_levels)),
            np.empty((n_levels, size, size)),
            np.empty((n_levels, size, size)),
            np.zeros((n_shapes, n_levels)),
        )


def _node_sums(
    rows: GeneralizedRows,
    base: FloatVector,
    shapes: FloatVector,
    spread: _Spread,
    n_nodes: int,
) -> _Sums:
    size, n_levels = spread.modes.shape
    rule = node_rule(n_nodes, size)
    sums = _Sums.empty(len(base), size, n_levels, rows.likelihood.n_shapes)
    for piece in _pieces(rows, len(rule.log_weights)):
        _work_piece(rows, base, shapes, spread, rule, piece, sums)
    return sums


def level_log_integrals(
    rows: GeneralizedRows,
    base: FloatVector,
    modes: ConditionalModes,
    shapes: FloatVector,
    n_nodes: int,
) -> FloatVector:
    """Log-likelihood of every level less the normalizer, (J,)."""
    spread = _spread(modes)
    sums = _node_sums(rows, base, shapes, spread, n_nodes)
    return np.asarray(sums.logs - 0.5 * modes.elimination.absorbed[0].log_det)


def quadrature_deviance(
    rows: GeneralizedRows,
    base: FloatVector,
    modes: ConditionalModes,
    shapes: FloatVector,
    n_nodes: int,
) -> tuple[ApproximateDeviance, DevianceSlopes]:
    """The approximate deviance and its exact gradient.

    Parameters
    ----------
    rows : GeneralizedRows
        One grouping factor, rows sorted by it.
    base : (n,)
        Fixed part of eta, offset included.
    modes : ConditionalModes
        Converged.
    shapes : (s,)
    n_nodes : int
        In each dimension.
    """
    spread = _spread(modes)
    sums = _node_sums(rows, base, shapes, spread, n_nodes)
    normalizer = float(rows.likelihood.normalizer(shapes).sum())
    value = modes.elimination.log_det - 2.0 * (float(sums.logs.sum()) + normalizer)
    point = ApproximateDeviance(value, modes, shapes)
    return point, _slopes(rows, modes, shapes, spread, sums)


def _work_piece(
    rows: GeneralizedRows,
    base: FloatVector,
    shapes: FloatVector,
    spread: _Spread,
    rule: NodeRule,
    piece: _Piece,
    sums: _Sums,
) -> None:
    """Fill the sums of some levels."""
    columns = [
        None if column is None else column[piece.rows]
        for column in rows.layout.rows.factors[0].columns
    ]
    likelihood = rows.likelihood.take(piece.rows)
    u = spread.nodes(rule, piece.levels)
    eta = _node_eta(np.einsum("st,tqj->sqj", spread.lam, u), columns, piece.counts)
    eta += base[piece.rows]
    logs, scores = likelihood.density(eta, shapes)
    h = np.add.reduceat(logs, piece.starts, axis=1) - 0.5 * (u * u).sum(axis=0)
    share, sums.logs[piece.levels] = _shares(h + rule.log_weights[:, None])
    by_row = np.repeat(share, piece.counts, axis=1)
    # Nodes outside the domain of the link have no density, and NaN for a score.
    scores = np.where(by_row > 0.0, scores, 0.0)
    sums.score[piece.rows] = np.einsum("qi,qi->i", by_row, scores)
    g = np.stack(
        [
            np.add.reduceat(
                scores if column is None else scores * column, piece.starts, axis=1
            )
            for column in columns
        ]
    )
    weighted = share * (np.einsum("st,sqj->tqj", spread.lam, g) - u)
    sums.centre[:, piece.levels] = weighted.sum(axis=1)
    # How much the integral feels the spread: node q moves by
    # droot z_q when the root moves.
    sums.turn[piece.levels] = np.einsum("sqj,tq->jst", weighted, rule.nodes)
    sums.lam[piece.levels] = np.einsum("sqj,tqj->jst", share * g, u)
    if rows.likelihood.n_shapes:
        change = likelihood.shape_density(eta, shapes)
        change = np.where(by_row > 0.0, by_row * change, 0.0).sum(axis=1)
        sums.shapes[:, piece.levels] = np.add.reduceat(change, piece.starts, axis=1)


def _node_eta(
    effects: FloatArray, columns: Sequence[FloatVector | None], counts: IntVector
) -> FloatMatrix:
    """Z b of every row at every node, (Q, rows), for effects (S, Q, J)."""
    total: FloatMatrix | None = None
    for column, effect in zip(columns, effects, strict=True):
        part = np.repeat(effect, counts, axis=1)
        if column is not None:
            part *= column
        total = part if total is None else total + part
    assert total is not None
    return total


def _shares(h: FloatMatrix) -> tuple[FloatMatrix, FloatVector]:
    """Posterior weight of every node (Q, J), and log sum exp h (J,)."""
    # Outside the domain of a link a node has no density; the others go on without it.
    h = np.where(np.isfinite(h), h, -np.inf)
    # Relative to the largest: the densities of large groups underflow, each by itself.
    top = h.max(axis=0)
    share = np.exp(h - top)
    total = share.sum(axis=0)
    return share / total, top + np.log(total)


def _slopes(
    rows: GeneralizedRows,
    modes: ConditionalModes,
    shapes: FloatVector,
    spread: _Spread,
    sums: _Sums,
) -> DevianceSlopes:
    """Add what moves the nodes to what the nodes see directly."""
    lam, root, u = spread.lam, spread.root, spread.modes
    A, (v,) = modes.elimination.products.diagonal[0], modes.gradient
    inverse = root @ root.transpose(0, 2, 1)
    # The adjoint of the Cholesky factor: its triangle with half the diagonal.
    half = np.tril(sums.turn.transpose(0, 2, 1) @ root)
    half[:, np.arange(len(lam)), np.arange(len(lam))] *= 0.5
    turned = root @ half @ root.transpose(0, 2, 1)
    M_slope = inverse + turned + turned.transpose(0, 2, 1)
    factor = rows.layout.rows.factors[0]
    # M_slope stands where Laplace has M^-1; from here on the formulas are the same.
    s = factor.quadratic((lam @ M_slope @ lam.T).transpose(1, 2, 0))
    t = rows.likelihood.third(modes.eta, shapes) * s
    collected = factor.collect(t)
    moved = -2.0 * sums.centre + lam.T @ collected
    # What moves the centre: at the mode du-hat = M^-1 (the change of
    # dh/du), so the whole dependence on u-hat is one solve. With one node
    # `centre` is zero and a = K Z't.
    y = np.einsum("jst,tj->sj", inverse, moved)
    a = lam @ y
    fitted = factor.spread(a)
    lam_slope = (
        -2.0 * sums.lam.sum(axis=0)
        + (collected - np.einsum("abj,bj->aj", A, a)) @ u.T
        + v @ y.T
    )
    lam_slope += 2.0 * np.einsum("abj,bc,jcd->ad", A, lam, M_slope)
    terms = rows.likelihood.shape_terms(modes.eta, shapes)
    in_shapes = terms.weight @ s + terms.score @ fitted - 2.0 * sums.shapes.sum(axis=1)
    in_eta = -2.0 * sums.score + t - modes.terms.weight * fitted
    return DevianceSlopes(in_eta, [np.asarray(lam_slope)], in_shapes)
