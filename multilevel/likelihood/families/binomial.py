"""Shares of successes among trials.

Held by tests/likelihood/families/test_families.py and
tests/likelihood/families/test_response_distribution.py.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.special import betainc, betaincc, xlogy

from multilevel.array_types import FloatArray, FloatVector
from multilevel.likelihood.families.binomial_rows import BinomialRows, LogitRows
from multilevel.likelihood.families.links import LINKS, InverseLink
from multilevel.likelihood.families.log_probabilities import LogCurve, LogProbabilities
from multilevel.likelihood.families.row_likelihood import RowLikelihood
from multilevel.likelihood.families.traits import (
    Family,
    FamilyTraits,
    ResponseDistribution,
    StatsmodelsFamily,
    Support,
    Tails,
)
from multilevel.likelihood.families.unit_cores import VarianceCurve

MANY_TRIALS = 1000.0
"""Trials from which a binomial's log density is taken less that at its own share."""


def _bind(
    family: Family,
    y: FloatVector,
    weights: FloatVector | None,
    trials: FloatVector | None,
) -> RowLikelihood:
    total = np.ones_like(y) if weights is None else weights
    successes, failures = _counts(y, total if trials is None else trials)
    times = None if trials is None else total / trials
    # Binomial coefficients of many trials and the log densities they belong to are huge
    # and cancel; from there on densities are relative to those at the rows' shares.
    if family.link.name == "logit" and total.max(initial=0.0) < MANY_TRIALS:
        return LogitRows.of(successes, failures, times)
    logs = _log_probabilities(family.link)
    return BinomialRows.of(successes, failures, family.link, logs, times)


def _counts(y: FloatVector, trials: FloatVector) -> tuple[FloatVector, FloatVector]:
    """Successes and failures; y is a quotient of what were whole numbers."""
    successes = trials * y
    whole = np.round(successes)
    near = np.abs(successes - whole) <= 1e-9 * np.maximum(trials, 1.0)
    successes = np.where(near, whole, successes)
    return successes, trials - successes


def _log_probabilities(link: InverseLink) -> LogProbabilities:
    """Closed forms where there are, else by the chain rule through the mean."""
    if link.log_probabilities is not None:
        return link.log_probabilities

    def through(eta: FloatArray, *, failure: bool) -> LogCurve:
        curve = link.curve(eta)
        sign = -1.0 if failure else 1.0
        p = 1.0 - curve.mean if failure else curve.mean
        if failure and link.is_symmetric:
            # The curve is symmetric, and its own tail has the
            # digits that 1 - mean has lost.
            p = link.mean(-eta)
        # A link such as the identity has means that are no probabilities.
        p = np.where((p > 0.0) & (p <= 1.0), p, np.nan)
        first, second = sign * curve.first / p, sign * curve.second / p
        third = sign * curve.third / p
        return LogCurve(
            np.log(p),
            first,
            second - first**2,
            third - 3.0 * second * first + 2.0 * first**3,
        )

    return LogProbabilities(
        lambda eta: through(eta, failure=False), lambda eta: through(eta, failure=True)
    )


def _variance(mean: FloatArray, _: FloatVector) -> VarianceCurve:
    return VarianceCurve(
        np.asarray(mean * (1.0 - mean)), 1.0 - 2.0 * mean, np.full_like(mean, -2.0)
    )


def _deviance(y: FloatArray, mean: FloatArray, _: FloatVector) -> FloatArray:
    rest = 1.0 - mean
    return np.asarray(2.0 * (xlogy(y, y / mean) + xlogy(1.0 - y, (1.0 - y) / rest)))


def _tails(
    y: FloatArray, mean: FloatArray, _: FloatVector, trials: FloatArray
) -> Tails:
    # y is a quotient: y * trials may fall a rounding error
    # below the whole number it was.
    k = np.floor(y * trials + np.minimum(1e-9 * np.maximum(trials, 1.0), 0.5))
    inside = (k >= 0) & (k < trials)
    safe = np.where(inside, k, 0.0)
    left = np.where(inside, trials - safe, 1.0)
    # P(K <= k) = 1 - I_p(k + 1, n - k)
    lower = np.where(inside, betaincc(safe + 1.0, left, mean), k >= 0)
    upper = np.where(inside, betainc(safe + 1.0, left, mean), k < 0)
    return Tails(lower, upper)


def _draw(
    rng: Generator, mean: FloatArray, _: FloatVector, trials: FloatArray
) -> FloatArray:
    return np.asarray(rng.binomial(np.round(trials).astype(np.int64), mean) / trials)


BINOMIAL = FamilyTraits(
    name="binomial",
    spoken_name="binomial",
    default_link=LINKS["logit"],
    canonical_link="logit",
    support=Support(
        0.0, 1.0, closed=True, words="between 0 and 1 (successes / trials)"
    ),
    weights="trials",
    variance=_variance,
    distribution=ResponseDistribution(
        unit_deviance=_deviance, tails=_tails, draw=_draw, is_discrete=True
    ),
    bind=_bind,
    statsmodels=StatsmodelsFamily("Binomial"),
    ratios={
        "logit": "odds ratios",
        "cloglog": "hazard ratios",
        "log": "risk ratios",
    },
    model_names={"logit": "logistic model", "probit": "probit model"},
)
