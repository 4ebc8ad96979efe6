"""How often lme4's defaults reach the optimum of the stress designs.

    python benchmarks/stress_lme4.py

Needs Rscript with lme4 and jsonlite.  Prints the share of the designs of
``tests/stress`` for which the deviance is within 1e-6 of the lowest one known.
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

SCRIPT = """
suppressMessages(library(lme4))
args <- commandArgs(trailingOnly = TRUE)
cases <- jsonlite::fromJSON(args[1], simplifyDataFrame = FALSE)
out <- sapply(cases, function(case) {
  d <- read.csv(case$csv)
  for (g in grep("^g", names(d), value = TRUE)) d[[g]] <- factor(d[[g]])
  m <- tryCatch(suppressWarnings(suppressMessages(lmer(as.formula(case$formula), d,
    REML = case$reml, weights = d$w, control = lmerControl(check.rankX = "ignore",
    check.scaleX = "ignore")))), error = function(e) NULL)
  if (is.null(m)) NA else -2 * as.numeric(logLik(m))
})
cat(jsonlite::toJSON(out, digits = 15, na = "null"))
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
            cases.append({"csv": csv, "formula": formula, "reml": design.reml})
        spec, script = Path(folder) / "cases.json", Path(folder) / "run.R"
        spec.write_text(json.dumps(cases))
        script.write_text(SCRIPT)
        output = subprocess.run(
            ["Rscript", str(script), str(spec)],
            capture_output=True,
            text=True,
            check=True,
        )
    reached = json.loads(output.stdout[output.stdout.rindex("[") :])
    gaps = np.array(
        [np.inf if d is None else d - lowest[str(s)] for s, d in enumerate(reached)]
    )
    for limit in (1e-6, 1e-3, 1.0):
        print(f"within {limit:g} of the lowest deviance: {np.mean(gaps < limit):.1%}")
    print(f"failed with an error: {np.mean(np.isinf(gaps)):.1%}")
    print(f"lowest gap {gaps.min():.2g}")


if __name__ == "__main__":
    main()
