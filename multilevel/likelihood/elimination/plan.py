"""In which order the grouping factors are eliminated.

A chain of factors, each nested in the next, is eliminated from the finest to the
coarsest and stays block-diagonal all the way; the chain with the most effects is
taken.  What crosses it is left to one dense Schur complement.

Held by tests/likelihood/elimination/test_eliminate.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from multilevel.array_types import IntVector


@dataclass(frozen=True, slots=True)
class EliminationPlan:
    """Order of elimination.

    Parameters
    ----------
    chain : tuple of int
        Factors eliminated block by block, finest first.
    parents : {(c, b): (J_c,)}
        For chain factors c finer than b, the level of b that holds each level of c.
    rest : tuple of int
        Factors of the dense Schur complement, in the order of its columns.
    offsets : tuple of int
        First column of each rest factor, and last the number m of columns; effect s
        of level j has column offset + j S + s.
    """

    chain: tuple[int, ...]
    parents: Mapping[tuple[int, int], IntVector]
    rest: tuple[int, ...]
    offsets: tuple[int, ...]


class LevelPairs(Protocol):
    """The pairs of levels of two factors that occur together, sorted."""

    @property
    def rows(self) -> IntVector:
        """Level of the first factor, (n_pairs,)."""

    @property
    def cols(self) -> IntVector:
        """Level of the second factor, (n_pairs,)."""


def elimination_plan(
    sizes: Sequence[int],
    levels: Sequence[int],
    pairs: Mapping[tuple[int, int], LevelPairs],
) -> EliminationPlan:
    """Choose the chain with the most effects.

    Parameters
    ----------
    sizes, levels : S and J of each grouping factor
    pairs : {(k, l): LevelPairs}, k < l
    """
    nested = _nested_pairs(pairs, levels)
    effects = [s * j for s, j in zip(sizes, levels, strict=True)]
    chain = _heaviest_chain(nested, effects)
    rest = tuple(k for k in range(len(sizes)) if k not in chain)
    offsets = np.cumsum([0] + [effects[k] for k in rest]).tolist()
    parents = {
        (c, b): nested[c, b] for i, c in enumerate(chain) for b in chain[i + 1 :]
    }
    return EliminationPlan(
        chain=chain, parents=parents, rest=rest, offsets=tuple(offsets)
    )


def _nested_pairs(
    pairs: Mapping[tuple[int, int], LevelPairs], levels: Sequence[int]
) -> dict[tuple[int, int], IntVector]:
    """Parents of child levels for every ordered pair (child, parent) that nests."""
    nested: dict[tuple[int, int], IntVector] = {}
    for (k, m), pair in pairs.items():
        if len(pair.rows) == levels[k]:
            nested[k, m] = pair.cols
        elif len(pair.rows) == levels[m]:
            parents = np.empty(levels[m], dtype=np.intp)
            parents[pair.cols] = pair.rows
            nested[m, k] = parents
    return nested


def _heaviest_chain(
    nested: Mapping[tuple[int, int], IntVector], effects: Sequence[int]
) -> tuple[int, ...]:
    # Grouping factors are few: every chain is looked at.
    best: tuple[int, ...] = ()
    stack: list[tuple[int, ...]] = [(k,) for k in range(len(effects))]
    while stack:
        chain = stack.pop()
        if sum(effects[k] for k in chain) > sum(effects[k] for k in best):
            best = chain
        # Nested both ways (the same grouping twice): the index breaks the tie.
        stack += [
            (*chain, k)
            for k in range(len(effects))
            if (chain[-1], k) in nested and all((c, k) in nested for c in chain)
        ]
        stack = [c for c in stack if len(set(c)) == len(c)]
    return best
