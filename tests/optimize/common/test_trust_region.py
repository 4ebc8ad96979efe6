"""Steps of the trust region against brute force, and what the optimizer escapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.optimize.common.trust_region import minimize, trust_region_step


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


@dataclass(frozen=True)
class Told:
    """The function at one point."""

    value: float
    gradient: FloatVector
    hessian: FloatMatrix


# Values and slopes as they are met, whatever the point; every Hessian told is 1.
# Poor: the second step falls by a tenth of what was promised.
POOR = [(0.0, -0.5), (-0.125, -0.4), (-0.155, -0.1)]
REFUSED = [(0.0, -0.1), (-0.0095, -0.09), (1.0, 0.0)]


@pytest.mark.parametrize(
    ("met", "x"),
    [(POOR, [0.0, 0.5, 1.5, 1.6]), (REFUSED, [0.0, 0.1, 1.0, 0.19])],
    ids=["poor", "refused"],
)
def test_what_was_learnt_of_the_curvature_is_forgotten_after_a_bad_step(
    met: list[tuple[float, float]], x: list[float]
) -> None:
    """The third step is that of the Hessian told, not of the one learnt before."""
    asked: list[float] = []

    def objective(at: np.ndarray) -> Told:
        value, slope = met[min(len(asked), len(met) - 1)]
        asked.append(float(at[0]))
        return Told(value, np.array([slope]), np.eye(1))

    minimize(objective, np.zeros(1), exact_hessian=False, max_evaluations=4)
    assert_allclose(asked[:4], x, rtol=1e-6)
