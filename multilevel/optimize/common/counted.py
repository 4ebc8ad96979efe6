"""How many evaluations a search has made, wherever in it they were asked for.

Held by tests/optimize/common/test_counted.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Evaluations:
    """A count that a whole search shares, so that nothing has to be added up.

    Parameters
    ----------
    on_step : callable, optional
        Told the number of evaluations and the value after each step.
    made : int
        Until now.
    """

    on_step: Callable[[int, float], None] | None = None
    made: int = 0

    def add(self, times: int = 1) -> None:
        """Some more were made."""
        self.made += times

    def tell(self, value: float) -> None:
        """Say that a step ended at a value."""
        if self.on_step is not None:
            self.on_step(self.made, value)
