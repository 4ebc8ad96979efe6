"""The log-likelihood in [beta, theta, sigma] and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from dense_likelihood import central_difference
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.models.mixedlm import MixedLM
from multilevel.optimize.linear.joint_likelihood import hessian, loglike, score

MODELS = {
    "one factor": ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    "crossed": ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
    "nested": ("pastes", "strength ~ 1 + (1 | batch / cask)"),
    "no fixed effects": ("sleepstudy", "Reaction ~ 0 + (Days || Subject)"),
}


def _model(name: str) -> MixedLM:
    data, formula = MODELS[name]
    return ml.mixedlm(formula, ml.datasets.load(data))


@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_maximum_at_the_estimates(name: str) -> None:
    model = _model(name)
    result = model.fit(reml=False)
    params = np.asarray(result.full_params)
    assert_allclose(loglike(model.problem, params), result.llf, rtol=1e-12)
    curvature = np.diag(hessian(model.problem, params))
    # In units of each parameter's standard deviation.
    assert_allclose(score(model.problem, params) / np.sqrt(-curvature), 0.0, atol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_score_and_hessian_are_the_differences(name: str) -> None:
    model = _model(name)
    params = np.asarray(model.fit(reml=False).full_params) * 1.05 + 0.01
    ours = score(model.problem, params)
    slopes = central_difference(lambda x: loglike(model.problem, x), params, 1e-5)
    assert_allclose(ours, slopes, rtol=1e-5, atol=1e-6 * np.abs(ours).max())
    curvature = hessian(model.problem, params)
    assert_allclose(curvature, curvature.T)
    differences = central_difference(lambda x: score(model.problem, x), params, 1e-5)
    assert_allclose(
        curvature, differences, rtol=1e-4, atol=1e-6 * np.abs(curvature).max()
    )


def test_params_of_the_wrong_length_are_refused() -> None:
    model = _model("one factor")
    with pytest.raises(ValueError, match="2 fixed effects, 3 covariance parameters"):
        loglike(model.problem, np.ones(4))
