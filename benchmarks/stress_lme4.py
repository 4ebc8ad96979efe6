"""How often lme4's defaults reach the optimum of the stress designs.

    python benchmarks/stress_lme4.py

Needs Rscript with lme4 and jsonlite.  Prints the share of the designs of
``tests/stress`` for which the deviance is within 1e-6 of the lowest one known.  Takes
up to half an hour; R tells on stderr how far it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "stress")]

from stress_designs import N_DESIGNS, StressDesign, stress_design

SECONDS = 60  # for one fit

SCRIPT = """
suppressMessages(library(lme4))
args <- commandArgs(trailingOnly = TRUE)
cases <- jsonlite::fromJSON(args[1], simplifyDataFrame = FALSE)
limit <- as.numeric(args[2])
out <- sapply(cases, function(case) {
  d <- read.csv(case$csv)
  for (g in grep("^g", names(d), value = TRUE)) d[[g]] <- factor(d[[g]])
  setTimeLimit(elapsed = limit, transient = TRUE)
  m <- tryCatch(suppressWarnings(suppressMessages(lmer(as.formula(case$formula), d,
    REML = case$reml, weights = d$w, control = lmerControl(
    check.scaleX = "ignore")))), error = function(e) conditionMessage(e))
  setTimeLimit()
  late <- is.character(m) && grepl("time limit", m)
  message(case$number, if (is.character(m)) paste(":", m))
  if (late) "late" else if (is.character(m)) "error" else
    format(-2 * as.numeric(logLik(m)), digits = 15)
})
cat(jsonlite::toJSON(out))
"""


def formula_and_frame(design: StressDesign) -> tuple[str, pd.DataFrame]:
    """The design in lme4's terms, columns by number."""
    data = design.data
    columns = {f"x{j}": column for j, column in enumerate(data.X.T)}
    fixed, random = ["0", *columns], []
    columns |= {"y": data.y}
    columns["w"] = np.ones(len(data.y)) if data.weights is None else data.weights
    for k, term in enumerate(data.terms):
        columns[f"g{k}"] = term.codes
        names = [f"z{k}_{j}" for j in range(term.columns.shape[1])]
        columns |= dict(zip(names, term.columns.T, strict=True))
        if term.structure == "us":
            random.append(f"(0 + {' + '.join(names)} | g{k})")
        else:
            random += [f"(0 + {name} | g{k})" for name in names]
    return f"y ~ {' + '.join(fixed + random)}", pd.DataFrame(columns)


def _in_ordinary_units(design: StressDesign) -> bool:
    """Without columns far from zero, of far-off sizes or nearly alike, and weights."""
    hard = ("scales", "means", "y near", "y x", "collinear", "weights")
    return not any(trait.startswith(hard) for trait in design.traits)


def main() -> None:
    """Fit all designs in R and print the share at the optimum."""
    lowest = json.loads((TESTS / "stress" / "lowest.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        cases = []
        for seed in range(N_DESIGNS):
            design = stress_design(seed)
            formula, frame = formula_and_frame(design)
            csv = str(Path(folder) / f"{seed}.csv")
            frame.to_csv(csv, index=False)
            cases.append(
                {"number": seed, "csv": csv, "formula": formula, "reml": design.reml}
            )
        spec, script = Path(folder) / "cases.json", Path(folder) / "run.R"
        spec.write_text(json.dumps(cases))
        script.write_text(SCRIPT)
        output = subprocess.run(
            ["Rscript", str(script), str(spec), str(SECONDS)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    reached = json.loads(output.stdout[output.stdout.rindex("[") :])
    gaps = np.array(
        [
            np.inf if d in ("late", "error") else float(d) - lowest[str(seed)]
            for seed, d in enumerate(reached)
        ]
    )
    plain = np.array([_in_ordinary_units(stress_design(s)) for s in range(N_DESIGNS)])
    for words, chosen in (("all", gaps), ("in ordinary units", gaps[plain])):
        for limit in (1e-6, 1e-3, 1.0):
            share = f"{np.mean(chosen < limit):.1%}"
            print(f"{len(chosen)} designs, {words}: {share} within {limit:g}")
    print(f"failed with an error: {reached.count('error') / len(reached):.1%}")
    print(f"not done in {SECONDS} seconds: {reached.count('late') / len(reached):.1%}")
    print(f"lowest gap {gaps.min():.2g}")


if __name__ == "__main__":
    main()
