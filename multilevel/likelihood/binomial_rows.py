"""Binomial rows: successes among trials, for any link."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln

from multilevel.array_types import FloatArray, FloatVector, IntVector
from multilevel.likelihood.effect_rows import counted_sums
from multilevel.likelihood.inverse_links import InverseLink
from multilevel.likelihood.log_probabilities import LogProbabilities
from multilevel.likelihood.row_likelihood import DispersionTerms, RowTerms
from multilevel.likelihood.stable_logs import poisson_norm


def log_choose(successes: FloatVector, failures: FloatVector) -> FloatVector:
    """Log binomial coefficients, zero for a single trial; (n,)."""
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
class BinomialRows:
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
    ) -> BinomialRows:
        """Rows with their constants."""
        constant = (
            poisson_norm(successes)
            + poisson_norm(failures)
            - poisson_norm(successes + failures)
        )
        shares = _log_shares(successes, failures)
        return cls(successes, failures, *shares, constant, link, logs)

    @property
    def has_dispersion(self) -> bool:
        """False."""
        return False

    def terms(self, eta: FloatVector, log_dispersion: float) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""
        yes, no = self.logs.success(eta), self.logs.failure(eta)
        total = _sum_where(self.successes, yes.value - self.log_yes)
        total += _sum_where(self.failures, no.value - self.log_no)
        score = self.successes * yes.first + self.failures * no.first
        weight = -(self.successes * yes.second + self.failures * no.second)
        return RowTerms(total, score, weight)

    def third(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """w'."""
        yes, no = self.logs.success(eta), self.logs.failure(eta)
        return np.asarray(-(self.successes * yes.third + self.failures * no.third))

    def expected_weight(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """trials mu'^2 / (mu (1 - mu))."""
        yes, no = self.logs.success(eta), self.logs.failure(eta)
        return np.asarray(-(self.successes + self.failures) * yes.first * no.first)

    def density(
        self, eta: FloatArray, log_dispersion: float
    ) -> tuple[FloatArray, FloatArray]:
        """Log p less the normalizer, and l'."""
        yes, no = self.logs.success(eta), self.logs.failure(eta)
        value = _times_where(self.successes, yes.value - self.log_yes)
        value = value + _times_where(self.failures, no.value - self.log_no)
        return value, self.successes * yes.first + self.failures * no.first

    def normalizer(self, log_dispersion: float) -> FloatVector:
        """Log density at the rows' own shares."""
        return self.constant

    def dispersion(self, eta: FloatVector, log_dispersion: float) -> DispersionTerms:
        """Zero: there is no dispersion parameter."""
        zero = np.zeros_like(eta)
        return DispersionTerms(0.0, zero, zero)

    def dispersion_density(self, eta: FloatArray, log_dispersion: float) -> FloatArray:
        """Zero."""
        return np.zeros_like(eta)

    def starting_mean(self) -> FloatVector:
        """(successes + 1/2) / (trials + 1)."""
        return (self.successes + 0.5) / (self.successes + self.failures + 1.0)

    @property
    def can_merge(self) -> bool:
        """True: successes and failures add up."""
        return True

    def merge(self, group: IntVector, n_groups: int) -> BinomialRows:
        """Sums of successes and failures, and of the constants."""
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
    total = float(counts @ logs)
    return total if np.isfinite(total) else float(_times_where(counts, logs).sum())


@dataclass(frozen=True, slots=True)
class LogitRows:
    """Binomial rows with the logit link, where everything follows from one exp.

    Parameters
    ----------
    successes : (n,)
    trials : (n,) or None
        None if there is one trial in every row.
    constant : (n,)
    """

    successes: FloatVector
    trials: FloatVector | None
    constant: FloatVector

    @property
    def has_dispersion(self) -> bool:
        """False."""
        return False

    def _times_trials(self, values: FloatArray) -> FloatArray:
        return values if self.trials is None else self.trials * values

    def terms(self, eta: FloatVector, log_dispersion: float) -> RowTerms:
        """Sum of the log-likelihood, l' and w."""
        tail = np.abs(eta)
        np.negative(tail, out=tail)
        np.exp(tail, out=tail)
        larger = tail + 1.0
        np.reciprocal(larger, out=larger)
        tail *= larger
        mean = np.where(eta < 0.0, tail, larger)
        tail *= larger  # mu (1 - mu)
        # log(1 + exp(eta)) = max(eta, 0) - log(larger); its absolute accuracy is
        # enough for a sum.
        spill = np.log(larger, out=larger)
        if self.trials is None:
            lost = float(spill.sum() - np.maximum(eta, 0.0).sum())
            score = np.subtract(self.successes, mean, out=mean)
        else:
            lost = float(self.trials @ spill - self.trials @ np.maximum(eta, 0.0))
            tail *= self.trials
            mean *= self.trials
            score = np.subtract(self.successes, mean, out=mean)
        return RowTerms(float(self.successes @ eta) + lost, score, tail)

    def third(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """w (1 - 2 mu)."""
        tail = np.exp(-np.abs(eta))
        larger = 1.0 / (1.0 + tail)
        # 1 - 2 mu = -sign(eta) (1 - tail) / (1 + tail)
        weight = tail * larger
        weight *= larger
        larger -= tail * larger  # |1 - 2 mu|
        weight *= larger
        third = np.copysign(weight, -eta, out=weight)
        return self._times_trials(third)

    def expected_weight(self, eta: FloatVector, log_dispersion: float) -> FloatVector:
        """trials mu (1 - mu)."""
        return self.terms(eta, log_dispersion).weight

    def density(
        self, eta: FloatArray, log_dispersion: float
    ) -> tuple[FloatArray, FloatArray]:
        """Log p less the binomial coefficient, and l'."""
        tail = np.exp(-np.abs(eta))
        larger = 1.0 / (1.0 + tail)
        mean = np.where(eta < 0.0, tail * larger, larger)
        spill = np.maximum(eta, 0.0) + np.log1p(tail)
        value = self.successes * eta - self._times_trials(spill)
        return value, self.successes - self._times_trials(mean)

    def normalizer(self, log_dispersion: float) -> FloatVector:
        """Log binomial coefficients."""
        return self.constant

    def dispersion(self, eta: FloatVector, log_dispersion: float) -> DispersionTerms:
        """Zero: there is no dispersion parameter."""
        zero = np.zeros_like(eta)
        return DispersionTerms(0.0, zero, zero)

    def dispersion_density(self, eta: FloatArray, log_dispersion: float) -> FloatArray:
        """Zero."""
        return np.zeros_like(eta)

    def starting_mean(self) -> FloatVector:
        """(successes + 1/2) / (trials + 1)."""
        trials = 1.0 if self.trials is None else self.trials
        return (self.successes + 0.5) / (trials + 1.0)

    @property
    def can_merge(self) -> bool:
        """True: successes and trials add up."""
        return True

    def merge(self, group: IntVector, n_groups: int) -> LogitRows:
        """Sums of successes and trials, and of the constants."""
        trials = counted_sums(group, self.trials, n_groups)
        successes, constant = (
            counted_sums(group, values, n_groups)
            for values in (self.successes, self.constant)
        )
        return LogitRows(successes, trials, constant)

    def take(self, rows: IntVector | slice) -> LogitRows:
        """The same for some rows."""
        trials = None if self.trials is None else self.trials[rows]
        return LogitRows(self.successes[rows], trials, self.constant[rows])
