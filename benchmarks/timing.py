"""Time several calls in turn, so that a machine's moods fall on all of them alike."""

from __future__ import annotations

import gc
import statistics
import time
import warnings
from collections.abc import Callable, Mapping

import numpy as np


def alternate(
    calls: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, tuple[float, float]]:
    """Median seconds and last value of each call, after one warm-up round."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    values: dict[str, float] = {}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            gc.collect()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                began = time.perf_counter()
                values[name] = call()
                taken = time.perf_counter() - began
            if turn:
                seconds[name].append(taken)
    return {name: (statistics.median(seconds[name]), values[name]) for name in calls}


def exponent(sizes: list[float], seconds: list[float]) -> float:
    """Slope of log seconds on log size: 1 for linear growth."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def text_table(header: list[str], rows: list[list[str]]) -> str:
    """A reStructuredText list table."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [header, *rows]:
        for position, cell in enumerate(row):
            lines.append(("   * - " if position == 0 else "     - ") + cell)
    return "\n".join(lines) + "\n"
