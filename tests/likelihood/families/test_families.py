"""Row likelihoods: derivatives, constants, tails and refusals, family by family."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.genmod.families as sm_families
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.genmod.families import links as sm_links

from generalized_cases import FAMILY_LINKS, draw_rows, safe_eta
from multilevel.errors import DataError, FitError
from multilevel.likelihood.families import stable_logs
from multilevel.likelihood.families.registry import family_of, link_of
from multilevel.likelihood.families.traits import bind_rows

STEP = 1e-5
SEEDS = st.integers(0, 2**32 - 1)


SHAPES = np.array([0.3])  # of families that have one; the others do not look


def central(function, at):
    return (function(at + STEP) - function(at - STEP)) / (2.0 * STEP)


def assert_derivative(analytic, numeric):
    scale = max(1.0, float(np.abs(analytic).max(initial=0.0)))
    assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize(("family", "link"), FAMILY_LINKS)
@given(seed=SEEDS)
def test_derivatives_in_eta(family, link, seed):
    rng = np.random.default_rng(seed)
    eta = safe_eta(rng, link, 12)
    rows = draw_rows(rng, family, link, eta)

    def log_p(at):
        return rows.density(at, SHAPES)[0]

    terms = rows.terms(eta, SHAPES)
    assert_allclose(terms.total, log_p(eta).sum(), rtol=1e-12, atol=1e-10)
    assert_allclose(rows.density(eta, SHAPES)[1], terms.score, rtol=1e-12)
    assert_derivative(terms.score, central(log_p, eta))
    assert_derivative(
        terms.weight, -central(lambda e: rows.terms(e, SHAPES).score, eta)
    )
    weights = central(lambda e: rows.terms(e, SHAPES).weight, eta)
    assert_derivative(rows.third(eta, SHAPES), weights)


WITH_DISPERSION = [
    (family, link)
    for family, link in FAMILY_LINKS
    if family not in ("binomial", "poisson")
]


@pytest.mark.parametrize(("family", "link"), WITH_DISPERSION)
@given(seed=SEEDS, shape=st.sampled_from([-3.0, 0.0, 1.5, 8.0]))
def test_derivatives_in_the_shape(family, link, seed, shape):
    rng = np.random.default_rng(seed)
    eta, shapes = safe_eta(rng, link, 12), np.array([shape])
    rows = draw_rows(rng, family, link, eta)

    def log_p(at):
        return rows.density(eta, at)[0] + rows.normalizer(at)

    slopes = rows.shape_terms(eta, shapes)
    (by_row,) = rows.shape_density(eta, shapes)
    assert_derivative(by_row, central(log_p, shapes))
    assert_allclose(slopes.total, [by_row.sum()], rtol=1e-10, atol=1e-10)
    scores = central(lambda at: rows.terms(eta, at).score, shapes)
    assert_derivative(slopes.score, [scores])
    weights = central(lambda at: rows.terms(eta, at).weight, shapes)
    assert_derivative(slopes.weight, [weights])


def expected_log_p(family, y, weights, mean, phi):
    """scipy's log densities with all their constants.

    Weights are trials, case weights of counts, else prior weights.
    """
    own = phi / weights
    if family == "binomial":
        return stats.binom.logpmf(np.round(y * weights), weights, mean)
    densities = {
        "poisson": lambda: stats.poisson.logpmf(y, mean),
        "negativebinomial": lambda: stats.nbinom.logpmf(y, phi, phi / (phi + mean)),
        "gamma": lambda: stats.gamma.logpdf(y, 1 / own, scale=mean * own),
        "gaussian": lambda: stats.norm.logpdf(y, mean, np.sqrt(own)),
        "inversegaussian": lambda: stats.invgauss.logpdf(y, mean * own, scale=1 / own),
    }
    times = weights if family in ("poisson", "negativebinomial") else 1.0
    return times * densities[family]()


@pytest.mark.parametrize(("family", "link"), FAMILY_LINKS)
@given(seed=SEEDS)
def test_log_likelihood_has_all_its_constants(family, link, seed):
    rng = np.random.default_rng(seed)
    eta = safe_eta(rng, link, 12)
    found = family_of(family, link)
    mean = np.asarray(found.link.mean(eta))
    weights = rng.integers(1, 6, 12).astype(float)
    y = rng.poisson(2.0, 12).astype(float)
    if family == "binomial":
        y = rng.binomial(weights.astype(int), 0.4) / weights
    elif family in ("gamma", "inversegaussian"):
        y = rng.gamma(2.0, size=12) + 0.05
    rows = bind_rows(found, y, weights)
    actual = rows.density(eta, SHAPES)[0] + rows.normalizer(SHAPES)
    expected = expected_log_p(family, y, weights, mean, np.exp(SHAPES[0]))
    assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


# link, eta, y; log p, l', w, w' by mpmath 1.3 with 400 digits.
TAILS = [
    ("logit", -40, 1, -40.0, 1.0, 4.248354255291589e-18, 4.2483542552915889e-18),
    ("logit", 36, 0, -36.0, -1.0, 2.3195228302435683e-16, -2.3195228302435672e-16),
    ("logit", -200, 1, -200.0, 1.0, 1.3838965267367375e-87, 1.3838965267367375e-87),
    (
        *("logit", 5, 1, -0.0067153484891180686, 0.0066928509242848556),
        *(0.0066480566707901549, -0.0065590677663225629),
    ),
    (
        *("probit", -5, 1, -15.064998393988726, 5.1865039671258421),
        *(0.96730356538288777, -0.0108257645063567),
    ),
    (
        *("probit", 40, 0, -804.60844201375379, -40.024968847207264),
        *(0.99937733162140861, 3.1017440396486248e-5),
    ),
    (
        *("probit", 5, 1, -2.8665161296376359e-7, 1.4867199409049057e-6),
        *(7.4336019148607112e-6, -3.568131173676705e-5),
    ),
    (
        *("probit", -200, 1, -20006.21728089819, 200.00499975003124),
        *(0.99997500374921895, -2.4992502342940935e-7),
    ),
    ("cloglog", -40, 1, -40.0, 1.0, 2.1241771276457945e-18, 2.1241771276457945e-18),
    (
        *("cloglog", -5, 1, -5.0033670818365183, 0.99663480982507476),
        *(0.0033614068560331543, 0.0033538402354252077),
    ),
    (
        *("cloglog", 2, 0, -7.3890560989306502, -7.3890560989306502),
        *(7.3890560989306502, 7.3890560989306502),
    ),
    (
        *("cloglog", 3, 1, -1.8921786966284627e-9, 3.8005425112356633e-8),
        *(7.2535394570773867e-7, -1.3080410198943996e-5),
    ),
    ("loglog", 40, 0, -40.0, -1.0, 2.1241771276457945e-18, -2.1241771276457945e-18),
    (
        *("loglog", 5, 0, -5.0033670818365183, -0.99663480982507476),
        *(0.0033614068560331543, -0.0033538402354252077),
    ),
    (
        *("loglog", -3, 0, -1.8921786966284627e-9, -3.8005425112356633e-8),
        *(7.2535394570773867e-7, 1.3080410198943996e-5),
    ),
]


@pytest.mark.parametrize("case", TAILS, ids=lambda case: f"{case[0]} {case[1]}")
def test_binomial_tails_keep_their_digits(case):
    link, at, y, log_p, score, weight, third = case
    eta = np.array([float(at)])
    rows = bind_rows(family_of("binomial", link), np.array([float(y)]), None)
    value, slope = rows.density(eta, SHAPES)
    assert_allclose(value, log_p, rtol=1e-14)
    assert_allclose(slope, score, rtol=1e-13)
    terms = rows.terms(eta, SHAPES)
    assert_allclose(terms.score, score, rtol=1e-13)
    assert_allclose(terms.weight, weight, rtol=1e-11)
    # Relative to w: where w is near one its own slope cancels.
    assert_allclose(rows.third(eta, SHAPES), third, rtol=1e-10, atol=1e-11 * weight)


@pytest.mark.parametrize("eta", [-38.0, 38.0])
def test_successes_that_were_certain_have_a_score_above_zero(eta):
    y = np.array([1.0 if eta > 0 else 0.0])
    for trials in (None, np.array([3.0])):
        rows = bind_rows(family_of("binomial"), y, trials)
        score = rows.terms(np.array([eta]), SHAPES).score / (trials or 1.0)
        assert_allclose(score, np.sign(eta) * np.exp(-38.0), rtol=1e-14)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "loglog", "cauchy"])
def test_nothing_overflows_far_out(link):
    eta = np.array([-1e6, -800.0, -40.0, 0.0, 40.0, 800.0, 1e6])
    for y in (0.0, 1.0):
        rows = bind_rows(family_of("binomial", link), np.full(7, y), None)
        terms = rows.terms(eta, SHAPES)
        assert np.isfinite(terms.score).all()
        assert (terms.weight[1:-1] >= 0).all() or link == "cauchy"
        assert np.isfinite(rows.third(eta, SHAPES)).all()
        assert not np.isnan(terms.total)


def test_negative_binomial_becomes_poisson_as_its_size_grows():
    rng = np.random.default_rng(0)
    y = rng.poisson(4.0, 30).astype(float)
    eta = rng.normal(1.0, 0.5, 30)
    poisson = bind_rows(family_of("poisson"), y, None)
    expected = poisson.density(eta, SHAPES)[0] + poisson.normalizer(SHAPES)
    rows = bind_rows(family_of("negativebinomial"), y, None)
    for log_size, tolerance in ((12.0, 1e-3), (20.0, 1e-6), (40.0, 1e-13)):
        shapes = np.array([log_size])
        actual = rows.density(eta, shapes)[0] + rows.normalizer(shapes)
        assert_allclose(actual, expected, rtol=tolerance)
        slopes = rows.shape_density(eta, shapes)
        assert_allclose(slopes, 0.0, atol=100.0 * np.exp(-log_size))


@pytest.mark.parametrize("size", [200.0, 230.0, 400.0])
def test_stirling_series_continue_the_direct_formulas(size, monkeypatch):
    y, mean = np.array([0.0, 1.0, 7.0, 40.0]), np.array([2.0, 1.0, 30.0, 38.0])
    series = [
        stable_logs.gamma_norm(size),
        stable_logs.gamma_norm_slope(size),
        stable_logs.size_slope(y, mean, size),
        stable_logs.size_norm(y, size),
    ]
    monkeypatch.setattr(stable_logs, "STIRLING_FROM", 1e9)
    direct = [
        stable_logs.gamma_norm(size),
        stable_logs.gamma_norm_slope(size),
        stable_logs.size_slope(y, mean, size),
        stable_logs.size_norm(y, size),
    ]
    for one, other in zip(series, direct, strict=True):
        assert_allclose(one, other, rtol=0, atol=2e-10 * size / 200)


def test_huge_counts_keep_their_digits():
    """The kernel at the mean is zero, not the difference of numbers like 1e9."""
    y = np.array([1e6, 3.0e8, 12.0])
    for family in ("poisson", "negativebinomial"):
        rows = bind_rows(family_of(family), y, None)
        assert_allclose(rows.density(np.log(y), np.array([2.0]))[0], 0.0, atol=1e-6)
    trials = np.array([1e6, 1e8, 2e3])
    shares = np.array([0.25, 0.001, 0.5])
    rows = bind_rows(family_of("binomial"), shares, trials)
    eta = np.log(shares / (1 - shares))
    assert_allclose(rows.density(eta, SHAPES)[0], 0.0, atol=1e-6)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
@pytest.mark.parametrize("link", ["logit", "probit", "log"])
@given(seed=SEEDS)
def test_merged_rows_have_the_same_likelihood(family, link, seed):
    if family == "poisson" and link != "log":
        return
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 4, 30)
    group[:4] = np.arange(4)
    by_group = safe_eta(rng, link, 4)
    rows = draw_rows(rng, family, link, by_group[group])
    merged = rows.merge(group, 4)
    for at in (by_group, 0.9 * by_group):
        whole = rows.terms(at[group], SHAPES)
        parts = merged.terms(at, SHAPES)
        total = whole.total + rows.normalizer(SHAPES).sum()
        again = parts.total + merged.normalizer(SHAPES).sum()
        assert_allclose(again, total, rtol=1e-11, atol=1e-9)
        scores = np.bincount(group, whole.score)
        assert_allclose(parts.score, scores, rtol=1e-9, atol=1e-10)
        assert_allclose(parts.weight, np.bincount(group, whole.weight), rtol=1e-9)


@pytest.mark.parametrize(
    ("instance", "name", "link"),
    [
        (sm_families.Binomial(), "binomial", "logit"),
        (sm_families.Binomial(link=sm_links.CLogLog()), "binomial", "cloglog"),
        (sm_families.Binomial(link=sm_links.Cauchy()), "binomial", "cauchy"),
        (sm_families.Poisson(), "poisson", "log"),
        (sm_families.Poisson(link=sm_links.Sqrt()), "poisson", "sqrt"),
        (sm_families.Gamma(), "gamma", "inverse_power"),
        (sm_families.InverseGaussian(), "inversegaussian", "inverse_squared"),
        (sm_families.Gaussian(), "gaussian", "identity"),
    ],
)
def test_families_of_statsmodels(instance, name, link):
    family = family_of(instance)
    assert (family.name, family.link.name) == (name, link)
    if name != "binomial" or link != "logit":
        return
    assert family_of(name).link is family.link


ALL_LINKS = [
    *(sm_links.Logit(), sm_links.Probit(), sm_links.Cauchy(), sm_links.CLogLog()),
    *(sm_links.LogLog(), sm_links.Log(), sm_links.LogC(), sm_links.Identity()),
    *(sm_links.InversePower(), sm_links.InverseSquared(), sm_links.Sqrt()),
    *(sm_links.Power(3.0), sm_links.CDFLink(stats.t(5))),
    sm_links.NegativeBinomial(alpha=0.7),
]


@pytest.mark.parametrize("link", ALL_LINKS, ids=lambda link: type(link).__name__)
def test_links_agree_with_statsmodels_and_have_three_derivatives(link):
    ours = link_of(link)
    eta = -np.linspace(0.2, 0.9, 7)
    if "Power" in [kind.__name__ for kind in type(link).__mro__]:
        eta = -eta
    curve = ours.curve(eta)
    assert_allclose(curve.mean, link.inverse(eta), rtol=1e-10)
    assert_allclose(ours.mean(eta), curve.mean, rtol=1e-12)
    assert_allclose(ours.eta(curve.mean), eta, rtol=1e-9)
    assert_derivative(curve.first, central(ours.mean, eta))
    assert_derivative(curve.second, central(lambda e: ours.curve(e).first, eta))
    third = central(lambda e: ours.curve(e).second, eta)
    assert_allclose(curve.third, third, rtol=1e-4, atol=1e-5)


def test_a_negative_binomial_instance_holds_its_dispersion():
    family = family_of(sm_families.NegativeBinomial(alpha=0.25))
    assert family.known_shapes == (4.0,)
    assert not family.shapes
    rows = bind_rows(family, np.arange(3.0), None)
    assert rows.n_shapes == 0
    assert len(family_of("negativebinomial").shapes) == 1


@pytest.mark.parametrize("name", ["tweedie", "quasi", "", 3, None])
def test_unknown_families_are_refused(name):
    with pytest.raises(FitError, match="binomial, poisson"):
        family_of(name)


def test_unknown_links_are_refused():
    with pytest.raises(FitError, match="not one of"):
        family_of("binomial", "logitt")
    with pytest.raises(FitError, match="inverse_deriv2"):
        family_of("binomial", 3.0)


@pytest.mark.parametrize(
    ("family", "bad"),
    [
        ("binomial", 1.5),
        ("poisson", -1.0),
        ("negativebinomial", -0.5),
        ("gamma", 0.0),
        ("inversegaussian", -2.0),
    ],
)
def test_impossible_responses_are_refused(family, bad):
    y = np.array([0.5, bad, 0.25])
    with pytest.raises(DataError, match=r"1 of 3 rows .* row 1"):
        bind_rows(family_of(family), y, None)
