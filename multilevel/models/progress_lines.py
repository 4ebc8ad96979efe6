"""A line on standard error for each evaluation of a fit.

Held by tests/models/test_mixedlm.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


def progress_writer() -> Callable[[int, float], None]:
    """A function that writes one line for each evaluation."""

    def write(evaluations: int, deviance: float) -> None:
        line = f"evaluation {evaluations}: deviance {deviance:.6f}"
        print(line, file=sys.stderr, flush=True)

    return write
