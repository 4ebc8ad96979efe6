"""The Python namespace of whoever called this package.

Held by tests/design/test_fixed_columns.py and tests/models/test_mixedlm.py.
"""

from __future__ import annotations

import os
import sys
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path

_PACKAGE_FOLDER = str(Path(__file__).parents[1]) + os.sep


def caller_namespace() -> Mapping[str, object]:
    """Local and global names at the nearest line outside this package.

    Returns
    -------
    mapping
        From which a formula takes functions and modules, nothing else.

    Examples
    --------
    >>> def double(x):
    ...     return 2 * x
    >>> "double" in caller_namespace()
    True
    """
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(_PACKAGE_FOLDER):
        frame = frame.f_back
    return ChainMap(frame.f_locals, frame.f_globals)
