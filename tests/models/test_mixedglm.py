"""The generalized model object: families, responses, likelihoods, files."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.optimize import approx_fprime
from statsmodels.base.model import LikelihoodModel
from statsmodels.genmod import families
from statsmodels.genmod.families import links

import multilevel as ml
from multilevel.errors import (
    DataError,
    FitError,
    FractionalCountsWarning,
    SingularFitWarning,
)
from small_data import grouped_responses

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
KINDS = {
    "binomial": ("binary", "binomial"),
    "probit": ("binary", families.Binomial(link=links.Probit())),
    "poisson": ("count", "poisson"),
    "negativebinomial": ("overdispersed", "negativebinomial"),
    "known alpha": ("overdispersed", families.NegativeBinomial(alpha=0.5)),
    "gamma": ("positive", families.Gamma(link=links.Log())),
    "inversegaussian": ("wald", families.InverseGaussian(link=links.Log())),
    "gaussian": ("normal", "gaussian"),
}


@pytest.fixture(scope="module")
def cbpp():
    return ml.datasets.load("cbpp")


@pytest.fixture(scope="module")
def data():
    return grouped_responses()


def model_of(kind, data, random="(1 | g)"):
    response, family = KINDS[kind]
    return ml.mixedglm(f"{response} ~ x + {random}", data, family=family)


def test_is_a_statsmodels_likelihood_model(cbpp):
    model = ml.mixedglm(CBPP, cbpp, family="binomial")
    assert isinstance(model, LikelihoodModel)
    assert (model.nobs, model.df_model, model.df_resid) == (56, 3, 52)
    assert model.family.name == "binomial"
    assert "56 rows" in repr(model)


@pytest.mark.parametrize("kind", KINDS)
def test_likelihood_at_the_estimates_is_that_of_the_fit(kind, data):
    model = model_of(kind, data)
    result = model.fit()
    params = result.full_params
    assert len(params) == result.df_model == 3 + len(model.family.shapes)
    assert_allclose(model.loglike(params), result.llf, rtol=1e-9)
    assert_allclose(model.score(params), 0.0, atol=2e-3)


@pytest.mark.parametrize("nagq", [1, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_score_and_hessian_are_derivatives(kind, data, nagq):
    model = model_of(kind, data)
    params = np.array([0.3, 0.4, 0.6, 1.3][: model.problem.n_parameters])

    def loglike(at):
        return model.loglike(at, nagq=nagq)

    score = model.score(params, nagq=nagq)
    steps = 1e-5
    numeric = [
        (loglike(params + steps * e) - loglike(params - steps * e)) / (2 * steps)
        for e in np.eye(len(params))
    ]
    assert_allclose(score, numeric, rtol=1e-5, atol=1e-5)
    hessian = model.hessian(params, nagq=nagq)
    forward = approx_fprime(params, lambda at: model.score(at, nagq=nagq), 1e-6)
    assert_allclose(hessian, forward, rtol=1e-3, atol=1e-3 * np.abs(hessian).max())
    assert_allclose(hessian, hessian.T)
    if nagq == 1:
        assert_allclose(model.information(params), -hessian)


def test_params_of_another_length_are_refused(data):
    with pytest.raises(ValueError, match="2 fixed effects, 1 covariance"):
        model_of("poisson", data).loglike([0.1, 0.2])


def test_a_fit_leaves_no_trace_on_the_model(cbpp):
    model = ml.mixedglm(CBPP, cbpp, family="binomial")
    first = model.fit()
    before = str(first.summary())
    second = model.fit(nagq=9)
    assert str(first.summary()) == before
    assert second.llf > first.llf
    assert_allclose(model.loglike(second.full_params, nagq=9), second.llf, rtol=1e-9)


# -- families ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "family",
    ["binomial", "Binomial", families.Binomial(), families.Binomial],
    ids=["name", "capital", "instance", "class"],
)
def test_ways_to_say_a_family(cbpp, family):
    model = ml.mixedglm(CBPP, cbpp, family=family)
    assert round(model.fit().llf, 4) == -92.0263


@pytest.mark.parametrize("family", ["quasi", "tweedie", 3, families.Tweedie()])
def test_unknown_families_are_refused_with_the_known_ones(cbpp, family):
    with pytest.raises(DataError, match=r"binomial, poisson, gamma, inversegaussian"):
        ml.mixedglm(CBPP, cbpp, family=family)


def test_an_instance_holds_the_dispersion_of_a_negative_binomial(data):
    held = model_of("known alpha", data).fit()
    free = model_of("negativebinomial", data).fit()
    assert held.dispersion == 2.0
    assert free.df_model == held.df_model + 1
    again = ml.mixedglm(
        "overdispersed ~ x + (1 | g)",
        data,
        family=families.NegativeBinomial(alpha=1.0 / free.dispersion),
    ).fit()
    assert_allclose(again.llf, free.llf, atol=1e-7)


# -- responses ----------------------------------------------------------------------


def test_forms_of_a_response_of_trials_agree(cbpp):
    wanted = ml.mixedglm(CBPP, cbpp, family="binomial").fit()
    forms = {
        "incidence + I(size - incidence) ~ period + (1 | herd)": None,
        "incidence / size ~ period + (1 | herd)": "size",
        "I(incidence / size) ~ period + (1 | herd)": cbpp["size"],
    }
    for formula, weights in forms.items():
        model = ml.mixedglm(formula, cbpp, family="binomial", weights=weights)
        result = model.fit()
        assert_allclose(result.llf, wanted.llf, atol=1e-9)
        assert_allclose(result.fittedvalues, wanted.fittedvalues, atol=1e-7)


def test_forms_of_a_response_of_two_classes_agree(data):
    forms = {
        "number": data["binary"],
        "boolean": data["binary"] == 1,
        "text": data["binary"].map({0: "no", 1: "yes"}),
        "category": pd.Categorical.from_codes(data["binary"], ["z", "a"]),
    }
    found = [
        ml.mixedglm("y ~ x + (1 | g)", data.assign(y=y), family="binomial").fit()
        for y in forms.values()
    ]
    for result in found[1:]:
        assert_allclose(result.params, found[0].params, atol=1e-7)
    # The success of a categorical is its second level.
    assert "P(y = a); the other value is z" in str(found[-1].summary())


def test_rows_of_one_trial_agree_with_counts(data):
    by_cell = data.assign(one=1).groupby(["g", "h"], as_index=False)
    cells = by_cell.agg(yes=("binary", "sum"), n=("one", "sum"))
    rows = ml.mixedglm("binary ~ 1 + (1 | g)", data, family="binomial").fit()
    counts = ml.mixedglm(
        "cbind(yes, n - yes) ~ 1 + (1 | g)", cells, family="binomial"
    ).fit()
    assert_allclose(counts.params, rows.params, atol=1e-6)
    assert_allclose(counts.bse, rows.bse, rtol=1e-5)


def test_case_weights_count_rows_several_times(data):
    times = np.tile([1, 2, 3], len(data))[: len(data)]
    repeated = data.loc[data.index.repeat(times)]
    kinds = ("poisson", "negativebinomial", "binomial")
    for response, family in (KINDS[kind] for kind in kinds):
        formula = f"{response} ~ x + (1 | g)"
        weighted = ml.mixedglm(formula, data, family=family, weights=times).fit()
        wanted = ml.mixedglm(formula, repeated, family=family).fit()
        assert_allclose(weighted.llf, wanted.llf, atol=1e-7)
        assert_allclose(weighted.params, wanted.params, atol=1e-6)


@pytest.mark.parametrize("family", ["poisson", "negativebinomial"])
def test_fractions_are_no_counts(data, family):
    rates = data.assign(count=data["count"] + np.where(data.index < 3, 0.25, 1e-10))
    with pytest.warns(
        FractionalCountsWarning,
        match=rf"'count' is no whole number in 3 of 130 rows \(for example "
        rf"{rates['count'][0]:g}\).*offset\(log\(exposure\)\)",
    ) as caught:
        ml.mixedglm("count ~ x + (1 | g)", rates, family=family)
    assert caught[0].filename == __file__
    term = ml.RandomTerm(data["g"])
    with pytest.warns(FractionalCountsWarning, match="3 of 130 rows"):
        ml.MixedGLM(rates["count"], rates[["x"]], [term], family=family)


def test_offsets_of_the_formula_and_of_the_argument_agree(data):
    exposed = data.assign(exposure=np.linspace(1, 4, len(data)))
    first = ml.mixedglm(
        "count ~ x + offset(log(exposure)) + (1 | g)", exposed, family="poisson"
    ).fit()
    second = ml.mixedglm(
        "count ~ x + (1 | g)", exposed, family="poisson",
        offset=np.log(exposed["exposure"]),
    ).fit()  # fmt: skip
    assert_allclose(second.params, first.params, rtol=1e-9)


@pytest.mark.parametrize(
    ("response", "family", "complaint"),
    [
        ("x", "poisson", "not negative"),
        ("x", "gamma", "must be positive"),
        ("count", "binomial", r"outside \[0, 1\]"),
        ("x", "binomial", r"outside \[0, 1\]"),
        ("h", "binomial", "has 6 values"),
        ("h", "poisson", "holds no numbers"),
    ],
)
def test_impossible_responses_are_refused(data, response, family, complaint):
    with pytest.raises(DataError, match=complaint):
        ml.mixedglm(f"{response} ~ 1 + (1 | g)", data, family=family).fit()


def test_arrays_and_formula_agree(data):
    wanted = ml.mixedglm("count ~ x + (1 | g)", data, family="poisson").fit()
    exog = np.column_stack([np.ones(len(data)), data["x"]])
    term = ml.RandomTerm(data["g"], name="g")
    result = ml.MixedGLM(data["count"], exog, [term], family="poisson").fit()
    assert_allclose(result.llf, wanted.llf, atol=1e-9)
    assert "x1" in result.params.index


# -- fitting --------------------------------------------------------------------------


def test_quadrature_needs_one_factor(data):
    model = ml.mixedglm("count ~ x + (1 | g) + (1 | h)", data, family="poisson")
    with pytest.raises(FitError, match=r"one grouping factor; this model has 2: g, h"):
        model.fit(nagq=5)


def test_start_from_an_earlier_result(data):
    model = model_of("negativebinomial", data)
    result = model.fit()
    again = model.fit(start=result.full_params)
    assert_allclose(again.llf, result.llf, atol=1e-8)
    with pytest.raises(FitError, match="start has shape"):
        model.fit(start=[1.0, 2.0])


def test_progress_goes_to_standard_error(data, capsys):
    model_of("poisson", data).fit(progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 2
    assert all(line.startswith("evaluation ") for line in lines)


def test_a_gaussian_family_is_the_linear_model(data):
    linear = ml.mixedlm("normal ~ x + (1 | g)", data).fit(reml=False)
    result = ml.mixedglm("normal ~ x + (1 | g)", data, family="gaussian").fit()
    assert_allclose(result.llf, linear.llf, atol=1e-7)
    assert_allclose(result.sigma, linear.sigma, rtol=1e-5)


def test_no_fixed_effects(data):
    result = ml.mixedglm("count ~ 0 + (1 | g)", data, family="poisson").fit()
    assert len(result.params) == 0
    assert result.df_model == 1


def test_a_singular_fit_says_so():
    rng = np.random.default_rng(1)
    flat = pd.DataFrame({"y": [0, 1] * 20, "g": np.arange(40) // 5})
    flat["x"] = rng.normal(size=40)
    with pytest.warns(SingularFitWarning, match=r"sd\(Intercept \| g\) = 0"):
        result = ml.mixedglm("y ~ x + (1 | g)", flat, family="binomial").fit()
    assert result.is_singular
    assert result.compare_pooled().statistic == pytest.approx(0.0, abs=1e-7)
    assert "The fit is singular" in str(result.summary())


# -- files ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_pickled_fits_come_back(kind, data, tmp_path):
    result = model_of(kind, data).fit()
    result.save(tmp_path / "fit")
    for again in (ml.load(tmp_path / "fit"), pickle.loads(pickle.dumps(result))):
        assert isinstance(again, ml.MixedGLMResults)
        assert str(again.summary()) == str(result.summary())
        assert_allclose(again.predict(data.head(3)), result.predict(data.head(3)))
        assert again.dispersion == result.dispersion


@pytest.mark.parametrize(
    ("response", "family"),
    [
        ("positive", families.Gamma(link=links.Power(power=0.3), check_link=False)),
        ("positive", families.Gamma(link=links.Power(power=0.5), check_link=False)),
        ("normal", families.Gaussian(link=links.Identity())),
        ("binary", families.Binomial(link=links.CLogLog())),
    ],
    ids=["power", "power with a name", "identity", "cloglog"],
)
def test_links_come_back(data, tmp_path, response, family):
    result = ml.mixedglm(f"{response} ~ 1 + (1 | g)", data, family=family).fit()
    result.save(tmp_path / "fit")
    again = ml.load(tmp_path / "fit")
    assert again.model.loglike(result.full_params) == result.model.loglike(
        result.full_params
    )


def test_a_link_of_ones_own_cannot_be_saved(data, tmp_path):
    class Half(links.Logit):
        """A logit under another name."""

    for link in (Half(), links.CDFLink(stats.t(5))):
        result = ml.mixedglm(
            "binary ~ x + (1 | g)", data, family=families.Binomial(link=link)
        ).fit()
        with pytest.raises(DataError, match=f"{type(link).__name__} is not one of"):
            result.save(tmp_path / "fit")
