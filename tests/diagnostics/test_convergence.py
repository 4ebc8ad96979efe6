"""The convergence doctor on fits that are sound, on the edge, and broken."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.diagnostics.convergence import explain_convergence
from multilevel.errors import FitError
from multilevel.optimize.common.fit_record import OptimizationReport


def fit(formula: str, data: pd.DataFrame, family: str | None = None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if family is None:
            return ml.mixedlm(formula, data).fit()
        return ml.mixedglm(formula, data, family=family).fit()


@pytest.fixture(scope="module")
def sleep():
    return fit("Reaction ~ Days + (Days | Subject)", ml.datasets.load("sleepstudy"))


def outcomes(told) -> dict[str, str]:
    return {check.name: check.outcome for check in told.checks}


def separated() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    g, t = np.repeat(np.arange(20), 10), (rng.random(200) < 0.3).astype(int)
    chance = 1 / (1 + np.exp(-rng.normal(size=20)[g]))
    y = np.where(t == 1, 1, rng.random(200) < chance)
    return pd.DataFrame({"y": y.astype(int), "t": t, "g": g})


def test_a_sound_fit_needs_nothing(sleep):
    told = sleep.optimization.explain()
    assert set(outcomes(told).values()) == {"ok"}
    assert "Nothing needs to be done" in told.verdict
    assert told.outcome("separation") == "not asked"
    assert "No: every result can be used as it is." in str(told)
    assert "<li>" in told._repr_html_()


def test_other_starts_end_at_the_same_deviance(sleep):
    told = sleep.optimization.explain(starts=2)
    assert "2 of 2 more fits end at the same deviance" in told.checks[-1].words
    with pytest.raises(FitError, match="starts=-1"):
        sleep.optimization.explain(starts=-1)


def test_a_worse_end_is_found_out(sleep):
    """A fit that claims to have converged where it has not."""
    fitted = sleep._results._fitted
    away = replace(fitted, fit=replace(fitted.fit, llf=fitted.fit.llf - 3.0))
    told = explain_convergence(away, starts=2)
    assert told.outcome("other starts") == "problem"
    assert "not to the maximum" in told.verdict
    assert "Do not report it" in " ".join(told.matters)


def test_a_saddle_has_no_minimum(sleep):
    fitted = sleep._results._fitted
    top = replace(fitted, fit=replace(fitted.fit, working_theta=np.zeros(3)))
    told = explain_convergence(top)
    assert told.outcome("curvature") == "problem"
    assert "the deviance falls on some side" in str(told).replace("\n      ", " ")


def test_the_edge_is_a_result_not_a_failure():
    result = fit("Yield ~ 1 + (1 | Batch)", ml.datasets.load("dyestuff2"))
    told = result.optimization.explain()
    assert told.outcome("boundary") == "note"
    assert "a result, not a failure" in told.verdict
    assert "Not for the fixed effects" in told.matters[0]
    assert "result.pooled" in str(told)


def test_no_maximum():
    rng = np.random.default_rng(8)
    g, h = np.arange(16) % 6, rng.integers(0, 6, 16)
    x, _ = rng.normal(size=16), rng.normal(size=16)
    y = 1 + x + rng.normal(size=16) + rng.normal(size=6)[g]
    data = pd.DataFrame({"y": y, "x": x, "g": g, "h": h})
    told = fit("y ~ x + (x | g) + (x | h)", data).optimization.explain()
    assert told.verdict.startswith("Not converged: no maximum: 24 random")
    assert told.outcome("maximum") == "problem"
    assert "Simplify the random part" in str(told)


def test_separation():
    told = fit("y ~ t + (1 | g)", separated(), "binomial").optimization.explain()
    assert told.outcome("separation") == "problem"
    assert "t can tell some responses without error" in str(told)
    assert "Merge such a level" in str(told)
    sound = fit("y ~ 1 + (1 | g)", separated(), "binomial").optimization.explain(
        starts=1
    )
    assert set(outcomes(sound).values()) == {"ok"}


def test_an_unidentified_variance():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 8)
    data = pd.DataFrame(
        {"y": rng.normal(size=96) + rng.normal(size=12)[g], "g": g, "k": 100 - g}
    )
    told = fit("y ~ 1 + (1 | g) + (1 | k)", data).optimization.explain()
    assert told.outcome("identification") == "problem"
    assert "cannot be told apart" in told.verdict
    assert "Only for the variances named" in told.matters[0]
    assert "group the rows alike" in str(told)


def test_a_fit_that_was_stopped_says_so():
    fitted = fit(
        "Yield ~ 1 + (1 | Batch)", ml.datasets.load("dyestuff")
    )._results._fitted
    report = replace(
        fitted.fit.report,
        converged=False,
        expected_gain=0.3,
        message="stopped after 100 evaluations",
    )
    told = explain_convergence(replace(fitted, fit=replace(fitted.fit, report=report)))
    assert told.outcome("expected gain") == "problem"
    assert "start=result.theta" in str(told)


def test_the_report_is_the_record_with_a_voice(sleep, tmp_path):
    report = sleep.optimization
    assert isinstance(report, OptimizationReport)
    assert asdict(report) == asdict(sleep.fit_record.report)
    assert pickle.loads(pickle.dumps(report)).message == report.message
    with pytest.raises(AttributeError):
        report.converged = False
    report.boundary["x"] = 1.0
    assert sleep.optimization.boundary == {}
    sleep.save(tmp_path / "a.fit")
    again = ml.load(tmp_path / "a.fit").optimization
    assert str(again.explain()) == str(report.explain())


def test_units_do_not_change_what_is_said():
    data = ml.datasets.load("sleepstudy")
    plain = fit("Reaction ~ Days + (Days | Subject)", data).optimization.explain()
    moved = data.assign(Reaction=1e6 * data["Reaction"], Days=1e-3 * data["Days"])
    other = fit("Reaction ~ Days + (Days | Subject)", moved).optimization.explain()
    assert outcomes(plain) == outcomes(other)
    assert_allclose(
        [plain.checks[0].outcome == "ok", "inside" in other.verdict], [True, True]
    )
