"""Standard deviations and correlations from relative covariance factors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.covariance.registry import STRUCTURES
from multilevel.errors import DataError
from multilevel.inference.variance_components import VarianceComponents
from multilevel.inference.variance_parameters import VarianceParameters
from multilevel.inference.variance_terms import TermCovariance


@pytest.fixture(scope="module")
def sleep():
    return ml.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def correlated(sleep):
    return ml.mixedlm("Reaction ~ Days + (Days | Subject)", sleep).fit()


def term_of(theta, structure="us", k=2):
    theta = np.asarray(theta, dtype=float)
    factor = STRUCTURES[structure](k).factor(theta)
    return TermCovariance("g", tuple("ab")[:k], structure, theta, factor)


def test_tidy_frame_has_variances_then_correlations_then_the_residual(correlated):
    frame = correlated.variance_components.to_frame()
    assert list(frame.columns) == ["group", "effect1", "effect2", "vcov", "sdcor"]
    assert frame["group"].tolist() == ["Subject"] * 3 + ["Residual"]
    # as.data.frame(VarCorr(...)) of lme4
    assert_allclose(frame["sdcor"], [24.7404, 5.9221, 0.0656, 25.5918], rtol=2e-3)
    assert_allclose(frame["vcov"], [612.09, 35.07, 9.604, 654.94], rtol=2e-3)


def test_covariance_matrix_of_a_factor(correlated):
    covariance = correlated.variance_components.cov("Subject")
    factor = correlated.fit_record.factors[0]
    assert_allclose(covariance, correlated.scale * factor @ factor.T)
    assert correlated.cov_re["Subject"].equals(covariance)
    with pytest.raises(DataError, match="'Subject'"):
        correlated.variance_components.cov("School")


def test_independent_terms_on_one_factor_show_zero(sleep):
    formula = "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)"
    components = ml.mixedlm(formula, sleep).fit().variance_components
    covariance = components.cov("Subject")
    assert covariance.index.tolist() == ["Intercept", "Days"]
    assert covariance.loc["Intercept", "Days"] == 0.0
    assert len(components.to_frame()) == 3


def test_standard_errors_of_a_single_variance_agree_with_stata():
    data = ml.datasets.load("hsb")
    result = ml.mixedlm("math ~ 1 + (1 | school)", data).fit()
    frame = result.variance_components.to_frame(se=True)
    # Stata's mixed, reml: var(_cons) 8.614025 with standard error 1.078804
    assert_allclose(frame["vcov"].iloc[0], 8.614025, rtol=1e-5)
    se_of_variance = 2 * frame["sdcor"].iloc[0] * frame["se"].iloc[0]
    assert_allclose(se_of_variance, 1.078804, rtol=1e-3)


def test_limits_stay_inside_the_parameter_space(correlated):
    frame = correlated.variance_components.to_frame(se=True, alpha=1e-6)
    assert (frame["lower"].iloc[[0, 1, 3]] > 0).all()
    assert -1 < frame["lower"].iloc[2] < frame["upper"].iloc[2] < 1
    inside = (frame["lower"] < frame["sdcor"]) & (frame["sdcor"] < frame["upper"])
    assert inside.all()


def test_no_standard_error_on_the_boundary():
    data = ml.datasets.load("dyestuff2")
    with pytest.warns(ml.errors.SingularFitWarning):
        result = ml.mixedlm("Yield ~ 1 + (1 | Batch)", data).fit()
    frame = result.variance_components.to_frame(se=True)
    assert frame.loc[0, ["se", "lower", "upper"]].isna().all()
    assert frame.loc[1, ["se", "lower", "upper"]].notna().all()


@pytest.mark.parametrize("structure", ["us", "diag"])
@given(data=st.data())
def test_derivatives_are_those_of_the_printed_parameters(structure, data):
    m = STRUCTURES[structure](2).n_theta
    drawn = data.draw(arrays(float, m, elements=st.floats(0.2, 3.0)))
    sigma = data.draw(st.floats(0.1, 10.0))

    def printed(parameters):
        term = term_of(parameters[:-1], structure)
        rows = VarianceComponents((term,), parameters[-1]).components()
        return np.array([row.sdcor for row in rows])

    at = np.append(drawn, sigma)
    term = term_of(drawn, structure)
    parameters = VarianceParameters(
        roots=(term.relative_factor,),
        moves=(STRUCTURES[structure](2).jacobian(drawn),),
        covariance=np.eye(m + 1),
    )
    found = VarianceComponents((term,), sigma).slopes(parameters)
    for a, step in enumerate(1e-6 * at):
        shift = np.eye(len(at))[a] * step
        slope = (printed(at + shift) - printed(at - shift)) / (2 * step)
        assert_allclose(found[:, a], slope, rtol=1e-5, atol=1e-6)


@example(theta=np.full(3, 5e-324), sigma=1.0)
@given(theta=arrays(float, 3, elements=st.floats(-3, 3)), sigma=st.floats(0.01, 100))
def test_correlations_and_deviations_rebuild_the_covariance(theta, sigma):
    components = VarianceComponents((term_of(theta),), sigma)
    frame = components.to_frame()
    sd = frame["sdcor"].to_numpy()[:2]
    correlation = frame["sdcor"].iloc[2]
    covariance = components.cov("g").to_numpy()
    assert_allclose(sd**2, np.diag(covariance), rtol=1e-9, atol=1e-12)
    if sd.min() > 1e-6:
        assert_allclose(correlation * sd[0] * sd[1], covariance[0, 1], atol=1e-6)
        assert abs(correlation) <= 1


def test_names_are_those_of_confidence_intervals(correlated):
    names = [row.name for row in correlated.variance_components.components()]
    assert names == [
        "sd(Intercept | Subject)",
        "sd(Days | Subject)",
        "cor(Intercept, Days | Subject)",
        "sigma",
    ]


def test_prints_as_lme4_does(correlated):
    lines = str(correlated.variance_components).splitlines()
    assert lines[1].split() == ["Group", "Effect", "Variance", "Std.Dev.", "Corr"]
    assert lines[3].split() == ["Days", "35.07", "5.922", "0.07"]
    assert lines[4].split() == ["Residual", "654.94", "25.592"]
    assert correlated.variance_components._repr_html_().count("<tr>") == 4


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
def test_three_effects_print_a_triangle_of_correlations(sleep):
    frame = sleep.assign(late=(sleep["Days"] > 4).astype(float))
    result = ml.mixedlm("Reaction ~ Days + (Days + late | Subject)", frame).fit()
    lines = str(result.variance_components).splitlines()
    assert len(lines[4].split()) == 5
