"""The results object of a linear mixed model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from patsy import dmatrix
from statsmodels.base.model import LikelihoodModelResults
from statsmodels.stats.anova import anova_lm

import multilevel as ml
from multilevel.errors import (
    ComparisonError,
    DataError,
    FitError,
    RankDeficiencyWarning,
)

SLOPES = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep():
    return ml.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def result(sleep):
    return ml.mixedlm(SLOPES, sleep).fit()


@pytest.fixture(scope="module")
def aliased(sleep):
    with pytest.warns(RankDeficiencyWarning, match="I"):
        model = ml.mixedlm("Reaction ~ Days + I(2 * Days) + (1 | Subject)", sleep)
    return model.fit()


def test_what_fit_returns_is_a_statsmodels_results_object(result):
    assert isinstance(result, ml.MixedLMResults)
    assert isinstance(result, LikelihoodModelResults)
    assert isinstance(result._results.params, np.ndarray)


def test_vectors_carry_names(result):
    for name in ("params", "bse", "tvalues", "pvalues", "ddf", "fe_params", "bse_fe"):
        assert list(getattr(result, name).index) == ["Intercept", "Days"], name
    assert list(result.cov_params().columns) == ["Intercept", "Days"]
    assert result.fittedvalues.index.equals(result.model.design.index)


def test_published_estimates(result):
    # lme4 1.1 and lmerTest 3.1 on R 4.2
    assert_allclose(result.params, [251.4051048, 10.4672860], rtol=1e-7)
    assert_allclose(result.bse, [6.824557, 1.545790], rtol=1e-5)
    assert_allclose(result.ddf, [17.0, 17.0], rtol=1e-6)
    assert_allclose(result.pvalues, [1.170888e-17, 3.263788e-06], rtol=1e-4)


def test_fit_statistics(result):
    assert result.criterion == "REML"
    assert result.deviance == -2 * result.llf
    assert_allclose(result.aic, result.deviance + 12)
    assert_allclose(result.bic, result.deviance + 6 * np.log(180))
    assert_allclose(result.aicc, result.aic + 2 * 6 * 7 / 173)
    assert (result.nobs, result.df_model, result.df_resid) == (180, 6, 174)
    assert result.ngroups == {"Subject": 18}
    assert result.n_dropped == 0
    assert result.scale == result.sigma**2
    assert result.converged
    assert not result.is_singular
    assert result.formula == SLOPES


def test_log_likelihood_contributions_add_up(sleep):
    result = ml.mixedlm(SLOPES, sleep).fit(reml=False)
    assert_allclose(result.llf_groups.sum(), result.llf, rtol=1e-12)
    assert list(result.llf_groups.index) == list(result.random_effects["Subject"].index)


@pytest.mark.parametrize("method", ["satterthwaite", "residual", "normal"])
def test_t_test_is_the_row_of_the_table(result, method):
    ours = result.with_ddf(method)
    for i, name in enumerate(ours.params.index):
        test = ours.t_test(f"{name} = 0")
        assert_allclose(test.pvalue, ours.pvalues.iloc[i], rtol=1e-9)
        assert_allclose(test.conf_int()[0], ours.conf_int().iloc[i], rtol=1e-9)
        assert_allclose(
            ours.f_test(f"{name} = 0").pvalue, ours.pvalues.iloc[i], rtol=1e-8
        )


def test_each_row_of_a_t_test_has_its_own_degrees_of_freedom():
    data = ml.datasets.load("hsb")
    result = ml.mixedlm("math ~ ses + meanses + (1 | school)", data).fit()
    test = result.t_test("ses = 0, meanses = 0")
    assert_allclose(test.df_denom, result.ddf.iloc[1:], rtol=1e-9)
    assert np.ptp(test.df_denom) > 1000


def test_hypotheses_as_text_and_as_matrix_agree(result):
    by_text = result.t_test("Days = 10")
    by_matrix = result.t_test(([[0, 1]], [10]))
    assert_allclose(by_text.pvalue, by_matrix.pvalue)
    joint = result.f_test("Intercept = 250, Days = 10")
    assert joint.df_num == 2
    chi2 = result.wald_test("Intercept = 250, Days = 10", use_f=False)
    assert_allclose(chi2.statistic, 2 * joint.fvalue)


def test_redundant_rows_of_a_hypothesis_count_once(result):
    once = result.f_test(np.array([[0.0, 1.0]]))
    twice = result.f_test(np.array([[0.0, 1.0], [0.0, 2.0]]))
    assert twice.df_num == 1
    assert_allclose(twice.fvalue, once.fvalue)


def test_normal_f_test_is_chi_square(result):
    normal = result.with_ddf("normal")
    f_test = normal.f_test("Days = 0")
    assert_allclose(f_test.pvalue, normal.wald_test("Days = 0").pvalue)


def test_an_unknown_ddf_names_those_there_are(result):
    with pytest.raises(FitError, match="'satterthwaite', 'residual', 'normal'"):
        result.with_ddf("kenward-roger")


def test_with_ddf_leaves_the_result_alone(result):
    other = result.with_ddf("normal")
    assert np.isinf(other.ddf).all()
    assert_allclose(result.ddf, 17.0, rtol=1e-6)
    assert other.llf == result.llf


def test_aliased_columns_are_nan_and_the_rest_is_as_without_them(aliased, sleep):
    plain = ml.mixedlm("Reaction ~ Days + (1 | Subject)", sleep).fit()
    for name in ("params", "bse", "tvalues", "pvalues", "ddf"):
        values = getattr(aliased, name)
        assert np.isnan(values.iloc[2]), name
        assert_allclose(values.iloc[:2], getattr(plain, name), rtol=1e-9)
    assert np.isnan(aliased.conf_int().iloc[2]).all()
    assert_allclose(aliased.t_test("Days = 0").pvalue, plain.pvalues["Days"])
    assert_allclose(aliased.fittedvalues, plain.fittedvalues)
    assert_allclose(aliased.predict(sleep.head()), plain.predict(sleep.head()))
    test = aliased.t_test("I(2 * Days) = 0")
    assert np.isnan([test.effect[0], test.sd[0], test.pvalue, test.df_denom[0]]).all()


def test_fitted_values_and_residuals_add_up_to_the_response(result):
    total = result.fittedvalues + result.resid
    assert_allclose(total, result.model.endog)


def test_random_effects_and_coefficients(result):
    modes = result.random_effects["Subject"]
    # lme4's ranef
    assert_allclose(modes.loc["308"], [2.2585637, 9.1989722], rtol=1e-4)
    coefficients = result.coefficients["Subject"]
    assert_allclose(coefficients, modes + result.params, rtol=1e-12)
    assert result.random_effects_cov["Subject"].shape == (18, 2, 2)


def test_conditional_covariance_is_the_posterior_of_the_dense_model(result):
    design, fit = result.model.design, result.fit_record
    columns = design.terms[0].columns[design.factors[0].codes == 0]
    prior = fit.sigma**2 * fit.factors[0] @ fit.factors[0].T
    precision = np.linalg.inv(prior) + columns.T @ columns / fit.sigma**2
    expected = np.linalg.inv(precision)
    assert_allclose(result.random_effects_cov["Subject"][0], expected, rtol=1e-8)


def test_pooled_is_least_squares_on_the_same_rows(sleep):
    frame = sleep.assign(Days=sleep["Days"].where(sleep.index % 17 != 0))
    formula = "Reaction ~ Days + offset(3 * Days) + (1 | Subject)"
    with pytest.warns(ml.errors.DroppedRowsWarning):
        result = ml.mixedlm(formula, frame).fit()
    complete = frame.dropna()
    expected = np.polyfit(complete["Days"], complete["Reaction"], 1)[::-1] - [0, 3]
    assert_allclose(result.pooled.params, expected, rtol=1e-10)
    assert result.pooled.model.exog_names == ["Intercept", "Days"]
    assert result.pooled.nobs == result.nobs


def test_pooled_uses_prior_weights(sleep):
    result = ml.mixedlm(SLOPES, sleep, weights=1 + sleep["Days"]).fit(reml=False)
    by_hand = np.polyfit(
        sleep["Days"], sleep["Reaction"], 1, w=np.sqrt(1 + sleep["Days"])
    )
    assert_allclose(result.pooled.params, by_hand[::-1], rtol=1e-10)
    statistic = 2 * (result.llf - result.pooled.llf)
    assert_allclose(result.compare_pooled().statistic, statistic, rtol=1e-9)


def test_no_pooled_regression_without_fixed_effects(sleep):
    result = ml.mixedlm("Reaction ~ 0 + (1 | Subject)", sleep).fit()
    with pytest.raises(ComparisonError, match="no fixed effects"):
        _ = result.pooled
    assert result.compare_pooled().statistic > 0
    assert "LR test vs. linear model" in str(result.summary())


def test_residuals_of_every_kind(result, sleep):
    response = result.get_residuals("response")
    assert_allclose(response, result.resid)
    assert_allclose(result.get_residuals("scaled"), response / result.sigma)
    assert_allclose(result.get_residuals("quantile"), response / result.sigma)
    marginal = sleep["Reaction"] - 251.4051048 - 10.4672860 * sleep["Days"]
    assert_allclose(result.get_residuals("marginal"), marginal, rtol=1e-6)
    with pytest.raises(DataError, match="'studentized'"):
        result.get_residuals("studentized")


def test_pearson_residuals_are_weighted(sleep):
    result = ml.mixedlm(SLOPES, sleep, weights=1 + sleep["Days"]).fit()
    weighted = result.resid * np.sqrt(1 + sleep["Days"])
    assert_allclose(result.get_residuals("pearson"), weighted)
    assert_allclose(result.resid_pearson, weighted)


def test_variances_at_zero_are_reported_as_singular():
    data = ml.datasets.load("dyestuff2")
    with pytest.warns(ml.errors.SingularFitWarning):
        result = ml.mixedlm("Yield ~ 1 + (1 | Batch)", data).fit()
    assert result.is_singular
    assert result.optimization.boundary == {"sd(Intercept | Batch)": 0.0}
    test = result.compare_pooled()
    assert (test.statistic, test.pvalue) == (0.0, 1.0)


def test_a_result_prints_its_summary_and_has_a_short_form(result):
    assert str(result) == str(result.summary())
    assert repr(result) == (
        f"<MixedLMResults: {SLOPES}, REML, 180 rows, llf = -871.814>"
    )
    assert result._repr_html_().startswith("<div")


def test_statsmodels_tests_of_terms_are_of_whole_terms():
    result = ml.mixedlm("score ~ Machine + (1 | Worker)", _machines()).fit()
    table = result.wald_test_terms().table
    assert table.index.tolist() == ["Intercept", "Machine"]
    assert table["df_constraint"].tolist() == [1, 2]
    whole = result.f_test("Machine[T.B] = 0, Machine[T.C] = 0")
    # statsmodels 0.14 gives a column of objects.
    assert_allclose(float(table.loc["Machine", "pvalue"]), float(whole.pvalue))
    assert_allclose(float(table.loc["Machine", "df_denom"]), whole.df_denom)


def test_statsmodels_compares_the_levels_of_a_factor():
    result = ml.mixedlm("score ~ Machine + (1 | Worker)", _machines()).fit()
    pairs = result.t_test_pairwise("Machine").result_frame
    assert pairs.index.tolist() == ["B-A", "C-A", "C-B"]
    assert_allclose(pairs["coef"].iloc[:2], result.params.iloc[1:], rtol=1e-9)


def test_columns_of_arrays_are_terms_of_their_own(sleep):
    exog = pd.DataFrame({"const": 1.0, "Days": sleep.Days})
    groups = ml.RandomTerm(sleep.Subject, name="Subject")
    result = ml.MixedLM(sleep.Reaction, exog, random=[groups]).fit()
    assert result.model.data.model_spec is None
    table = result.wald_test_terms().table
    assert table.index.tolist() == ["const", "Days"]
    assert_allclose(table["pvalue"].astype(float), result.pvalues, rtol=1e-8)


def test_terms_are_tested_alike_after_loading(tmp_path):
    result = ml.mixedlm("score ~ Machine + (1 | Worker)", _machines()).fit()
    result.save(tmp_path / "fit.ml")
    loaded = ml.load(tmp_path / "fit.ml")
    expected = result.wald_test_terms().table.astype(float)
    pd.testing.assert_frame_equal(
        loaded.wald_test_terms().table.astype(float), expected
    )


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_anova_lm_says_what_to_use_instead(kind):
    result = ml.mixedlm("score ~ Machine + (1 | Worker)", _machines()).fit()
    with pytest.raises(FitError, match="wald_test_terms"):
        anova_lm(result, typ=kind)
    assert not hasattr(result, "ssr")


def test_design_info_knows_terms_of_interactions_and_of_no_intercept():
    data = _machines().assign(x=np.arange(54.0) % 7)
    for formula in ("score ~ Machine * x", "score ~ 0 + Machine:x + C(Worker)"):
        model = ml.mixedlm(formula + " + (1 | Worker:Machine)", data)
        theirs = dmatrix(formula.split("~")[1], data).design_info
        ours = model.data.design_info
        assert ours.column_names == theirs.column_names
        assert ours.term_name_slices == theirs.term_name_slices
        assert model.data.model_spec.column_names == ours.column_names
        for own, other in zip(
            ours.term_codings.values(), theirs.term_codings.values(), strict=True
        ):
            for a, b in zip(own, other, strict=True):
                matrices = zip(
                    a.contrast_matrices.values(),
                    b.contrast_matrices.values(),
                    strict=True,
                )
                for one, two in matrices:
                    assert_allclose(one.matrix, two.matrix)
    with pytest.raises(DataError, match="predict"):
        dmatrix(ours, data)


def test_terms_of_a_rank_deficient_model_are_tested_as_far_as_they_are_estimable():
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {
            "g": np.repeat(np.arange(24), 10),
            "f": rng.choice(list("abc"), 240),
            "h": rng.choice(list("uvw"), 240),
            "x": rng.normal(size=240),
        }
    )
    data = data[~((data.f == "c") & (data.h == "w"))].reset_index(drop=True)
    data["z"] = 2 * data.x + 1
    data["y"] = data.x + rng.normal(size=24)[data.g] + rng.normal(size=len(data))
    with pytest.warns(RankDeficiencyWarning):
        result = ml.mixedlm("y ~ f * h + x + z + (1 | g)", data).fit()
    table = result.wald_test_terms().table
    assert table["df_constraint"].tolist() == [1, 2, 2, 3, 1, 0]
    # lmerTest 3.1-3, contestMD of the same columns.
    assert_allclose(float(table.loc["f:h", "statistic"]), 0.06122384, rtol=1e-5)
    assert_allclose(float(table.loc["f:h", "df_denom"]), 181.1598, rtol=1e-3)
    assert np.isnan(float(table.loc["z", "pvalue"]))
    # b_x + 2 b_z does not depend on which of the two was left out.
    sum_of_both = result.t_test("x + 2 * z = 0")
    assert_allclose(sum_of_both.effect[0], result.params["x"], rtol=1e-9)
    assert result.f_test("x = 0, z = 0").df_num == 1
    assert np.isnan(result.t_test("x + z = 0").effect[0])
    limits = result.conf_int()
    assert limits.loc["z"].isna().all()
    assert limits.loc["x"].notna().all()


def _machines():
    return ml.datasets.load("machines")


def test_rows_keep_their_labels(sleep):
    frame = sleep.set_index(np.arange(180) + 1000)
    result = ml.mixedlm(SLOPES, frame).fit()
    assert result.resid.index[0] == 1000
    assert result.predict().index[-1] == 1179
    assert isinstance(result.get_residuals("scaled"), pd.Series)
