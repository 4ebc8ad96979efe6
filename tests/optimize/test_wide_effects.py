"""Random effects that are much wider than the link's unit, but finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import ConvergenceWarning, SingularFitWarning
from multilevel.results.mixedglm_results import MixedGLMResults

families, links = sm.families, sm.families.links


def _fit(response: str, family: Any, size: float) -> MixedGLMResults:
    """Groups whose offsets differ by 2 size, which their effects undo."""
    rng = np.random.default_rng(4)
    g, x = np.repeat(np.arange(20), 20), rng.normal(size=400)
    eta = 0.2 + 0.6 * x + 0.7 * rng.normal(size=20)[g]
    rows = {
        "count": rng.poisson(np.exp(eta)).astype(float),
        "yes": (rng.random(400) < 1.0 / (1.0 + np.exp(-eta))).astype(float),
        "positive": rng.gamma(4.0, np.exp(eta) / 4.0),
    }
    data = pd.DataFrame({"g": g, "x": x, "y": rows[response]})
    data["o"] = np.where(g % 2, -size, size)
    return ml.mixedglm("y ~ x + (1 | g)", data, family=family, offset="o").fit()


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.parametrize(
    ("response", "family", "sizes"),
    [
        ("count", "poisson", [50.0, 300.0]),
        ("count", "negativebinomial", [20.0, 50.0]),
        ("yes", "binomial", [20.0, 50.0, 300.0]),
        ("positive", families.Gamma(link=links.Log()), [50.0, 500.0]),
    ],
)
def test_wide_effects_that_the_data_tell_of_are_estimated(
    response: str, family: Any, sizes: list[float]
) -> None:
    for size in sizes:
        result = _fit(response, family, size)
        assert result.converged
        # The mean square of the groups' own intercepts, and its information.
        assert_allclose(result.theta[0], size, rtol=0.02)
        assert_allclose(result.bse["Intercept"], result.theta[0] / 20**0.5, rtol=0.01)
        at = np.asarray(result.full_params)
        assert_allclose(result.model.loglike(at), result.llf, atol=1e-6)
        assert np.isfinite(result.random_effects_cov["g"]).all()


def test_the_log_likelihood_of_negative_binomial_counts_is_never_positive() -> None:
    with pytest.warns((SingularFitWarning, ConvergenceWarning)):
        result = _fit("count", "negativebinomial", 500.0)
    for intercept in (0.0, 300.0, 1000.0):
        at = np.array([intercept, 0.5, 10.0, 2.0])
        assert result.model.loglike(at) < 0.0
        assert result.llf > result.model.loglike(at)
