"""Covariance matrices near zero: where a test that has them at zero may move.

Held by tests/covariance/test_new_structure.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from multilevel.array_types import FloatMatrix


@dataclass(frozen=True, slots=True, eq=False)
class ConeBlock:
    """One of the cones whose sum is all covariance matrices near zero.

    Parameters
    ----------
    effects : tuple of int
        Positions of some effects of the term.
    ray : (k, k) or None, for these k effects
        None where any semidefinite matrix is possible, else the semidefinite matrix of
        which only multiples are.
    """

    effects: tuple[int, ...]
    ray: FloatMatrix | None = None

    @property
    def size(self) -> int:
        """Order of the semidefinite matrices that the cone is isomorphic to."""
        return len(self.effects) if self.ray is None else 1
