"""Binomial rows: successes among trials, for any link.

Held by tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln

from multilevel.array_types import FloatArray, FloatVector, IntVector
from multilevel.likelihood.families.links import InverseLink
from multilevel.likelihood.families.log_probabilities import LogProbabilities
from multilevel.likelihood.families.row_likelihood import RowTerms, WithoutShapes
from multilevel.likelihood.families.stable_logs import log_less, poisson_norm
from multilevel.likelihood.rows.effect_rows import counted_sums

MANY = 1e5
"""Trials from which the likelihood is written by ratios to the rows' own shares."""


def log_choose(successes: FloatVector, failures: FloatVector) -> FloatVector:
    """Log binomial coefficients, zero for a single trial; (n,)."""
    # Exactly zero there; differences of log gammas would leave
    # their rounding in each row.
    single = (successes == 0.0) | (failures == 0.0)
    whole, yes, no = (
        gammaln(counts + 1.0) for counts in (successes + failures, successes, failures)
    )
    return np.where(single, 0.0, whole - yes - no)


def _log_shares(
    successes: FloatVector, failures: FloatVector
) -> tuple[FloatVector, FloatVector]:
    """Logs of the shares of successes and failures; zero where there are none."""
    trials = successes + failures
    yes = np.where(successes > 0.0, successes / trials, 1.0)
    no = np.where(failures > 0.0, failures / trials, 1.0)
    return np.log(yes), np.log(no)


@dataclass(frozen=True, slots=True)
class BinomialRows(WithoutShapes):
    """Binomial rows by any link.

    Parameters
    ----------
    successes, failures : (n,)
    log_yes, log_no : (n,)
        Logs of their shares, zero where there are none.
    constant : (n,)
        Log density at these shares.
    link : InverseLink
    logs : LogProbabilities
    """

    successes: FloatVector
    failures: FloatVector
    log_yes: FloatVector
    log_no: FloatVector
    constant: FloatVector
    link: InverseLink
    logs: LogProbabilities

    @classmethod
    def of(
        cls,
        successes: FloatVector,
        failures: FloatVector,
        link: InverseLink,
        logs: LogProbabilities,
        times: FloatVector | None = None,
    ) -> BinomialRows:
        """Rows with their constants, counted `times` (n,) each."""
        constant = (
            poisson_norm(successes)
            + poisson_norm(failures)
            - poisson_norm(successes + failures)
        )
        shares = _log_shares(successes, failures)
        counted = (successes, failures, *shares, constant)
        if times is not None:
            counted = (times * successes, times * failures, *shares, times * constant)
        return cls(*counted, link, logs)

    def terms(self, eta: FloatVector, shapes: FloatVector) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""
        yes, no = self.logs.success(eta), self.logs.failure(eta)
        above, below = self._gaps(yes.value, no.value)
        total = _sum_where(self.successes, above) + _sum_where(self.failures, below)
        score = self.successes * yes.first + self.failures * no.first
        weight = -(self.successes * yes.second + self.failures * no.second)
        return RowTerms(total, score, weight)

    def _gaps(
        self, log_yes: FloatArray, log_no: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """What one success, one failure brings over the rows' own shares, (..., n).

        Multiplied by the counts their first-order parts add up to zero; where the
        counts are huge they are left out, as they would not cancel to the last digit.
        """
        above, below = log_yes - self.log_yes, log_no - self.log_no
        trials = self.successes + self.failures
        if not trials.max(initial=0.0) > MANY:
            return above, below
        both = (self.successes > 0.0) & (self.failures > 0.0)
        with np.errstate(all="ignore"):
            return (
                np.where(both, log_less(np.exp(above)), above),
                np.where(both, log_less(np.exp(below)), below),
            )

    def third(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """w'."""
        yes, no = self.logs.success(eta), self.logs.failure(eta)
        return np.asarray(-(self.successes * yes.third + self.failures * no.third))

    def expected_weight(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """trials mu'^2 / (mu (1 - mu))."""
        yes, no = self.logs.success(eta), self.logs.failure(eta)
        # mu'/mu times mu'/(1 - mu), each with its own digits in either tail.
        return np.asarray(-(self.successes + self.failures) * yes.first * no.first)

    def density(
        self, eta: FloatArray, shapes: FloatVector
    ) -> tuple[FloatArray, FloatArray]:
        """Log p less the normalizer, and l'."""
        yes, no = self.logs.success(eta), self.logs.failure(eta)
        above, below = self._gaps(yes.value, no.value)
        value = _times_where(self.successes, above)
        value = value + _times_where(self.failures, below)
        return value, self.successes * yes.first + self.failures * no.first

    def normalizer(self, shapes: FloatVector) -> FloatVector:
        """Log density at the rows' own shares."""
        return self.constant

    def starting_mean(self) -> FloatVector:
        """(successes + 1/2) / (trials + 1)."""
        return (self.successes + 0.5) / (self.successes + self.failures + 1.0)

    @property
    def can_merge(self) -> bool:
        """True: successes and failures add up."""
        return True

    def merge(self, group: IntVector, n_groups: int) -> BinomialRows:
        """Sums of successes and failures, and of the constants."""
        # Constants are relative to the shares of each row, which differ within a group:
        # so first to the absolute, then relative to the shares of the merged row.
        own = self.constant - self._at_own_shares()
        successes, failures, constant = (
            counted_sums(group, values, n_groups)
            for values in (self.successes, self.failures, own)
        )
        merged = BinomialRows.of(successes, failures, self.link, self.logs)
        return replace(merged, constant=constant + merged._at_own_shares())

    def _at_own_shares(self) -> FloatVector:
        """log p less the binomial coefficient at the rows' own shares, (n,)."""
        return self.successes * self.log_yes + self.failures * self.log_no

    def take(self, rows: IntVector | slice) -> BinomialRows:
        """The same for some rows."""
        return BinomialRows(
            self.successes[rows],
            self.failures[rows],
            self.log_yes[rows],
            self.log_no[rows],
            self.constant[rows],
            self.link,
            self.logs,
        )


def _times_where(counts: FloatVector, logs: FloatArray) -> FloatArray:
    """counts * logs with 0 * -inf = 0."""
    return np.where(counts > 0.0, counts * np.where(counts > 0.0, logs, 0.0), 0.0)


def _sum_where(counts: FloatVector, logs: FloatVector) -> float:
    # A product of vectors is several times faster; the careful sum only
    # where 0 * -inf has made NaN of it.
    total = float(counts @ logs)
    return total if np.isfinite(total) else float(_times_where(counts, logs).sum())


@dataclass(frozen=True, slots=True)
class LogitRows(WithoutShapes):
    """Binomial rows with the logit link, where everything follows from one exp.

    Parameters
    ----------
    signs : (n,) or None
        1 for a success, -1 for a failure, if there is one trial in every row; then
        eta times the sign is the log odds of what happened.
    successes, failures : (n,)
    constant : (n,)
        Log binomial coefficients.
    """

    signs: FloatVector | None
    successes: FloatVector
    failures: FloatVector
    constant: FloatVector

    @classmethod
    def of(
        cls,
        successes: FloatVector,
        failures: FloatVector,
        times: FloatVector | None = None,
    ) -> LogitRows:
        """Rows with their constants, counted `times` (n,) each."""
        constant = log_choose(successes, failures)
        if times is not None:
            successes, failures = times * successes, times * failures
            constant = times * constant
        # One trial, and its outcome whole: half a success is no 0/1 response.
        single = (successes + failures == 1.0) & (successes * failures == 0.0)
        signs = successes - failures if single.all() else None
        return cls(signs, successes, failures, constant)

    def terms(self, eta: FloatVector, shapes: FloatVector) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""
        odds = eta if self.signs is None else self.signs * eta
        tail, larger = _logistic_parts(odds)
        rest = np.where(odds < 0.0, larger, tail)  # 1 - mu, or 1 - p of what happened
        if self.signs is None:
            mean = np.where(odds < 0.0, tail, larger)
            tail *= larger
            tail *= self.successes + self.failures
            score = self.successes * rest - self.failures * mean
            total = self.successes @ np.minimum(eta, 0.0)
            total -= self.failures @ np.maximum(eta, 0.0)
            total += (self.successes + self.failures) @ np.log(larger)
            return RowTerms(float(total), score, tail)
        tail *= larger
        rest *= self.signs
        # The absolute accuracy of log(larger) is enough for a sum.
        total = np.minimum(odds, 0.0).sum() + np.log(larger, out=larger).sum()
        return RowTerms(float(total), rest, tail)

    def third(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """w (1 - 2 mu)."""
        tail, larger = _logistic_parts(eta)
        weight = tail * larger
        larger -= tail  # |1 - 2 mu|
        weight *= larger
        third = np.copysign(weight, -eta, out=weight)
        if self.signs is None:
            third *= self.successes + self.failures
        return third

    def expected_weight(self, eta: FloatVector, shapes: FloatVector) -> FloatVector:
        """trials mu (1 - mu)."""
        tail, larger = _logistic_parts(eta)
        tail *= larger
        return (
            tail if self.signs is not None else tail * (self.successes + self.failures)
        )

    def density(
        self, eta: FloatArray, shapes: FloatVector
    ) -> tuple[FloatArray, FloatArray]:
        """Log p less the binomial coefficient, and l'."""
        tail, larger = _logistic_parts(eta)
        # Here each row's value counts, not only the sum: log(larger) would
        # have an absolute accuracy only.
        spill = np.log1p(np.exp(-np.abs(eta)))
        value = self.successes * np.minimum(eta, 0.0)
        value -= self.failures * np.maximum(eta, 0.0)
        value -= (self.successes + self.failures) * spill
        mean = np.where(eta < 0.0, tail, larger)
        rest = np.where(eta < 0.0, larger, tail)
        return value, self.successes * rest - self.failures * mean

    def normalizer(self, shapes: FloatVector) -> FloatVector:
        """Log binomial coefficients."""
        return self.constant

    def starting_mean(self) -> FloatVector:
        """(successes + 1/2) / (trials + 1)."""
        return (self.successes + 0.5) / (self.successes + self.failures + 1.0)

    @property
    def can_merge(self) -> bool:
        """True: successes and failures add up."""
        return True

    def merge(self, group: IntVector, n_groups: int) -> LogitRows:
        """Sums of successes and failures, and of the constants."""
        successes, failures, constant = (
            counted_sums(group, values, n_groups)
            for values in (self.successes, self.failures, self.constant)
        )
        return LogitRows(None, successes, failures, constant)

    def take(self, rows: IntVector | slice) -> LogitRows:
        """The same for some rows."""
        signs = None if self.signs is None else self.signs[rows]
        return LogitRows(
            signs, self.successes[rows], self.failures[rows], self.constant[rows]
        )


def _logistic_parts(eta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The smaller and the larger of mu and 1 - mu, each to full accuracy."""
    # In place: this is where a Bernoulli model spends its time, one exp and one
    # reciprocal a row. exp(-|eta|) never overflows, and 1 - mu is never a difference.
    tail = np.abs(eta)
    np.negative(tail, out=tail)
    np.exp(tail, out=tail)
    larger = tail + 1.0
    np.reciprocal(larger, out=larger)
    tail *= larger
    return tail, larger
