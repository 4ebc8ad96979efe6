"""The engines that are timed, each a function of (frame, case) giving the deviance."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from cases import Case

import multilevel as ml

Fit = Callable[[], float]


def fit_ours(frame: pd.DataFrame, case: Case) -> Fit:
    """The whole call, formula text to standard errors."""

    def fit() -> float:
        result = ml.mixedlm(case.formula, frame).fit(reml=case.reml)
        assert result.bse is not None
        return -2.0 * float(result.llf)

    return fit


def fit_ols(frame: pd.DataFrame, case: Case) -> Fit:
    """statsmodels' regression without random terms, for scale."""

    def fit() -> float:
        result = smf.ols(case.pooled, frame).fit()
        assert result.bse is not None
        return -2.0 * float(result.llf)

    return fit


def fit_statsmodels(frame: pd.DataFrame, case: Case) -> Fit:
    """statsmodels' own MixedLM; one grouping factor."""
    bar = re.search(r"\((.+)\|(.+)\)", case.formula)
    assert bar is not None
    re_formula = f"~{bar[1]}" if bar[1].strip() != "1" else None

    def fit() -> float:
        model = smf.mixedlm(
            case.pooled, frame, groups=bar[2].strip(), re_formula=re_formula
        )
        return -2.0 * float(model.fit(reml=case.reml).llf)

    return fit


def fit_glmm(frame: pd.DataFrame, case: Case) -> Fit:
    """The Rust kernel `glmm`, without its degrees of freedom."""
    glmm = installed_peer("glmm")

    def fit() -> float:
        result = glmm.fit(frame, case.formula, reml=case.reml, satterthwaite=False)
        return -2.0 * float(result.loglik)

    return fit


def fit_mixedlm(frame: pd.DataFrame, case: Case) -> Fit:
    """`mixedlm`, a clone of lme4's interface in Rust."""
    mixedlm = installed_peer("mixedlm")

    def fit() -> float:
        result = mixedlm.lmer(case.formula, frame, REML=case.reml)
        return -2.0 * float(result.logLik().value)

    return fit


def fit_gpboost(frame: pd.DataFrame, case: Case) -> Fit:
    """GPBoost's mixed models by maximum likelihood; random intercepts only."""
    gpboost = installed_peer("gpboost")
    factors = [
        factor for bar in _intercept_factors(case) for factor in _nested_factors(bar)
    ]
    response, fixed = (side.strip() for side in case.pooled.split("~"))

    def fit() -> float:
        groups = np.column_stack([_joined_labels(frame, own) for own in factors])
        exog = np.ones((len(frame), 1))
        if fixed != "1":
            named = frame[[name.strip() for name in fixed.split("+")]]
            columns = pd.get_dummies(named, drop_first=True).astype(float)
            exog = np.column_stack([exog, columns])
        model = gpboost.GPModel(
            group_data=groups, likelihood="gaussian", num_parallel_threads=1
        )
        model.fit(y=frame[response].to_numpy(float), X=exog)
        assert model.get_coef(std_err=True) is not None
        return 2.0 * float(model.get_current_neg_log_likelihood())

    return fit


def _intercept_factors(case: Case) -> list[str]:
    return re.findall(r"\(1 \|([^)]+)\)", case.formula)


def _nested_factors(bar: str) -> list[tuple[str, ...]]:
    """The columns that make each factor of ``a``, ``a:b`` or ``a / b``."""
    names = tuple(name.strip() for name in re.split("[:/]", bar))
    if "/" not in bar:
        return [names]
    return [names[:depth] for depth in range(1, len(names) + 1)]


def _joined_labels(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.Series:
    labels = frame[names[0]].astype(str)
    for name in names[1:]:
        labels = labels + ":" + frame[name].astype(str)
    return labels


def fits(name: str, case: Case) -> bool:
    """Whether an engine knows the model: gpboost has intercepts only."""
    only_intercepts = len(_intercept_factors(case)) == case.formula.count("|")
    return name not in case.slow and (name != "gpboost" or only_intercepts)


R_SCRIPT = """
suppressMessages(library(lme4))
args <- commandArgs(trailingOnly = TRUE)
spec <- jsonlite::fromJSON(args[1])
d <- read.csv(spec$csv, colClasses = unlist(spec$classes))
one <- function() {
  t <- system.time(m <- suppressWarnings(suppressMessages(
    lmer(as.formula(spec$formula), d, REML = spec$reml))))[["elapsed"]]
  c(t, -2 * as.numeric(logLik(m)))
}
one()
cat(jsonlite::toJSON(replicate(spec$rounds, one()), digits = 15))
"""


def time_lme4(frame: pd.DataFrame, case: Case, rounds: int) -> list[list[float]]:
    """Seconds and deviances of lme4's default fit, timed inside R."""
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "data.csv"
        frame.to_csv(csv, index=False)
        classes = {
            name: "numeric" if pd.api.types.is_numeric_dtype(column) else "character"
            for name, column in frame.items()
        }
        spec = {
            "csv": str(csv),
            "classes": classes,
            "formula": case.formula,
            "reml": case.reml,
            "rounds": rounds,
        }
        (Path(folder) / "spec.json").write_text(json.dumps(spec))
        (Path(folder) / "run.R").write_text(R_SCRIPT)
        files = [str(Path(folder) / name) for name in ("run.R", "spec.json")]
        command = ["Rscript", *files]
        output = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, deviances = json.loads(output.stdout[output.stdout.index("[[") :])
    return [seconds, deviances]


def available() -> dict[str, Callable[[pd.DataFrame, Case], Fit]]:
    """Engines that are installed here, ours and smf.ols always."""
    engines = {
        "multilevel": fit_ours,
        "smf.ols": fit_ols,
        "statsmodels": fit_statsmodels,
    }
    peers = {"glmm": fit_glmm, "mixedlm": fit_mixedlm, "gpboost": fit_gpboost}
    for name, build in peers.items():
        if installed_peer(name) is not None:
            engines[name] = build
    return engines


def has_lme4() -> bool:
    """Whether Rscript finds lme4 and jsonlite."""
    return has_r_package("lme4")


def has_r_package(name: str) -> bool:
    """Whether Rscript finds a package, and jsonlite, by which we talk to it."""
    if shutil.which("Rscript") is None:
        return False
    code = f"stopifnot(requireNamespace('{name}'), requireNamespace('jsonlite'))"
    check = ["Rscript", "-e", code]
    return subprocess.run(check, capture_output=True).returncode == 0


@cache
def installed_peer(name: str) -> Any:
    """An installed package, though this folder may have a file of its name; or None."""
    here = Path(__file__).resolve().parent
    places = [place for place in sys.path if Path(place).resolve() != here]
    spec = PathFinder.find_spec(name, places)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
