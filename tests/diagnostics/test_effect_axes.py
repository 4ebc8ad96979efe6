"""Principal axes of the random effects against R and eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from reference_cases import ReferenceCase, load_references
from small_data import balanced_groups, grouped_responses


@pytest.mark.reference
@pytest.mark.parametrize(
    "case",
    [case for case in load_references("inference") if case["type"] == "rePCA"],
    ids=lambda case: case.id,
)
def test_axes_agree_with_r(case: ReferenceCase) -> None:
    result = case.fitted()
    found = result.re_pca()
    assert list(found) == list(case["result"])
    for factor, expected in case["result"].items():
        table = found[factor]
        assert list(table.columns) == ["sd", "proportion"]
        assert_allclose(table["proportion"], expected["proportion"], rtol=1e-4)
        # R's standard deviations are over sigma.
        assert_allclose(table["sd"] / result.sigma, expected["sdev"], rtol=1e-4)


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.parametrize("family", [None, "poisson"])
def test_axes_are_those_of_the_covariance(family: str | None) -> None:
    data = grouped_responses(1)
    if family is None:
        formula = "normal ~ x + (x | g) + (x || h)"
        result = ml.mixedlm(formula, data).fit()
    else:
        formula = "count ~ x + (x | g) + (1 | h)"
        result = ml.mixedglm(formula, data, family=family).fit()
    for factor, table in result.re_pca().items():
        values = np.linalg.eigvalsh(result.cov_re[factor])[::-1]
        assert_allclose(table["sd"] ** 2, values, rtol=1e-8, atol=1e-12)
        assert_allclose(table["proportion"], values / values.sum(), atol=1e-10)
        assert list(table.index) == [f"PC{i + 1}" for i in range(len(values))]


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
def test_a_singular_fit_has_axes_of_length_zero() -> None:
    data = balanced_groups(10, 6, between=0.8)
    data["x"] = np.tile([-1.0, -0.6, -0.2, 0.2, 0.6, 1.0], 10)
    result = ml.mixedlm("y ~ x + (x | g)", data).fit()
    assert result.is_singular
    sd, proportion = result.re_pca()["g"].loc["PC2"]
    assert sd < 1e-3
    assert proportion < 1e-6
    none = ml.mixedlm("y ~ 1 + (1 | g)", balanced_groups(8, 5, between=0.0)).fit()
    (row,) = none.re_pca()["g"].to_numpy()
    assert row[0] == 0.0
    assert np.isnan(row[1])
