"""Where the covariances of a model may move from the estimates of a smaller one.

Held by tests/comparison/test_nested_invariance.py and
tests/covariance/test_new_structure.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.comparison.column_space import coefficients_of
from multilevel.comparison.covariance_change import CovarianceChange, EffectBlock
from multilevel.comparison.same_rows import SameRows
from multilevel.covariance.square_root import covariance_root
from multilevel.design.model_design import ModelDesign
from multilevel.inference.pooled_cone import cone_coordinates
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.linear.problem import LinearProblem


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _PlacedBlock:
    """A covariance matrix of the larger model among the working columns.

    Parameters
    ----------
    block : EffectBlock
    inside : blocks of the smaller model that it holds
    spans : one (k, k_s) for each of them
        Its columns in the working columns of the block.
    factor : int
        Of the larger model.
    start : int
        Of the block's term, among all working columns of the factor.
    """

    block: EffectBlock
    inside: tuple[EffectBlock, ...]
    spans: tuple[FloatMatrix, ...]
    factor: int
    start: int

    def embedded(self, matrix: FloatMatrix, size: int) -> FloatMatrix:
        """A matrix (k, k) of the block among all working columns of the factor."""
        out = np.zeros((size, size))
        out[np.ix_(*[self.start + self.block.effects] * 2)] = matrix
        return out


def nested_directions(
    problem: LinearProblem,
    design: ModelDesign,
    restricted: FittedModel,
    change: CovarianceChange,
    rows: SameRows,
) -> tuple[list[FloatMatrix], list[FloatArray]]:
    """Relative factors at the restricted estimates, and directions to move along.

    In each block the working columns are turned so that the first r span the effects
    that the restricted model has. Entries among these and between them and the others
    may move either way (Shapiro 1988; Stram & Lee 1994): the Schur complement of the
    new effects differs from their own block by squares of covariances only, so that to
    first order that block alone has to be semidefinite.

    Returns
    -------
    lams : one (S, S) for each factor
    directions : one (m, S, S) for each factor
        Those without an edge first, then the new blocks.
    """
    sizes = problem.terms.block_sizes
    covariances = [np.zeros((size, size)) for size in sizes]
    along: list[tuple[int, FloatMatrix]] = []
    away: list[tuple[int, FloatMatrix]] = []
    for placed in _placed(problem, design, change):
        factor, size = placed.factor, sizes[placed.factor]
        for s, span in zip(placed.inside, placed.spans, strict=True):
            # Relative to sigma^2 over the full model's weights.
            root = span @ restricted.fit.factors[s.term][s.effects]
            whole = placed.embedded(root @ root.T / rows.weight_ratio, size)
            covariances[factor] += whole
        free, edged = _moves(problem, restricted, placed)
        along += [(factor, placed.embedded(move, size)) for move in free]
        away += [(factor, placed.embedded(move, size)) for move in edged]
    every = [*along, *away]
    directions: list[FloatArray] = [np.zeros((len(every), s, s)) for s in sizes]
    for a, (factor, move) in enumerate(every):
        directions[factor][a] = move
    return [covariance_root(G) for G in covariances], directions


def _placed(
    problem: LinearProblem, design: ModelDesign, change: CovarianceChange
) -> Iterator[_PlacedBlock]:
    terms = problem.terms
    for block, inside in zip(change.blocks, change.retained, strict=True):
        working = design.terms[block.term].columns @ problem.basis.terms[block.term]
        own = working[:, block.effects]
        yield _PlacedBlock(
            block=block,
            inside=inside,
            spans=tuple(coefficients_of(own, s.columns) for s in inside),
            factor=terms.factor_of_term[block.term],
            start=terms.blocks[block.term].start,
        )


def _moves(
    problem: LinearProblem, restricted: FittedModel, placed: _PlacedBlock
) -> tuple[list[FloatMatrix], list[FloatMatrix]]:
    """Moves of a block without an edge, and those away from zero."""
    block, inside, spans = placed.block, placed.inside, placed.spans
    if block.tied is None:
        return _free_moves(spans, len(block.names))
    if inside:
        return _tied_moves(restricted, inside[0], spans[0]), []
    return [], _new_moves(problem, block)


def _free_moves(
    spans: Sequence[FloatMatrix], size: int
) -> tuple[list[FloatMatrix], list[FloatMatrix]]:
    """Moves of a free covariance among and towards effects in place, and among new."""
    turned = _turned(spans, size)
    n_retained = sum(span.shape[1] for span in spans)
    along: list[FloatMatrix] = []
    away: list[FloatMatrix] = []
    for c in range(size):
        for d in range(c, size):
            outer = np.outer(turned[:, d], turned[:, c])
            move = outer if c == d else outer + outer.T
            (along if c < n_retained else away).append(move)
    return along, away


def _tied_moves(
    restricted: FittedModel, block: EffectBlock, span: FloatMatrix
) -> list[FloatMatrix]:
    """How the parameters of a structure that both models have move its covariance."""
    terms = restricted.design.stacked_terms
    theta = restricted.fit.theta[terms.slices[block.term]]
    moves = terms.structures[block.term].moves(theta)
    return list(span @ moves @ span.T)


def _new_moves(problem: LinearProblem, block: EffectBlock) -> list[FloatMatrix]:
    """Coordinates of the cones of a structure that only the larger model has."""
    terms, where = problem.terms, problem.terms.blocks[block.term]
    factor = problem.products.diagonal[terms.factor_of_term[block.term]]
    gram = factor[where, where].sum(axis=2)
    transform = problem.basis.terms[block.term]
    return [
        move
        for cone in terms.structures[block.term].cone()
        for move in cone_coordinates(cone, transform, gram)[1]
    ]


def _turned(spans: Sequence[FloatMatrix], size: int) -> FloatMatrix:
    """An orthonormal basis (size, size) that begins with the span of some columns."""
    if not spans:
        return np.eye(size)
    together = np.column_stack(spans)
    together = together / np.linalg.norm(together, axis=0)
    return np.asarray(np.linalg.qr(together, mode="complete")[0])
