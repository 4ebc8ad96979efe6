"""How many threads BLAS may use around a fit."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

from threadpoolctl import ThreadpoolController

SHARED_FROM = 3000
"""Columns of the dense block from which a second thread pays."""


@cache
def _controller() -> ThreadpoolController:
    # Finding the loaded libraries takes milliseconds; they do not change.
    return ThreadpoolController().select(user_api="blas")


def blas_threads(n_dense: int) -> AbstractContextManager[object]:
    """Hold BLAS to one thread unless the dense block is large enough to share.

    On a busy machine two threads were measured to be ten to forty times slower than
    one for small and middling factorizations.

    Parameters
    ----------
    n_dense : int
        Columns of the dense block.
    """
    if n_dense >= SHARED_FROM:
        return nullcontext()
    limited: AbstractContextManager[object] = _controller().limit(limits=1)
    return limited
