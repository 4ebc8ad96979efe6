"""Names for the array types that the annotations use.

Held by tests/test_layers.py.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
FloatVector: TypeAlias = NDArray[np.float64]
FloatMatrix: TypeAlias = NDArray[np.float64]
IntVector: TypeAlias = NDArray[np.intp]
SmallIntVector: TypeAlias = NDArray[np.int32]
BoolVector: TypeAlias = NDArray[np.bool_]
