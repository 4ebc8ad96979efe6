"""What a model adds to the random effects of another, judged by content.

A grouping factor is a partition of the rows and a random term a space of columns;
labels, names, units, origins and coding mean nothing.

Held by tests/comparison/test_same_content.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from multilevel.array_types import FloatMatrix, IntVector
from multilevel.comparison.column_space import coefficients_of, column_space
from multilevel.covariance.registry import written_term
from multilevel.covariance.structure import CovarianceStructure
from multilevel.design.model_design import ModelDesign
from multilevel.errors import ComparisonError


@dataclass(frozen=True, slots=True)
class EffectBlock:
    """Random effects of one factor with a covariance matrix of their own.

    Parameters
    ----------
    term : int
        Of the design.
    effects : (k,) integers
        Columns of the term.
    columns : (n, k)
    names : tuple of str
    factor : str
    tied : CovarianceStructure or None
        What ties the entries of the matrix to each other; None if they are free.
    """

    term: int
    effects: IntVector
    columns: FloatMatrix
    names: tuple[str, ...]
    factor: str
    tied: CovarianceStructure | None


@dataclass(frozen=True, slots=True)
class CovarianceChange:
    """Blocks of a larger model with the blocks of the smaller one that they hold.

    Parameters
    ----------
    blocks : tuple of EffectBlock
        Of the larger model.
    retained : for each of them, the blocks of the smaller model inside
    """

    blocks: tuple[EffectBlock, ...]
    retained: tuple[tuple[EffectBlock, ...], ...]

    @property
    def n_retained(self) -> list[int]:
        """Number of effects r of each block that the smaller model has."""
        return [sum(len(s.names) for s in inside) for inside in self.retained]

    @property
    def sizes(self) -> list[int]:
        """Orders of the semidefinite matrices in which new effects may leave zero.

        Raises
        ------
        ComparisonError
            If a new covariance is of a structure that does not say.
        """
        sizes: list[int] = []
        for block, r in zip(self.blocks, self.n_retained, strict=True):
            if block.tied is not None and not r:
                sizes += [cone.size for cone in block.tied.cone()]
            elif r < len(block.names):
                sizes.append(len(block.names) - r)
        return sizes

    @property
    def n_free(self) -> int:
        """Covariances that the smaller model fixes at zero inside their range."""
        total = 0
        for block, inside, r in zip(
            self.blocks, self.retained, self.n_retained, strict=True
        ):
            # Covariances among the retained effects that the smaller model has
            # not, and those of retained with new ones: they may be of either
            # sign, so no edge holds them.
            own = sum(len(s.names) * (len(s.names) + 1) // 2 for s in inside)
            total += r * (r + 1) // 2 - own + r * (len(block.names) - r)
        return total


def covariance_change(
    smaller: ModelDesign, larger: ModelDesign, order: IntVector
) -> CovarianceChange:
    """Place the random effects of one design in those of another.

    Parameters
    ----------
    smaller, larger : ModelDesign
    order : (n,) integers
        The larger one's rows among the smaller one's.

    Raises
    ------
    ComparisonError
        If the smaller has effects or correlations that the larger has not.
    """
    blocks = _blocks(larger)
    inside: list[list[EffectBlock]] = [[] for _ in blocks]
    groups = [_partition(f.codes) for f in larger.factors]
    for block in _blocks(smaller, order):
        factor = smaller.factors[smaller.terms[block.term].factor_index]
        own = _partition(factor.codes[order])
        alike = [k for k, codes in enumerate(groups) if np.array_equal(codes, own)]
        if not alike:
            raise ComparisonError(_other_groups(factor.name, larger))
        where = _home(block, blocks, inside, larger, alike)
        if where is None:
            raise ComparisonError(
                "the models are not nested: the restricted one has "
                f"{_shown(block)}, the other has not"
            )
        inside[where].append(block)
    return CovarianceChange(tuple(blocks), tuple(tuple(found) for found in inside))


def _blocks(
    design: ModelDesign, order: IntVector | slice = slice(None)
) -> list[EffectBlock]:
    """The covariance matrices of a design that are independent of each other."""
    found = []
    for t, term in enumerate(design.terms):
        structure = term.covariance
        tied = structure if structure.is_tied else None
        whole = tuple(range(len(term.effects)))
        parts = [whole] if tied else [cone.effects for cone in structure.cone()]
        found += [
            EffectBlock(
                term=t,
                effects=np.array(part),
                columns=term.columns[order][:, part],
                names=tuple(term.effects[i] for i in part),
                factor=design.factors[term.factor_index].name,
                tied=tied,
            )
            for part in parts
        ]
    return found


def _partition(codes: IntVector) -> IntVector:
    """Codes in the order of first appearance: the same for the same groups."""
    return np.asarray(pd.factorize(codes)[0], dtype=np.intp)


def _home(
    block: EffectBlock,
    blocks: Sequence[EffectBlock],
    inside: Sequence[Sequence[EffectBlock]],
    larger: ModelDesign,
    factors: Sequence[int],
) -> int | None:
    """The smallest block of the larger model that holds a block, if any has room."""
    # The smallest first: a wide block that also holds the effect is left to others.
    for k in sorted(range(len(blocks)), key=lambda k: len(blocks[k].names)):
        if larger.terms[blocks[k].term].factor_index not in factors:
            continue
        if block.tied or blocks[k].tied:
            if not inside[k] and _are_alike(block, blocks[k]):
                return k
            continue
        if not column_space(blocks[k].columns).contains(block.columns).all():
            continue
        together = np.column_stack([s.columns for s in [*inside[k], block]])
        # Two blocks in the same columns are one effect twice; they need a block each.
        if column_space(together).rank == together.shape[1]:
            return k
    return None


def _are_alike(block: EffectBlock, other: EffectBlock) -> bool:
    """Whether two blocks are of one structure, in columns that mean the same to it."""
    if block.tied is None or block.tied != other.tied:
        return False
    if not column_space(other.columns).contains(block.columns).all():
        return False
    change = coefficients_of(other.columns, block.columns)
    scales = np.diag(change)
    if block.tied.freedom == "none":
        scales = np.full(len(scales), scales[0])
    same = np.abs(change - np.diag(scales)) <= 1e-8 * np.abs(scales).max()
    return block.tied.freedom == "any" or bool(same.all() and (scales != 0).all())


def _other_groups(name: str, larger: ModelDesign) -> str:
    """Why a grouping factor has no counterpart."""
    names = [factor.name for factor in larger.factors]
    if name in names:
        return (
            f"the models are not nested: {name!r} groups the rows otherwise in the "
            "restricted model than in the other; were both fitted to the same data?"
        )
    return (
        f"the models are not nested: the restricted one has effects of {name!r}, and "
        f"no factor of the other ({', '.join(names)}) groups the rows like it"
    )


def _shown(block: EffectBlock) -> str:
    """The variances and covariances of a block, or the term if they are tied."""
    if block.tied is not None:
        return written_term(block.tied.name, " + ".join(block.names), block.factor)
    shown = [f"var({name} | {block.factor})" for name in block.names]
    shown += [
        f"cov({', '.join(sorted((first, second)))} | {block.factor})"
        for i, first in enumerate(block.names)
        for second in block.names[:i]
    ]
    return " and ".join(shown)
