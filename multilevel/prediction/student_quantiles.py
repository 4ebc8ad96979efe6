"""How far limits reach, in standard errors.

Held by tests/prediction/test_limits_of_means.py.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, stdtrit

from multilevel.array_types import FloatVector
from multilevel.option_values import as_tail_share


def two_sided_quantiles(df: FloatVector, alpha: float) -> FloatVector:
    """Student's t that is exceeded on either side with probability alpha, (n,).

    Parameters
    ----------
    df : (n,)
        Infinite ones give the normal distribution.
    alpha : float

    Examples
    --------
    >>> import numpy as np
    >>> two_sided_quantiles(np.array([10.0, np.inf]), 0.05).round(3)
    array([2.228, 1.96 ])
    """
    upper = 1.0 - as_tail_share(alpha) / 2.0
    return np.where(np.isinf(df), ndtri(upper), stdtrit(df, upper))
