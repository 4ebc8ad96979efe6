"""Second derivatives in theta: exact ones, and differences that agree with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.array_types import FloatVector
from multilevel.likelihood.linear.theta_derivatives import (
    theta_derivatives,
    theta_gradient,
)
from multilevel.optimize.common.differences import difference_hessian
from multilevel.optimize.linear.fit import fit_lmm
from multilevel.optimize.linear.joint_likelihood import hessian, score
from multilevel.optimize.linear.theta_hessian import theta_scales

MODELS = {
    "one factor": ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    "crossed": ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
}


def _small_residuals() -> pd.DataFrame:
    """Crossed effects hundreds of times as large as the residuals."""
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 220, 1200), rng.integers(0, 40, 1200)
    x = rng.normal(size=1200)
    y = x + 1000 * rng.normal(size=220)[a] + 500 * rng.normal(size=40)[b]
    return pd.DataFrame({"a": a, "b": b, "x": x, "y": y + rng.normal(size=1200)})


@pytest.mark.parametrize("name", MODELS)
def test_extrapolated_differences_agree_with_the_exact_hessian(name: str) -> None:
    data, formula = MODELS[name]
    problem = ml.mixedlm(formula, ml.datasets.load(data)).problem
    fit = fit_lmm(problem)
    theta, working = fit.working_theta, problem.working
    point = problem.point(working.lams(theta), reml=True)

    def gradient(at: FloatVector) -> FloatVector:
        moved = problem.point(working.lams(at), reml=True)
        return theta_gradient(moved, working, at)

    scales = theta_scales(point, working, theta)
    exact = theta_derivatives(point, working, theta).hessian
    found = difference_hessian(gradient, theta, scales)
    units = np.outer(scales, scales)
    assert_allclose(found * units, exact * units, atol=1e-9)


def test_steps_of_differences_follow_the_size_of_the_effects() -> None:
    model = ml.mixedlm("y ~ x + (1 | a) + (1 | b)", _small_residuals())
    assert not model.problem.prepared.has_exact_hessian
    components = model.fit().variance_components.to_frame(se=True)
    # Standard deviations of 220 and of 40 effects that are as good as observed.
    relative = components["se"] / components["sdcor"]
    assert_allclose(relative[:2], [(2 * 219) ** -0.5, (2 * 39) ** -0.5], rtol=1e-3)
    assert_allclose(relative[2], (2 * (1200 - 220 - 40)) ** -0.5, rtol=1e-3)


def _extrapolated_differences(model: ml.MixedLM, params: FloatVector) -> np.ndarray:
    out = []
    for a, value in enumerate(params):
        steps = 1e-3 * abs(value) * np.eye(len(params))[a]
        wide, narrow = (
            (
                score(model.problem, params + h * steps)
                - score(model.problem, params - h * steps)
            )
            / (2 * h * steps[a])
            for h in (1.0, 0.5)
        )
        out.append((4.0 * narrow - wide) / 3.0)
    return np.array(out)


@pytest.mark.parametrize("away", [0.5, 1.0, 1.8])
@pytest.mark.parametrize("name", [*MODELS, "small residuals"])
def test_hessian_of_all_parameters_holds_away_from_the_optimum(
    name: str, away: float
) -> None:
    if name in MODELS:
        data, formula = ml.datasets.load(MODELS[name][0]), MODELS[name][1]
    else:
        data, formula = _small_residuals(), "y ~ x + (1 | a) + (1 | b)"
    model = ml.mixedlm(formula, data)
    params = away * np.asarray(model.fit(reml=False).full_params)
    found = hessian(model.problem, params)
    expected = _extrapolated_differences(model, params)
    units = np.sqrt(np.abs(np.diag(expected)))
    assert_allclose(
        found / np.outer(units, units), expected / np.outer(units, units), atol=1e-4
    )


def test_a_parameter_without_any_information_has_a_scale() -> None:
    data, formula = MODELS["one factor"]
    problem = ml.mixedlm(formula, ml.datasets.load(data)).problem
    point = problem.point(problem.working.lams(np.zeros(3)), reml=True)
    nothing = replace(point, D=np.zeros_like(point.D), E=np.zeros_like(point.E))
    scales = theta_scales(nothing, problem.working, np.zeros(3))
    assert_allclose(scales, 10.0)
