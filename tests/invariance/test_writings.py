"""Every number is the same however the data and the formula are written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invariance.written_otherwise import (
    WRITINGS,
    Writing,
    fit,
    grouped_frame,
    numbers_of,
)
from numpy.testing import assert_allclose

# Small random designs often have a singular optimum: nothing to report.
pytestmark = pytest.mark.filterwarnings(
    "ignore::multilevel.errors.SingularFitWarning",
)
MODELS = {
    "slopes": ("y ~ {x} + {f} + ({x} | g)", "gaussian"),
    "slopes and crossed": ("y ~ {x} + {f} + ({x} | g) + (1 | h)", "gaussian"),
    "logistic": ("y ~ {x} + {f} + (1 | g)", "binomial"),
    "logistic slopes": ("y ~ {x} + {f} + ({x} | g)", "binomial"),
    "poisson crossed": ("y ~ {x} + {f} + (1 | g) + (1 | h)", "poisson"),
    "negative binomial": ("y ~ {x} + {f} + (1 | g)", "negativebinomial"),
    "gamma slopes": ("y ~ {x} + {f} + ({x} | g)", "gamma"),
}
# Where the likelihood is flat two optima agree to some 1e-4 of a standard error, and
# what is computed from them to not much more.
RELATIVE, ABSOLUTE = 5e-3, 2e-3


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Equal by name; the message names what differs."""
    assert set(found) == set(expected)
    for name, value in expected.items():
        size = float(np.nanmax(np.abs(np.where(np.isfinite(value), value, 0.0))))
        assert_allclose(
            found[name],
            value,
            rtol=RELATIVE,
            atol=ABSOLUTE * min(size, 1.0) + 1e-7,
            err_msg=name,
        )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("writing", WRITINGS)
@settings(max_examples=3)
@given(seed=st.integers(0, 200))
def test_numbers_do_not_depend_on_the_writing(
    model: str, writing: str, seed: int
) -> None:
    text, family = MODELS[model]
    frame = grouped_frame(seed, family)
    plain, other = Writing(), WRITINGS[writing]
    expected = numbers_of(fit(frame, text, plain, family), frame, plain)
    found = numbers_of(fit(frame, text, other, family), frame, other)
    assert_same(found, expected)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("writing", WRITINGS)
@settings(max_examples=2)
@given(seed=st.integers(0, 200))
def test_likelihood_ratios_do_not_depend_on_the_writing(
    model: str, writing: str, seed: int
) -> None:
    text, family = MODELS[model]
    frame = grouped_frame(seed, family)
    tests = []
    for way in (Writing(), WRITINGS[writing]):
        full = fit(frame, text, way, family)
        test = full.compare_pooled()
        tests.append((test.statistic, test.pvalue))
        if "({x} | g)" in text:
            fewer = text.replace("({x} | g)", "(1 | g)")
            test = full.compare_lr_test(fit(frame, fewer, way, family))
            tests[-1] += (test.statistic, test.pvalue)
    assert_allclose(tests[1], tests[0], rtol=RELATIVE, atol=2e-5)
