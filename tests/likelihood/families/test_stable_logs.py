"""Log densities that lose no digits, against sixty-digit arithmetic."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from numpy.testing import assert_allclose

from multilevel.likelihood.families.stable_logs import size_core


def _exact(y: float, mean: float, size: float) -> float:
    with localcontext() as context:
        context.prec = 60
        Y, M, S = Decimal(y), Decimal(mean), Decimal(size)
        lead = Y * (M / Y).ln() if y else Decimal(0)
        return float(lead - (Y + S) * ((M + S) / (Y + S)).ln())


@pytest.mark.parametrize("y", [0.0, 1.0, 3.0, 100.0, 1e5, 1e10, 1e14])
@pytest.mark.parametrize("size", [1e-3, 1.0, 5.0, 1e4, 1e10])
def test_negative_binomial_densities_keep_their_digits(y: float, size: float) -> None:
    means = np.array([1e-6, 0.5, 3.0, 99.0, 1e4, 1.3e10, 0.8e14, 1e16])
    expected = [_exact(y, float(mean), size) for mean in means]
    found = size_core(np.full(len(means), y), means, size)
    assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
