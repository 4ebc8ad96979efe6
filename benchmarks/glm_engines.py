"""The engines for generalized models, each giving minus twice the log-likelihood."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from engines import Fit, installed_peer
from glm_cases import GlmCase

import multilevel as ml


def fit_ours(frame: pd.DataFrame, case: GlmCase) -> Fit:
    """The whole call, formula text to standard errors."""

    def fit() -> float:
        model = ml.mixedglm(
            case.formula, frame, family="binomial", weights=case.weights
        )
        result = model.fit()
        assert result.bse is not None
        return -2.0 * float(result.llf)

    return fit


def fit_glmm(frame: pd.DataFrame, case: GlmCase) -> Fit:
    """The Rust kernel `glmm`, with the standard errors it computes by default."""
    glmm = installed_peer("glmm")
    weights = None if case.weights is None else frame[case.weights].to_numpy(float)

    def fit() -> float:
        result = glmm.fit(
            frame, case.formula, "binomial", weights=weights, anova_test="Wald"
        )
        return -2.0 * float(result.loglik)

    return fit


def fit_gpboost(frame: pd.DataFrame, case: GlmCase) -> Fit:
    """GPBoost's mixed models, random intercepts only."""
    gpboost = installed_peer("gpboost")
    groups = re.findall(r"\(1 \| (\w+)\)", case.formula)
    words = re.sub(r"\+ \(.*", "", case.formula.split("~")[1]).split("+")
    names = [word.strip() for word in words if word.strip()]

    def fit() -> float:
        columns = pd.get_dummies(frame[names], drop_first=True).astype(float)
        exog = np.column_stack([np.ones(len(frame)), columns])
        model = gpboost.GPModel(
            group_data=frame[groups].to_numpy(), likelihood="bernoulli_logit"
        )
        model.fit(y=frame["y"].to_numpy(), X=exog)
        assert model.get_coef(std_err=True) is not None
        return 2.0 * float(model.get_current_neg_log_likelihood())

    return fit


R_SCRIPT = """
args <- commandArgs(trailingOnly = TRUE)
spec <- jsonlite::fromJSON(args[1])
suppressMessages(library(spec$engine, character.only = TRUE))
d <- read.csv(spec$csv, colClasses = unlist(spec$classes))
d$case_weights <- if (is.null(spec$weights)) rep(1, nrow(d)) else d[[spec$weights]]
call <- if (spec$engine == "lme4") glmer else glmmTMB
one <- function() {
  t <- system.time(m <- suppressWarnings(suppressMessages(call(
    as.formula(spec$formula), d, family = binomial, weights = case_weights
  ))))[["elapsed"]]
  c(t, -2 * as.numeric(logLik(m)))
}
one()
cat(jsonlite::toJSON(replicate(spec$rounds, one()), digits = 15))
"""


def time_r(
    frame: pd.DataFrame, case: GlmCase, rounds: int, engine: str
) -> tuple[float, float]:
    """Median seconds and the deviance of lme4's or glmmTMB's default fit, inside R."""
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "data.csv"
        frame.to_csv(csv, index=False)
        classes = {
            name: "numeric" if pd.api.types.is_numeric_dtype(column) else "character"
            for name, column in frame.items()
        }
        spec = {
            "engine": engine,
            "csv": str(csv),
            "classes": classes,
            "formula": case.formula,
            "weights": case.weights,
            "rounds": rounds,
        }
        (Path(folder) / "spec.json").write_text(json.dumps(spec))
        (Path(folder) / "run.R").write_text(R_SCRIPT)
        files = [str(Path(folder) / name) for name in ("run.R", "spec.json")]
        output = subprocess.run(
            ["Rscript", *files], capture_output=True, text=True, check=True
        )
    seconds, deviances = json.loads(output.stdout[output.stdout.index("[[") :])
    return sorted(seconds)[len(seconds) // 2], deviances[0]


def available() -> dict[str, Callable[[pd.DataFrame, GlmCase], Fit]]:
    """Engines that are installed here, ours always."""
    engines = {"multilevel": fit_ours}
    for name, build in (("glmm", fit_glmm), ("gpboost", fit_gpboost)):
        if installed_peer(name) is not None:
            engines[name] = build
    return engines
