"""What is found in working columns Z T, told of the user's columns Z."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from multilevel.covariance.registry import STRUCTURES
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.errors import FitError
from multilevel.optimize.common.working_terms import WorkingProblem, WorkingTerms

# Two terms on the first factor, one on the second.
TERMS = StackedTerms(
    (STRUCTURES["us"](2), STRUCTURES["diag"](1), STRUCTURES["us"](2)), (0, 0, 1), 2
)


def working_terms(rng):
    transforms = [np.tril(rng.normal(size=(k, k))) for k in (2, 1, 2)]
    return WorkingTerms(
        terms=TERMS, transforms=tuple(T + 2.0 * np.eye(len(T)) for T in transforms)
    )


def random_theta(rng):
    theta = rng.normal(size=TERMS.n_theta)
    factors = TERMS.term_factors(theta)
    return TERMS.theta_of([np.linalg.cholesky(F @ F.T) for F in factors])


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_theta_goes_there_and_back(seed):
    rng = np.random.default_rng(seed)
    columns, theta = working_terms(rng), random_theta(rng)
    working = columns.working_theta(theta)
    assert_allclose(columns.user_theta(working), theta, rtol=1e-8, atol=1e-10)
    for T, user, own in zip(
        columns.transforms,
        TERMS.term_factors(theta),
        TERMS.term_factors(working),
        strict=True,
    ):
        # z'b = (z'T)(T^-1 b), so that Cov(b) = T Cov(T^-1 b) T'.
        assert_allclose(T @ own @ own.T @ T.T, user @ user.T, rtol=1e-8, atol=1e-10)


def test_modes_and_covariances_are_those_of_the_users_effects():
    rng = np.random.default_rng(1)
    columns = working_terms(rng)
    working = [rng.normal(size=(3, 5)), rng.normal(size=(2, 4))]  # (S, J)
    draws = np.stack([rng.normal(size=(3, 3)) for _ in range(5)], axis=2)
    blocks = [np.einsum("abj,cbj->acj", draws, draws), np.ones((2, 2, 4))]
    first, second, third = columns.user_modes(working)
    assert first.shape == (5, 2)
    assert second.shape == (5, 1)
    assert third.shape == (4, 2)
    # z'b is the same in both columns.
    z = rng.normal(size=2)
    own = (z @ columns.transforms[0]) @ working[0][:2]
    assert_allclose(first @ z, own)
    covariances = columns.user_covariances(blocks)
    variance = np.einsum("a,jab,b->j", z, covariances[0][:, :2, :2], z)
    zT = z @ columns.transforms[0]
    assert_allclose(variance, np.einsum("a,abj,b->j", zT, blocks[0][:2, :2], zT))
    assert covariances[1].shape == (4, 2, 2)


class _Problem(WorkingProblem):
    factor_names = ("g", "h")
    undetermined = frozenset()

    def __init__(self, outermost):
        self.outermost = outermost

    @property
    def working_terms(self):
        return working_terms(np.random.default_rng(2))

    @property
    def _outermost_factor(self):
        return self.outermost


def test_crossed_factors_have_no_independent_one():
    assert _Problem(1).independent_factor() == 1
    with pytest.raises(FitError, match="g, h are crossed"):
        _Problem(None).independent_factor()
