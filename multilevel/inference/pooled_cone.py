"""Where the covariances of a model can move when all of them are zero.

Held by tests/comparison/test_nested_models.py and
tests/comparison/test_pooled_invariance.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix
from multilevel.covariance.cone import ConeBlock
from multilevel.covariance.triangular import triangle_indices
from multilevel.likelihood.algebra.orthonormal import orthonormal_combinations
from multilevel.likelihood.products.cross_products import CrossProducts
from multilevel.likelihood.products.entry_products import Direction
from multilevel.optimize.common.working_terms import WorkingTerms

# A squared part of this size is rounding.
_NOTHING_LEFT = 1e-11


@dataclass(frozen=True, slots=True, eq=False)
class PooledCone:
    """A product of semidefinite cones of covariance matrices.

    Parameters
    ----------
    sizes : tuple of int
        Order of the matrices of each cone.
    directions : tuple of Direction
        The matrices that unit coordinates stand for, cone by cone: of each its lower
        triangle, column by column.
    """

    sizes: tuple[int, ...]
    directions: tuple[Direction, ...]


def pooled_cone(working: WorkingTerms, products: CrossProducts) -> PooledCone:
    """The covariance matrices near zero, in working columns.

    Parameters
    ----------
    working : WorkingTerms
    products : CrossProducts
        Of the working columns.

    Raises
    ------
    ComparisonError
        If a structure does not say what its matrices near zero are.
    """
    terms, sizes, directions = working.terms, [], []
    for structure, T, factor, block in zip(
        terms.structures,
        working.transforms,
        terms.factor_of_term,
        terms.blocks,
        strict=True,
    ):
        gram = products.diagonal[factor][block, block].sum(axis=2)
        for cone in structure.cone():
            size, moves = cone_coordinates(cone, T, gram)
            sizes.append(size)
            for move in moves:
                whole = np.zeros((terms.block_sizes[factor],) * 2)
                whole[block, block] = move
                directions.append(Direction(factor, whole))
    return PooledCone(tuple(sizes), tuple(directions))


def cone_coordinates(
    cone: ConeBlock, transform: FloatMatrix, gram: FloatMatrix
) -> tuple[int, FloatArray]:
    """Order of the matrices of a cone, and those of unit coordinates (d, k, k).

    Parameters
    ----------
    cone : ConeBlock
        Of a term.
    transform : (k, k)
        Working columns of the term are the user's times this.
    gram : (k, k)
        Products of its working columns.

    Returns
    -------
    size : int
    moves : (size (size + 1) / 2, k, k)
        Of the working columns' covariance.
    """
    own = np.eye(len(gram))[:, list(cone.effects)]
    if cone.ray is not None:
        carried = np.linalg.solve(transform, own)
        return 1, np.asarray(carried @ cone.ray @ carried.T)[None]
    # Fewer than the effects where their columns depend on each other: their covariance
    # matrices then give the data no more distributions than those of a basis.
    combinations = orthonormal_combinations(
        own.T @ gram @ own, nothing_left=_NOTHING_LEFT
    )
    basis = own @ combinations
    rows, columns = triangle_indices(basis.shape[1])
    half = np.einsum("ia,ja->aij", basis[:, rows], basis[:, columns])
    once = (rows == columns)[:, None, None]
    return basis.shape[1], np.where(once, half, half + half.transpose(0, 2, 1))
