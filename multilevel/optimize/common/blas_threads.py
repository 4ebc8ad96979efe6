"""How many threads BLAS may use around a fit.

Held by tests/optimize/common/test_blas_threads.py.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

SHARED_FROM = 3000
"""Columns of the dense block from which a second thread pays."""


@cache
def _controller() -> ThreadpoolController:
    # Finding the loaded libraries takes milliseconds; they do not change.
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def _in_control() -> Iterator[None]:
    """Let this thread change the number of threads, whoever changed it before.

    threadpoolctl lets one thread at a time do so, the first that asked, and passes over
    what the others ask for without a word: the fit that ends last could not give back
    what the first one took. Nobody keeps control afterwards, so that a limit of the
    caller's own is lifted by the thread that set it.
    """
    _give_up_control()
    try:
        yield
    finally:
        _give_up_control()


def _give_up_control() -> None:
    for library in _controller().lib_controllers:
        # Not in earlier releases, where every thread's word counts.
        give_up = getattr(library, "clear_controlling_thread", None)
        if give_up is not None:
            give_up(force=True)


class _OneThread:
    """BLAS held to one thread while anybody asks for it.

    The number of threads belongs to the process, so fits in several Python threads
    share it: the first one lowers it, and the last one to leave puts back what the
    first one found, in whatever order they leave.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        # Reentrant, for a fit in a signal handler.
        self._lock = threading.RLock()
        self._users: set[object] = set()
        self._limiter: Any = None

    def enter(self, user: object) -> None:
        """Count one more user."""
        with self._lock:
            self._users.add(user)
            if self._limiter is None:
                with _in_control():
                    self._limiter = _controller().limit(limits=1)

    def leave(self, user: object) -> None:
        """Count one user less, if it was counted, and restore after the last."""
        with self._lock:
            self._users.discard(user)
            if not self._users and self._limiter is not None:
                limiter, self._limiter = self._limiter, None
                with _in_control():
                    limiter.restore_original_limits()

    def before_fork(self) -> None:
        """Wait until nobody is changing the count."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on, at one thread: OpenBLAS starts its threads again around a fork."""
        if self._users:
            with _in_control():
                _controller().limit(limits=1)
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Start anew: of the parent's threads only the one that forked is here."""
        limiter = self._limiter
        self._reset()
        if limiter is not None:
            with _in_control():
                limiter.restore_original_limits()


_ONE_THREAD = _OneThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_ONE_THREAD.before_fork,
        after_in_parent=_ONE_THREAD.after_fork_in_parent,
        after_in_child=_ONE_THREAD.after_fork_in_child,
    )


@contextmanager
def blas_threads(n_dense: int) -> Iterator[None]:
    """Hold BLAS to one thread unless the dense block is large enough to share.

    On a busy machine two threads were measured to be ten to forty times slower than
    one for small and middling factorizations. Fits may run in several Python threads
    at once: the threads there were come back when the last of them ends, however it
    ends.

    Parameters
    ----------
    n_dense : int
        Columns of the dense block.
    """
    if n_dense >= SHARED_FROM:
        yield
        return
    # An object, not a number: an interrupt at any line leaves the count right.
    user = object()
    try:
        _ONE_THREAD.enter(user)
        yield
    finally:
        _ONE_THREAD.leave(user)
