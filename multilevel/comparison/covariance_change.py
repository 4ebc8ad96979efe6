"""What a model adds to the random effects of another, judged by content.

A grouping factor is a partition of the rows and a random term a space of columns;
labels, names, units, origins and coding mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatMatrix, IntVector
from multilevel.comparison.column_space import column_space
from multilevel.design.model_design import ModelDesign
from multilevel.errors import ComparisonError


@dataclass(frozen=True, slots=True)
class EffectBlock:
    """Random effects of one factor with a free covariance matrix.

    Parameters
    ----------
    term : int
        Of the design.
    effects : slice
        Columns of the term.
    columns : (n, k)
    names : tuple of str
    factor : str
    """

    term: int
    effects: slice
    columns: FloatMatrix
    names: tuple[str, ...]
    factor: str


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
        """Number of new effects of each block, where there are any."""
        news = [
            len(block.names) - r
            for block, r in zip(self.blocks, self.n_retained, strict=True)
        ]
        return [new for new in news if new]

    @property
    def n_free(self) -> int:
        """Covariances that the smaller model fixes at zero inside their range."""
        total = 0
        for block, inside, r in zip(
            self.blocks, self.retained, self.n_retained, strict=True
        ):
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


def _blocks(design: ModelDesign, order: Any = slice(None)) -> list[EffectBlock]:
    """The free covariance matrices of a design."""
    found = []
    for t, term in enumerate(design.terms):
        k = len(term.effects)
        whole = term.structure == "us"
        parts = [slice(0, k)] if whole else [slice(i, i + 1) for i in range(k)]
        name = design.factors[term.factor_index].name
        found += [
            EffectBlock(t, part, term.columns[order, part], term.effects[part], name)
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
        if not column_space(blocks[k].columns).contains(block.columns).all():
            continue
        together = np.column_stack([s.columns for s in [*inside[k], block]])
        if column_space(together).rank == together.shape[1]:
            return k
    return None


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
    """The variances and covariances of a block."""
    shown = [f"var({name} | {block.factor})" for name in block.names]
    shown += [
        f"cov({', '.join(sorted((first, second)))} | {block.factor})"
        for i, first in enumerate(block.names)
        for second in block.names[:i]
    ]
    return " and ".join(shown)
