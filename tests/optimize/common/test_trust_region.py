"""Steps of the trust region against brute force, and what the optimizer escapes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from multilevel.optimize.common.trust_region import trust_region_step


@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 6),
    definite=st.booleans(),
    stationary=st.booleans(),
    log_scale=st.floats(-6, 6),
    log_radius=st.floats(-2, 2),
)
def test_step_minimises_the_model_in_the_ball(
    seed: int,
    size: int,
    definite: bool,
    stationary: bool,
    log_scale: float,
    log_radius: float,
) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    hessian = (root @ root.T if definite else root + root.T) * 10.0**log_scale
    gradient = np.zeros(size) if stationary else rng.normal(size=size)
    radius = 10.0**log_radius
    step, predicted = trust_region_step(gradient, hessian, radius)

    def fall(s: np.ndarray) -> float:
        return float(-(gradient @ s + s @ hessian @ s / 2.0))

    assert np.linalg.norm(step) <= radius * 1.01
    np.testing.assert_allclose(predicted, fall(step), rtol=1e-6, atol=1e-12)
    trials = rng.normal(size=(200, size))
    trials *= radius / np.linalg.norm(trials, axis=1, keepdims=True)
    trials *= rng.random((200, 1)) ** (1.0 / size)
    best = max(fall(trial) for trial in trials)
    assert predicted >= best - 5e-3 * abs(best) - 1e-12
