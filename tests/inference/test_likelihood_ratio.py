"""The record of a likelihood-ratio test."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from multilevel.errors import DataError
from multilevel.inference.chi_bar_square import ChiBarSquare
from multilevel.inference.likelihood_ratio import likelihood_ratio_test
from multilevel.inference.null_distribution import null_distribution


def a_test(llf_full=-163.663529940568, **changes):
    given = {
        "df": 1,
        "null": ChiBarSquare((0.5, 0.5)),
        "restricted": "Yield ~ 1",
        "full": "Yield ~ 1 + (1 | Batch)",
        "criterion": "ML",
    }
    return likelihood_ratio_test(-166.364942987391, llf_full, **(given | changes))


def test_half_of_the_naive_p_value_for_one_variance():
    test = a_test()
    # lm and lmer of R 4.2 with lme4 1.1-31, Dyestuff by ML
    assert_allclose(test.statistic, 5.40282609364596, rtol=1e-10)
    assert_allclose(test.pvalue_chi2, 0.0201041723040628, rtol=1e-9)
    assert_allclose(test.pvalue, 0.0100520861520314, rtol=1e-9)


def test_a_statistic_below_zero_is_zero_with_p_one():
    test = a_test(-166.3649430)
    assert (test.statistic, test.pvalue, test.pvalue_chi2) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("llf", "rise", "is_zero"),
    [(-100.0, 4e-7, True), (-100.0, 1e-6, False), (-1e9, 4e-5, True)],
)
def test_a_statistic_that_is_rounding_is_zero(llf, rise, is_zero):
    """At zero the mixture has a point mass, so that p is one there and not a half."""
    given = {"df": 1, "null": ChiBarSquare((0.5, 0.5)), "criterion": "ML"}
    test = likelihood_ratio_test(llf, llf + rise, restricted="a", full="b", **given)
    assert (test.statistic == 0.0) == is_zero
    assert (test.pvalue == 1.0) == is_zero


def test_prints_both_p_values_with_their_null_distributions():
    text = str(a_test())
    assert "null        0.5 chi2(0) + 0.5 chi2(1)" in text
    assert "naive p     0.0201  chi2(1)" in text


def test_prints_one_p_value_when_the_null_is_plain_chi_square():
    assert "naive" not in str(a_test(null=ChiBarSquare((1.0,), 1)))


def test_html_escapes_formulas():
    html = a_test(restricted="y ~ I(x < 2)")._repr_html_()
    assert "I(x &lt; 2)" in html


def test_is_frozen():
    with pytest.raises(AttributeError):
        a_test().pvalue = 0.0


def test_null_distributions_by_name():
    asked = {"information": lambda: np.eye(5), "sizes": [2], "free": 1}
    mixture = null_distribution(**asked)
    assert mixture == null_distribution(**asked, method="chibar2")
    assert mixture.survival(7.0) < null_distribution(**asked, method="chi2").survival(
        7.0
    )
    with pytest.raises(DataError, match="method='x' is not known; use 'chibar2' or"):
        null_distribution(**asked, method="x")
