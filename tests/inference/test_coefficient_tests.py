"""The fixed effects' tests as one record: what the results object says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.errors import DataError, RankDeficiencyWarning
from multilevel.inference.coefficient_tests import coefficient_tests
from small_data import grouped_responses


@pytest.fixture(scope="module")
def results():
    frame = grouped_responses().assign(twice=lambda d: 2.0 * d["x"])
    with pytest.warns(RankDeficiencyWarning, match="twice"):
        return ml.mixedlm("normal ~ x + twice + size + (1 | g)", frame).fit()


def test_they_are_those_of_the_results(results):
    tests = coefficient_tests(results._fitted, results.ddf.to_numpy(), alpha=0.2)
    assert list(tests.names) == list(results.params.index)
    assert_allclose(tests.estimate, results.params)
    assert_allclose(tests.se, results.bse)
    assert_allclose(tests.statistic, results.tvalues)
    assert_allclose(tests.pvalue, results.pvalues)
    assert_allclose(tests.limits, results.conf_int(0.2))
    assert np.isnan(tests.estimate[2])


def test_exponentials_keep_their_tests(results):
    tests = coefficient_tests(results._fitted, results.ddf.to_numpy(), alpha=0.2)
    ratios = tests.exponentiated()
    assert_allclose(ratios.estimate, np.exp(results.params))
    assert_allclose(ratios.limits, np.exp(results.conf_int(0.2)))
    # By the delta method, and tested as before.
    assert_allclose(ratios.se / ratios.estimate, tests.se)
    assert_allclose(ratios.pvalue, tests.pvalue)


def test_limits_by_a_method_that_there_is_not(results):
    with pytest.raises(DataError, match="method='profil' is not known; use 'wald'"):
        results.conf_int(method="profil")


def test_the_frame_has_a_row_for_every_column(results):
    tests = coefficient_tests(results._fitted, results.ddf.to_numpy(), alpha=0.2)
    frame = tests.to_frame()
    assert list(frame.index) == list(results.params.index)
    assert list(frame)[:4] == ["estimate", "se", "df", "t"]
    assert_allclose(frame[["lower", "upper"]], tests.limits)
