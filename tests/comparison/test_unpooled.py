"""Regressions of single groups against statsmodels, R's lmList and identities."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import (
    ComparisonError,
    DataError,
    DroppedRowsWarning,
    FormulaError,
    RankDeficiencyWarning,
)
from reference_cases import ReferenceCase, load_references
from strategies import grouped_frames, shifts_and_scales

LISTS = [case for case in load_references("inference") if case["type"] == "lmList"]


@pytest.fixture(scope="module")
def hsb() -> pd.DataFrame:
    return ml.datasets.load("hsb")


@pytest.fixture
def small() -> pd.DataFrame:
    """Groups a and b are ordinary; e has one response, f one x; c and d are small."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": list("aaabbbbccd") + ["e"] * 4 + ["f"] * 5})
    frame = frame.assign(x=rng.normal(size=19), y=rng.normal(size=19))
    frame.loc[frame["g"] == "e", "y"] = 2.0
    frame.loc[frame["g"] == "f", "x"] = 7.0
    return frame


@pytest.mark.reference
@pytest.mark.parametrize("case", LISTS, ids=lambda case: case.id)
def test_agrees_with_lmlist(case: ReferenceCase) -> None:
    fits, wanted = ml.unpooled(case.formula, case.frame()), case["result"]
    assert len(fits.groups) == wanted["n_groups"]
    assert_allclose(fits.params.loc[wanted["levels"]], wanted["coef"], rtol=1e-9)
    assert_allclose(fits.params.mean(), wanted["coef_mean"], rtol=1e-9)
    assert_allclose(fits.params.std(), wanted["coef_sd"], rtol=1e-9)
    sigma = fits.sigma.loc[wanted["levels"]]
    assert_allclose(sigma, wanted["sigma_per_group"], rtol=1e-9)
    assert_allclose(fits.pooled_sigma, wanted["pooled_sigma"], rtol=1e-10)
    assert fits.df_resid == wanted["pooled_df"]


@pytest.mark.reference
def test_limits_by_the_pooled_sigma_agree_with_nlme() -> None:
    # R 4.2.2, nlme: intervals(lmList(distance ~ age | Subject, Orthodont), pool = TRUE)
    case = next(case for case in LISTS if case["data"] == "Orthodont")
    limits = ml.unpooled("distance ~ age | Subject", case.frame()).conf_int(pool=True)
    wanted = [[10.35761, 23.54239], [-0.03729682, 1.137297]]
    assert_allclose(limits.loc["M16"], wanted, rtol=1e-6)


def test_agrees_with_looped_least_squares(hsb: pd.DataFrame) -> None:
    fits = ml.unpooled("math ~ minority + ses + (ses | school)", hsb)
    assert set(fits.excluded.values()) == {"rank-deficient: minority is constant"}
    limits, rest = fits.conf_int(), fits.resid
    for school, rows in hsb.groupby("school"):
        if school in fits.excluded:
            assert rest[rows.index].isna().all()
            continue
        own = smf.ols("math ~ minority + ses", rows).fit()
        assert_allclose(fits.params.loc[school], own.params, rtol=1e-10)
        assert_allclose(fits.bse.loc[school], own.bse, rtol=1e-10)
        assert_allclose(fits.sigma[school], np.sqrt(own.scale), rtol=1e-10)
        assert_allclose(fits.llf_groups[school], own.llf, rtol=1e-10)
        assert_allclose(limits.loc[school], own.conf_int(), rtol=1e-9, atol=1e-12)
        assert_allclose(rest[rows.index], own.resid, atol=1e-11)
        assert fits.nobs[school] == len(rows)


def test_weights_and_offsets_are_those_of_weighted_least_squares() -> None:
    data = ml.datasets.load("sleepstudy")
    data = data.assign(w=1.0 + data["Days"] % 3, shift=data["Days"] ** 2 / 7.0)
    fits = ml.unpooled("Reaction ~ Days | Subject", data, weights="w", offset="shift")
    for subject, rows in data.groupby("Subject"):
        moved = rows.assign(Reaction=rows["Reaction"] - rows["shift"])
        own = smf.wls("Reaction ~ Days", moved, weights=rows["w"]).fit()
        assert_allclose(fits.params.loc[subject], own.params, rtol=1e-10)
        assert_allclose(fits.bse.loc[subject], own.bse, rtol=1e-10)
        assert_allclose(fits.llf_groups[subject], own.llf, rtol=1e-10)
        fitted = own.fittedvalues + rows["shift"]
        assert_allclose(fits.fittedvalues[rows.index], fitted, rtol=1e-12)
        new = rows.drop(columns="Reaction")
        assert_allclose(fits.predict(new), fitted, rtol=1e-12)


def test_likelihood_is_that_of_one_model_with_a_variance_for_each_group() -> None:
    data = ml.datasets.load("sleepstudy")
    fits = ml.unpooled("Reaction ~ Days | Subject", data)
    variance = fits.ssr / fits.nobs
    own = variance.loc[data["Subject"]].to_numpy()
    dense = -0.5 * (np.log(2 * np.pi * own) + fits.resid**2 / own).sum()
    assert_allclose(fits.llf, dense, rtol=1e-12)
    assert fits.df_model == 18 * 3
    assert_allclose(fits.aic, -2 * dense + 2 * 54)
    assert_allclose(fits.bic, -2 * dense + 54 * np.log(180))
    assert_allclose(fits.pooled_sigma**2 * fits.df_resid, (fits.resid**2).sum())


@pytest.mark.parametrize(
    "formula", ["math ~ ses | school", "math ~ ses + (1 | school)"]
)
def test_the_short_form_is_the_same(hsb: pd.DataFrame, formula: str) -> None:
    fits = ml.unpooled(formula, hsb)
    full = ml.unpooled("math ~ ses + (ses | school)", hsb)
    pd.testing.assert_frame_equal(fits.params, full.params)
    assert fits.formula == formula


def test_columns_of_the_groups_are_left_out_with_the_reason(hsb: pd.DataFrame) -> None:
    fits = ml.unpooled("math ~ sector * ses + meanses + (ses | school)", hsb)
    plain = ml.unpooled("math ~ ses + (ses | school)", hsb)
    pd.testing.assert_frame_equal(fits.params, plain.params)
    assert fits.dropped["meanses"] == "constant within every school"
    assert "sector[T.Catholic]" in fits.dropped
    assert fits.dropped["sector[T.Catholic]:ses"].startswith("depends on the columns")
    assert "meanses, constant within every school" in str(fits).replace("\n", " ")


def test_every_group_is_fitted_or_has_a_reason(small: pd.DataFrame) -> None:
    fits = ml.unpooled("y ~ x + (1 | g)", small)
    assert list(fits.groups) == ["a", "b", "e"]
    assert fits.excluded == {
        "c": "too small: 2 rows for 2 coefficients and a residual variance",
        "d": "too small: 1 row for 2 coefficients and a residual variance",
        "f": "rank-deficient: x is constant",
    }
    # A group without error keeps its estimates, and says what it does to the rest.
    assert fits.sigma["e"] == 0.0
    assert np.isinf(fits.llf)
    assert "Fitted without error" in str(fits)
    assert "too small (2), rank-deficient (1)" in str(fits)


def test_aliased_columns_are_nan_and_change_nothing(small: pd.DataFrame) -> None:
    with pytest.warns(RankDeficiencyWarning):
        fits = ml.unpooled("y ~ x + I(2 * x) + (1 | g)", small)
    plain = ml.unpooled("y ~ x + (1 | g)", small)
    assert fits.params["I(2 * x)"].isna().all()
    assert fits.bse["I(2 * x)"].isna().all()
    pd.testing.assert_frame_equal(fits.params[["Intercept", "x"]], plain.params)
    assert_allclose(fits.predict(small.head(7)), plain.predict(small.head(7)))
    assert len(fits.to_frame()) == 6


def test_missing_rows_are_left_out(small: pd.DataFrame) -> None:
    small.loc[3, "x"] = np.nan
    with pytest.warns(DroppedRowsWarning):
        fits = ml.unpooled("y ~ x + (1 | g)", small)
    assert fits.nobs["b"] == 3
    assert 3 not in fits.resid.index
    with pytest.raises(DataError, match="missing"):
        ml.unpooled("y ~ x + (1 | g)", small, missing="raise")


def test_one_group_as_statsmodels_results(small: pd.DataFrame) -> None:
    fits = ml.unpooled("y ~ x + (1 | g)", small)
    own = fits.regression("b")
    assert_allclose(own.params, fits.params.loc["b"], rtol=1e-10)
    assert_allclose(own.bse, fits.bse.loc["b"], rtol=1e-10)
    with pytest.raises(DataError, match="x is constant"):
        fits.regression("f")
    with pytest.raises(DataError, match="there is no g 'new'"):
        fits.regression("new")


def test_predictions_of_new_rows(small: pd.DataFrame) -> None:
    fits = ml.unpooled("y ~ x + (1 | g)", small)
    new = pd.DataFrame({"x": [0.0, 1.0, np.nan], "g": ["a", "b", "a"]}, index=[7, 8, 9])
    found = fits.predict(new)
    assert_allclose(found[7], fits.params.loc["a", "Intercept"])
    assert_allclose(found[8], fits.params.loc["b"].sum())
    assert np.isnan(found[9])
    assert_allclose(fits.predict(), fits.fittedvalues)
    with pytest.raises(DataError, match="rank-deficient: x is constant"):
        fits.predict(pd.DataFrame({"x": [1.0], "g": ["f"]}))
    with pytest.raises(DataError, match="has not seen"):
        fits.predict(pd.DataFrame({"x": [1.0], "g": ["new"]}))
    lost = fits.predict(small, new_levels="missing")
    assert lost.isna().sum() == 8
    with pytest.raises(DataError, match="kind"):
        fits.predict(new, kind="marginal")


def test_one_of_several_factors_is_named() -> None:
    data = ml.datasets.load("penicillin")
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    with pytest.raises(ComparisonError, match="group='plate'"):
        ml.unpooled(formula, data)
    fits = ml.unpooled(formula, data, group="sample")
    assert_allclose(
        fits.params["Intercept"],
        data.groupby("sample", observed=True)["diameter"].mean(),
    )
    with pytest.raises(ComparisonError, match="no grouping factor"):
        ml.unpooled(formula, data, group="dish")


@pytest.mark.parametrize(
    ("formula", "error", "words"),
    [
        ("y ~ x", FormulaError, "no random term"),
        ("y ~ x || g", FormulaError, "parentheses"),
        ("y ~ 0 | g", ComparisonError, "nothing to fit"),
        ("y ~ x + I(x**2) + I(x**3) | g", ComparisonError, "none of the 6 groups"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    small: pd.DataFrame, formula: str, error: type[Exception], words: str
) -> None:
    rows = small[small["g"] != "e"] if "3" in formula else small
    with pytest.raises(error, match=words.replace("6", r"\d")):
        ml.unpooled(formula, rows)


def test_tables_in_text_and_html() -> None:
    fits = ml.unpooled("Reaction ~ Days | Subject", ml.datasets.load("sleepstudy"))
    assert "Pooled\nsigma 25.5918 on 144 df" in str(fits)
    assert "<table" in fits._repr_html_()
    assert "tabular" in fits.as_latex()
    tidy = fits.to_frame(pool=True)
    assert list(tidy.columns[-5:]) == ["df", "t", "pvalue", "lower", "upper"]
    assert (tidy["df"] == 144).all()
    assert_allclose(tidy["se"], fits.bse_pooled.to_numpy().ravel())
    covariances = np.diagonal(fits.cov_params, axis1=1, axis2=2)
    assert_allclose(np.sqrt(covariances), fits.bse)


def coverage(sd: np.ndarray, *, pool: bool) -> np.ndarray:
    """Whether limits hold the slope 1, for a group of 6 rows for each sd."""
    rng = np.random.default_rng(12)
    frame = pd.DataFrame({"g": np.repeat(np.arange(len(sd)), 6)})
    frame["x"] = rng.normal(size=len(frame))
    frame["y"] = frame["x"] + np.repeat(sd, 6) * rng.normal(size=len(frame))
    limits = ml.unpooled("y ~ x | g", frame).conf_int(pool=pool)
    own = limits.xs("x", level="effect")
    return ((own["lower"] < 1.0) & (own["upper"] > 1.0)).to_numpy()


@pytest.mark.parametrize("pool", [False, True])
def test_limits_hold_what_they_promise(pool: bool) -> None:
    error = np.sqrt(0.05 * 0.95 / 4000)
    assert abs(coverage(np.ones(4000), pool=pool).mean() - 0.95) < 3.0 * error
    halves = coverage(np.repeat([1.0, 3.0], 2000), pool=pool).reshape(2, -1)
    if pool:  # too wide for the quiet half, too narrow for the other
        assert halves[0].mean() > 0.99
        assert halves[1].mean() < 0.88
    else:
        assert_allclose(halves.mean(axis=1), 0.95, atol=3.0 * np.sqrt(2.0) * error)


def numbers(fits: Any) -> tuple[pd.Series, pd.Series, float]:
    return fits.params["x"], fits.sigma, fits.llf


@given(frame=grouped_frames(), x=shifts_and_scales(), y=shifts_and_scales())
def test_units_and_origins_do_not_matter(
    frame: pd.DataFrame, x: tuple[float, float], y: tuple[float, float]
) -> None:
    moved = frame.assign(x=x[0] + x[1] * frame["x"], y=y[0] + y[1] * frame["y"])
    slope, sigma, llf = numbers(ml.unpooled("y ~ x | group", frame))
    other = numbers(ml.unpooled("y ~ x | group", moved))
    # As many digits as the moved columns themselves have.
    lost = 1e-13 * (1.0 + abs(x[0]) / x[1] + abs(y[0]) / y[1])
    size = np.abs(slope).max() + sigma.max()
    assert_allclose(other[0] * x[1] / y[1], slope, rtol=1e-8, atol=1e3 * lost * size)
    assert_allclose(other[1] / y[1], sigma, rtol=1e-8, atol=1e2 * lost * size)
    wanted = llf - len(frame) * np.log(y[1])
    worst = lost * size / sigma.min()
    assert_allclose(other[2], wanted, rtol=1e-8, atol=1e3 * len(frame) * worst)


@given(frame=grouped_frames(), seed=st.integers(0, 99))
def test_order_and_labels_do_not_matter(frame: pd.DataFrame, seed: int) -> None:
    rows = frame.sample(frac=1, random_state=seed)
    named = rows.assign(group=[f"z{99 - int(name[1:]):02}" for name in rows["group"]])
    fits, other = (ml.unpooled("y ~ x | group", d) for d in (frame, named))
    back = other.params[::-1].set_axis(fits.params.index)
    assert_allclose(back, fits.params, rtol=1e-9, atol=1e-11)
    assert_allclose(other.bse[::-1], fits.bse, rtol=1e-9)
    assert_allclose(other.resid.sort_index(), fits.resid, atol=1e-10)
    assert_allclose(other.llf, fits.llf, rtol=1e-9)


@given(frame=grouped_frames())
def test_another_coding_is_the_same_fit(frame: pd.DataFrame) -> None:
    frame = frame.assign(f=np.where(np.arange(len(frame)) % 2, "u", "v"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fits = ml.unpooled("y ~ f | group", frame)
        other = ml.unpooled("y ~ C(f, Sum) | group", frame)
    assert fits.excluded.keys() == other.excluded.keys()
    assert_allclose(other.fittedvalues, fits.fittedvalues, atol=1e-12)
    assert_allclose(other.llf, fits.llf, rtol=1e-9)
