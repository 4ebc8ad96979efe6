"""Means with the random effects integrated out, against brute-force integration."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate

from multilevel.errors import FitError
from multilevel.likelihood.families.links import LINKS, power_link
from multilevel.prediction.marginal_mean import marginal_mean

ALL = [LINKS[name] for name in ("identity", "log", "logit", "probit", "cauchy")]
ALL += [LINKS["cloglog"], LINKS["loglog"], power_link(0.5)]


# quad warns where the integral is zero.
@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
@pytest.mark.parametrize("link", ALL, ids=lambda link: link.name)
@pytest.mark.parametrize("sd", [0.0, 0.1, 1.0, 4.0, 15.0])
def test_means_against_adaptive_integration(link, sd):
    eta = np.array([-3.0, -0.2, 0.0, 1.5])
    result = marginal_mean(link, eta, np.full(4, sd**2))

    def expected(at):
        def integrand(z):
            value = float(link.mean(np.array([at + sd * z]))[0])
            return value * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)

        middle = sd if link.name == "log" else 0.0
        kinks = [middle, -at / sd] if sd and abs(at / sd) < 9 else [middle]
        return integrate.quad(
            integrand, middle - 10, middle + 10, points=kinks, limit=500, epsabs=1e-13
        )[0]

    assert_allclose(result.mean, [expected(at) for at in eta], rtol=1e-8, atol=1e-10)
    above, below = (
        marginal_mean(link, eta + shift, np.full(4, sd**2)).mean
        for shift in (1e-5, -1e-5)
    )
    assert_allclose(result.slope, (above - below) / 2e-5, rtol=1e-6, atol=1e-9)


def test_variances_of_rows_may_differ():
    eta, variance = np.zeros(3), np.array([0.0, 1.0, 9.0])
    together = marginal_mean(LINKS["logit"], eta + 1.0, variance)
    for row in range(3):
        alone = marginal_mean(LINKS["logit"], eta[:1] + 1.0, variance[row : row + 1])
        assert_allclose(together.mean[row], alone.mean[0], rtol=1e-10)


def test_a_mean_without_an_expectation_is_refused():
    link = power_link(-1.0)
    assert_allclose(marginal_mean(link, np.array([2.0]), np.zeros(1)).mean, 0.5)
    with pytest.raises(FitError, match="inverse_power link has no expectation"):
        marginal_mean(link, np.array([2.0]), np.ones(1))
