"""A line on standard error while something takes longer than a second.

Held by tests/cli/test_progress.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def announced(what: str, stream: TextIO, *, patience: float = 1.0) -> Iterator[None]:
    """Tell on `stream` that `what` is under way, if the body takes long.

    A terminal sees the seconds count and the line vanish at the end; a file or a
    pipe gets one line.

    Parameters
    ----------
    what : str
        For example ``"fitting 73,421 rows"``.
    stream : text stream
    patience : float
        Seconds until the first sign.
    """
    finished = threading.Event()
    teller = threading.Thread(
        target=_tell_until, args=(finished, what, stream, patience), daemon=True
    )
    teller.start()
    try:
        yield
    finally:
        finished.set()
        teller.join()


def _tell_until(
    finished: threading.Event, what: str, stream: TextIO, patience: float
) -> None:
    start = time.monotonic()
    if finished.wait(patience):
        return
    if not stream.isatty():
        print(f"{what} ...", file=stream, flush=True)
        return
    told = ""
    while not finished.wait(0.2):
        told = f"{what} ... {time.monotonic() - start:.0f} s"
        print(f"\r{told}", end="", file=stream, flush=True)
    print("\r" + " " * len(told) + "\r", end="", file=stream, flush=True)
