"""Means over the random effects, against brute-force integration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import norm

import multilevel as ml
from multilevel.errors import DataError, FitError
from multilevel.likelihood.families.links import LINKS, power_link
from multilevel.prediction.marginal_mean import marginal_mean
from small_data import grouped_responses

EVERYWHERE = [link for link in LINKS.values() if link.mean_at_zero is None]


def integrated(link, eta, sd):
    """Adaptive integration in pieces around where the mean bends."""
    bend = np.clip(-eta / sd, -8.5, 8.5) if sd else 0.0
    pieces = sorted(
        {-9.0, bend - 1.0 / max(sd, 0.2), bend, bend + 1.0 / max(sd, 0.2), 9.0}
    )
    pieces = [p for p in pieces if -9.0 <= p <= 9.0]
    return sum(
        quad(
            lambda z: float(link.mean(np.array([eta + sd * z]))[0]) * norm.pdf(z),
            low, high, epsabs=1e-11, epsrel=1e-10, limit=300,
        )[0]
        for low, high in zip(pieces, pieces[1:], strict=False)
    )  # fmt: skip


@pytest.mark.parametrize("link", EVERYWHERE, ids=lambda link: link.name)
@given(
    eta=st.floats(-4, 4),
    sd=st.sampled_from([1e-6, 0.2, 1.0, 2.5]),
)
def test_agrees_with_integration(link, eta, sd):
    found = marginal_mean(link, np.array([eta]), np.array([sd**2])).mean
    assert_allclose(found, integrated(link, eta, sd), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", ["logit", "cloglog", "loglog", "cauchy"])
@pytest.mark.parametrize("sd", [8.0, 40.0])
def test_wide_random_effects(name, sd):
    link = LINKS[name]
    found = marginal_mean(link, np.array([-3.0, 5.0]), np.full(2, sd**2)).mean
    wanted = [integrated(link, eta, sd) for eta in (-3.0, 5.0)]
    assert_allclose(found, wanted, rtol=1e-7)


def test_rows_do_not_depend_on_their_company():
    rng = np.random.default_rng(0)
    eta, variance = rng.normal(size=500), rng.exponential(4.0, 500)
    variance[7] = 900.0
    found = marginal_mean(LINKS["logit"], eta, variance).mean
    alone = [
        marginal_mean(LINKS["logit"], eta[[i]], variance[[i]]).mean[0]
        for i in range(500)
    ]
    assert_allclose(found, alone, rtol=1e-10)


@pytest.mark.parametrize("power", [-1.0, -2.0, 0.3])
def test_a_mean_that_does_not_exist_is_refused(power):
    with pytest.raises(FitError, match="has no expectation"):
        marginal_mean(power_link(power), np.ones(1), np.ones(1))


@pytest.fixture(scope="module")
def data():
    return grouped_responses()


def test_predictions_integrate_slopes_of_several_factors(data):
    formula = "cbind(yes, size - yes) ~ x + (x || g) + (1 | h)"
    result = ml.mixedglm(formula, data, family="binomial").fit()
    new = data[["x"]].head(5)  # neither the groups nor the response
    found = result.predict(new, kind="marginal")
    slopes = result.cov_re["g"]
    variance = (
        slopes.loc["Intercept", "Intercept"]
        + new["x"] ** 2 * slopes.loc["x", "x"]
        + result.cov_re["h"].iloc[0, 0]
    )
    eta = result.predict(new, random="none", kind="link")
    wanted = [
        integrated(LINKS["logit"], e, v**0.5)
        for e, v in zip(eta, variance, strict=True)
    ]
    assert_allclose(found, wanted, rtol=1e-9)
    assert_allclose(result.predict(kind="marginal").head(5), found, rtol=1e-10)
    missing = new.assign(x=[1.0, np.nan, 0.5, 0.0, -1.0])
    gaps = result.predict(missing, kind="marginal").isna()
    assert gaps.tolist() == [False, True, False, False, False]


def test_marginal_means_take_no_list_of_factors(data):
    result = ml.mixedglm("count ~ x + (1 | g)", data, family="poisson").fit()
    with pytest.raises(DataError, match="integrates all random effects out"):
        result.predict(kind="marginal", random=["g"])
    with pytest.raises(DataError, match="use one of 'response', 'link', 'marginal'"):
        result.predict(kind="median")
